/*
 * A matrix product in plain C: blocks of a and b are packed so that the register tile reads them front to back.
 * Compiled with contraction, so a tile uses fused multiply-adds where the instruction set has them.
 */
#include "matmul.h"

#include <string.h>

#define BLOCK_K 256
#define BLOCK_M 96       /* a block of a: 96 KiB, for the second cache */
#define BLOCK_N 1024     /* a block of b: 1 MiB, for the third */
#define SMALL_WORK 32768 /* multiply-adds that are not worth another thread */

#define UNROLLED _Pragma("GCC unroll 12")

#if defined(__x86_64__) && defined(__GNUC__)
#define TILE(name) avx512_##name
#define TILE_NAME "avx512"
#define TILE_TARGET __attribute__((target("avx512f")))
#define TILE_WIDTH 16
#define TILE_ROWS 12
#include "matmul_tile.h"
#undef TILE
#undef TILE_NAME
#undef TILE_TARGET
#undef TILE_WIDTH
#undef TILE_ROWS
#define TILE(name) avx2_##name
#define TILE_NAME "avx2"
#define TILE_TARGET __attribute__((target("avx2,fma")))
#define TILE_WIDTH 8
#define TILE_ROWS 6
#include "matmul_tile.h"
#undef TILE
#undef TILE_NAME
#undef TILE_TARGET
#undef TILE_WIDTH
#undef TILE_ROWS
#endif
#define TILE(name) plain_##name
#define TILE_NAME "plain"
#define TILE_TARGET
#define TILE_WIDTH 4
#define TILE_ROWS 6
#include "matmul_tile.h"

int cpu_tiles(const cpu_tile *tiles[CPU_TILES]) {
    int count = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) {
        tiles[count++] = &avx512_tile;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tiles[count++] = &avx2_tile;
    }
#endif
    tiles[count++] = &plain_tile;
    return count;
}

/* One matrix in terms of steps, so that transposes need no code of their own. */
typedef struct strided {
    const float *at;
    int64_t row, column;
} strided;

typedef struct product {
    const cpu_tile *tile;
    strided a, b;
    float *c;
    int64_t c_row, c_column;
    int64_t m, n, k;
    bool add;
} product;

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE 1
#endif
#endif

#ifdef HAS_SHUFFLE
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

/* Four lines of four floats as four columns. */
static inline void transpose_4(const float *from, int64_t line, float *to, int64_t width) {
    four_floats a = *(const four_floats *)from, b = *(const four_floats *)(from + line);
    four_floats c = *(const four_floats *)(from + 2 * line), d = *(const four_floats *)(from + 3 * line);
    four_floats ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    *(four_floats *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four_floats *)(to + width) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four_floats *)(to + 2 * width) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *(four_floats *)(to + 3 * width) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* Two lines of four floats as four columns. */
static inline void transpose_2(const float *from, int64_t line, float *to, int64_t width) {
    four_floats a = *(const four_floats *)from, b = *(const four_floats *)(from + line);
    const four_floats columns[] = {__builtin_shufflevector(a, b, 0, 4, 1, 5),
                                   __builtin_shufflevector(a, b, 2, 6, 3, 7)};
    for (int i = 0; i < 4; i++) {
        memcpy(to + i * width, (const float *)columns + 2 * i, 2 * sizeof *to);
    }
}
#else
static inline void transpose_2(const float *from, int64_t line, float *to, int64_t width) {
    for (int i = 0; i < 8; i++) {
        to[i / 2 * width + i % 2] = from[i % 2 * line + i / 2];
    }
}

static inline void transpose_4(const float *from, int64_t line, float *to, int64_t width) {
    for (int i = 0; i < 16; i++) {
        to[i / 4 * width + i % 4] = from[i % 4 * line + i / 4];
    }
}
#endif

/* Whole panels of lines that are neighbours. `width` is a constant where this is called: no call for a few bytes. */
static inline __attribute__((always_inline)) void copy_whole(const float *from, int64_t step, int64_t lines,
                                                             int64_t length, int width, float *to) {
    for (int64_t i = 0; i < length; i++) {
        for (int64_t first = 0; first + width <= lines; first += width) {
            memcpy(to + first * length + i * width, from + i * step + first, (size_t)width * sizeof *to);
        }
    }
}

static void copy_panels(const float *from, int64_t step, int64_t lines, int64_t length, int width, float *to) {
    switch (width) {
    case 4:
        copy_whole(from, step, lines, length, 4, to);
        break;
    case 6:
        copy_whole(from, step, lines, length, 6, to);
        break;
    case 8:
        copy_whole(from, step, lines, length, 8, to);
        break;
    case 12:
        copy_whole(from, step, lines, length, 12, to);
        break;
    case 16:
        copy_whole(from, step, lines, length, 16, to);
        break;
    default:
        copy_whole(from, step, lines, length, width, to);
    }
    int64_t whole = lines / width * width;
    for (int64_t i = 0; whole < lines && i < length; i++) {
        for (int64_t j = whole; j < lines; j++) {
            to[whole * length + i * width + j - whole] = from[i * step + j];
        }
    }
}

/* Four, two or one of the lines of a panel, whose elements are neighbours. */
static void pack_sides(const float *from, int64_t line, int64_t length, int64_t sides, int width, float *to) {
    int64_t i = 0;
    for (; sides == 4 && i + 4 <= length; i += 4) {
        transpose_4(from + i, line, to + i * width, width);
    }
    for (; sides == 2 && i + 4 <= length; i += 4) {
        transpose_2(from + i, line, to + i * width, width);
    }
    for (; i < length; i++) {
        for (int64_t side = 0; side < sides; side++) {
            to[i * width + side] = from[side * line + i];
        }
    }
}

void cpu_gemm_pack(const float *from, int64_t line, int64_t step, int64_t lines, int64_t length, int width, float *to) {
    int64_t whole = lines / width * width;
    if (whole < lines) {
        memset(to + whole * length, 0, (size_t)(length * width) * sizeof *to);
    }
    if (line == 1) {
        copy_panels(from, step, lines, length, width, to);
        return;
    }
    for (int64_t j = 0; j < lines;) {
        int64_t left = smaller(width - j % width, lines - j), sides = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        pack_sides(from + j * line, line, length, sides, width, to + j / width * width * length + j % width);
        j += sides;
    }
}

/* Writes the part of a finished tile that lies inside c, or adds it. */
static void put_part(const product *work, const float *sums, int64_t i, int64_t j, bool add) {
    int64_t rows = smaller(work->tile->rows, work->m - i), columns = smaller(work->tile->columns, work->n - j);
    for (int64_t row = 0; row < rows; row++) {
        const float *from = sums + row * work->tile->columns;
        float *c = work->c + (i + row) * work->c_row + j * work->c_column;
        for (int64_t column = 0; column < columns; column++) {
            float *element = &c[column * work->c_column];
            *element = add ? *element + from[column] : from[column];
        }
    }
}

/* The tile at row i and column j of c, from panels of a and b. */
static void run_tile(const product *work, int64_t k, const float *a, const float *b, int64_t i, int64_t j, bool add) {
    const cpu_tile *tile = work->tile;
    if (work->c_column == 1 && i + tile->rows <= work->m && j + tile->columns <= work->n) {
        tile->run(k, a, b, work->c + i * work->c_row + j, work->c_row, add);
        return;
    }
    float sums[CPU_TILE_MAX_ROWS * CPU_TILE_MAX_COLUMNS];
    tile->run(k, a, b, sums, tile->columns, false);
    put_part(work, sums, i, j, add);
}

/* All tiles of one packed block of a times one of b. */
static void block(const product *work, const float *a, const float *b, int64_t i0, int64_t j0, int64_t m, int64_t n,
                  int64_t k, bool add) {
    for (int64_t j = 0; j < n; j += work->tile->columns) {
        for (int64_t i = 0; i < m; i += work->tile->rows) {
            run_tile(work, k, a + i * k, b + j * k, i0 + i, j0 + j, add);
        }
    }
}

#define A_FLOATS (BLOCK_M * BLOCK_K)
#define B_FLOATS ((BLOCK_N + CPU_TILE_MAX_COLUMNS) * BLOCK_K)

size_t cpu_gemm_blocked_bytes(void) {
    return (A_FLOATS + B_FLOATS) * sizeof(float);
}

/* One thread's product; `memory` holds the packed blocks. */
static void multiply(const product *work, float *memory) {
    float *packed_a = memory, *packed_b = memory + A_FLOATS;
    for (int64_t j = 0; j < work->n; j += BLOCK_N) {
        int64_t n = smaller(BLOCK_N, work->n - j);
        for (int64_t l = 0; l < work->k; l += BLOCK_K) {
            int64_t k = smaller(BLOCK_K, work->k - l);
            cpu_gemm_pack(work->b.at + l * work->b.row + j * work->b.column, work->b.column, work->b.row, n, k,
                          work->tile->columns, packed_b);
            for (int64_t i = 0; i < work->m; i += BLOCK_M) {
                int64_t m = smaller(BLOCK_M, work->m - i);
                cpu_gemm_pack(work->a.at + i * work->a.row + l * work->a.column, work->a.row, work->a.column, m, k,
                              work->tile->rows, packed_a);
                block(work, packed_a, packed_b, i, j, m, n, k, work->add || l > 0);
            }
        }
    }
}

/* A narrow c is computed as its transpose: tiles are wider than high, and the width is what would lie idle. */
static product product_of(const cpu_tile *tile, const cpu_gemm *gemm) {
    strided a = {gemm->a, gemm->transpose_a ? 1 : gemm->lda, gemm->transpose_a ? gemm->lda : 1};
    strided b = {gemm->b, gemm->transpose_b ? 1 : gemm->ldb, gemm->transpose_b ? gemm->ldb : 1};
    product work = {.tile = tile,
                    .a = a,
                    .b = b,
                    .c = gemm->c,
                    .c_row = gemm->ldc,
                    .c_column = 1,
                    .m = gemm->m,
                    .n = gemm->n,
                    .k = gemm->k,
                    .add = gemm->add};
    if (gemm->n < tile->columns && gemm->m > gemm->n) {
        work.a = (strided){b.at, b.column, b.row};
        work.b = (strided){a.at, a.column, a.row};
        work.c_row = 1;
        work.c_column = gemm->ldc;
        work.m = gemm->n;
        work.n = gemm->m;
    }
    return work;
}

void cpu_gemm_blocked_serial(const cpu_tile *tile, const cpu_gemm *gemm, void *memory) {
    product work = product_of(tile, gemm);
    multiply(&work, memory);
}

/* c cut into rows x columns cells, one for each thread, along whole tiles. */
typedef struct grid {
    product whole;
    int64_t rows, columns, height, width;
    float *memory;
} grid;

static void multiply_cells(void *context, int64_t begin, int64_t end) {
    const grid *cells = context;
    for (int64_t cell = begin; cell < end; cell++) {
        product part = cells->whole;
        int64_t i = cell / cells->columns * cells->height, j = cell % cells->columns * cells->width;
        part.m = smaller(cells->height, part.m - i);
        part.n = smaller(cells->width, part.n - j);
        if (part.m > 0 && part.n > 0) {
            part.a.at += i * part.a.row;
            part.b.at += j * part.b.column;
            part.c += i * part.c_row + j * part.c_column;
            multiply(&part, cells->memory + (size_t)cell * (cpu_gemm_blocked_bytes() / sizeof(float)));
        }
    }
}

static int64_t rounded_up(int64_t n, int64_t parts, int64_t unit) {
    return ((n + parts - 1) / parts + unit - 1) / unit * unit;
}

/* The grid of at most `threads` cells whose largest cell is smallest; of equal ones the squarest, which packs least. */
static void choose_grid(grid *cells, int threads) {
    const product *whole = &cells->whole;
    int64_t best = INT64_MAX;
    for (int rows = 1; rows <= threads; rows++) {
        int64_t height = rounded_up(whole->m, rows, whole->tile->rows);
        int64_t width = rounded_up(whole->n, threads / rows, whole->tile->columns);
        int64_t cost = height * width * 16 + (height + width) * 64;
        if (cost < best) {
            best = cost;
            *cells = (grid){*whole, rows, threads / rows, height, width, cells->memory};
        }
    }
}

cg_status cpu_gemm_blocked(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    grid cells = {.whole = product_of(tile, gemm)};
    int64_t worth = gemm->m * gemm->n * gemm->k / SMALL_WORK + 1;
    int threads = (int)smaller(worth, device->threads);
    cells.memory = cpu_scratch(device, (size_t)threads * cpu_gemm_blocked_bytes());
    if (cells.memory == NULL) {
        return CG_ERR_MEMORY;
    }
    choose_grid(&cells, threads);
    cpu_parallel(device, cells.rows * cells.columns, 1, multiply_cells, &cells);
    return CG_OK;
}
