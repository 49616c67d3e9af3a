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
#define PACK_WORK 16     /* multiply-adds in the time of packing a number */
#define CELL_COLUMNS 128
#define CELLS 4 /* a thread */

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
        int64_t left = cpu_smaller(width - j % width, lines - j), sides = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        pack_sides(from + j * line, line, length, sides, width, to + j / width * width * length + j % width);
        j += sides;
    }
}

/* Writes the part of a finished tile that lies inside c, or adds it. */
static void put_part(const product *work, const float *sums, int64_t i, int64_t j, bool add) {
    int64_t rows = cpu_smaller(work->tile->rows, work->m - i), columns = cpu_smaller(work->tile->columns, work->n - j);
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

/* How much of a product is packed at a time. */
typedef struct extent {
    int64_t m, n, k;
} extent;

/* One thread packs what its second cache holds of a, and a block of b for the third. All threads together pack once
 * what they share, so that they wait for each other seldom, and leave cells of c to whoever has time. */
static const extent alone = {BLOCK_M, BLOCK_N, BLOCK_K}, together = {1024, 1024, 1024};

/* A packed piece of a product: panels [k, rows of the tile] of a and [k, columns of the tile] of b. */
typedef struct piece {
    const product *whole;
    int64_t i, j, l; /* where it begins */
    extent size;
    float *a, *b;
    int64_t cell_rows, cell_columns; /* of c, for one thread at a time */
} piece;

static int64_t rounded_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static int64_t panels_of_a(const piece *p) {
    return (p->size.m + p->whole->tile->rows - 1) / p->whole->tile->rows;
}

static int64_t panels_of_b(const piece *p) {
    return (p->size.n + p->whole->tile->columns - 1) / p->whole->tile->columns;
}

/* Panels of b from `begin` on. */
static void pack_b(void *context, int64_t begin, int64_t end) {
    const piece *p = context;
    const strided *b = &p->whole->b;
    int64_t width = p->whole->tile->columns, first = begin * width, last = cpu_smaller(end * width, p->size.n);
    cpu_gemm_pack(b->at + p->l * b->row + (p->j + first) * b->column, b->column, b->row, last - first, p->size.k,
                  (int)width, p->b + first * p->size.k);
}

static void pack_a(void *context, int64_t begin, int64_t end) {
    const piece *p = context;
    const strided *a = &p->whole->a;
    int64_t width = p->whole->tile->rows, first = begin * width, last = cpu_smaller(end * width, p->size.m);
    cpu_gemm_pack(a->at + (p->i + first) * a->row + p->l * a->column, a->row, a->column, last - first, p->size.k,
                  (int)width, p->a + first * p->size.k);
}

static void run_cell(const piece *p, int64_t i0, int64_t j0) {
    const cpu_tile *tile = p->whole->tile;
    int64_t m = cpu_smaller(i0 + p->cell_rows, p->size.m), n = cpu_smaller(j0 + p->cell_columns, p->size.n);
    for (int64_t l = 0; l < p->size.k; l += BLOCK_K) {
        int64_t k = cpu_smaller(BLOCK_K, p->size.k - l);
        bool add = p->whole->add || p->l + l > 0;
        for (int64_t j = j0; j < n; j += tile->columns) {
            const float *b = p->b + j * p->size.k + l * tile->columns;
            for (int64_t i = i0; i < m; i += tile->rows) {
                run_tile(p->whole, k, p->a + i * p->size.k + l * tile->rows, b, p->i + i, p->j + j, add);
            }
        }
    }
}

static int64_t cells_in_a_row(const piece *p) {
    return (p->size.n + p->cell_columns - 1) / p->cell_columns;
}

static void run_cells(void *context, int64_t begin, int64_t end) {
    const piece *p = context;
    for (int64_t cell = begin; cell < end; cell++) {
        run_cell(p, cell / cells_in_a_row(p) * p->cell_rows, cell % cells_in_a_row(p) * p->cell_columns);
    }
}

/* Cells of whole tiles, small enough that every thread has some to leave to others. */
static void choose_cells(piece *p, int threads) {
    const cpu_tile *tile = p->whole->tile;
    int64_t rows = (p->size.m + BLOCK_M - 1) / BLOCK_M, wanted = (CELLS * threads + rows - 1) / rows;
    int64_t columns = cpu_smaller((p->size.n + wanted - 1) / wanted, CELL_COLUMNS);
    p->cell_rows = rounded_up((p->size.m + rows - 1) / rows, tile->rows);
    p->cell_columns = rounded_up(columns, tile->columns);
}

/* Without a device by the calling thread. `work`: multiply-adds of one item. */
static void run_all(const cpu_device *device, int64_t n, int64_t work, cpu_range_fn fn, piece *p) {
    if (device == NULL) {
        fn(p, 0, n);
    } else {
        cpu_parallel(device, n, SMALL_WORK / work + 1, fn, p);
    }
}

static void multiply_piece(const cpu_device *device, piece *p) {
    const cpu_tile *tile = p->whole->tile;
    choose_cells(p, device != NULL ? device->threads : 1);
    int64_t cells = (p->size.m + p->cell_rows - 1) / p->cell_rows * cells_in_a_row(p);
    run_all(device, panels_of_a(p), tile->rows * p->size.k * PACK_WORK, pack_a, p);
    run_all(device, cells, p->cell_rows * p->cell_columns * p->size.k, run_cells, p);
}

/* `memory`: for one packed piece. */
static void multiply(const cpu_device *device, const product *work, extent most, float *memory) {
    int64_t k = cpu_smaller(work->k, most.k);
    piece p = {
        .whole = work, .a = memory, .b = memory + rounded_up(cpu_smaller(work->m, most.m), work->tile->rows) * k};
    for (p.j = 0; p.j < work->n; p.j += most.n) {
        p.size.n = cpu_smaller(most.n, work->n - p.j);
        for (p.l = 0; p.l < work->k; p.l += most.k) {
            p.size.k = cpu_smaller(most.k, work->k - p.l);
            run_all(device, panels_of_b(&p), work->tile->columns * p.size.k * PACK_WORK, pack_b, &p);
            for (p.i = 0; p.i < work->m; p.i += most.m) {
                p.size.m = cpu_smaller(most.m, work->m - p.i);
                multiply_piece(device, &p);
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

size_t cpu_gemm_blocked_bytes(void) {
    return (size_t)((alone.m + CPU_TILE_MAX_ROWS + alone.n + CPU_TILE_MAX_COLUMNS) * alone.k) * sizeof(float);
}

void cpu_gemm_blocked_serial(const cpu_tile *tile, const cpu_gemm *gemm, void *memory) {
    product work = product_of(tile, gemm);
    multiply(NULL, &work, alone, memory);
}

cg_status cpu_gemm_blocked(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    product work = product_of(tile, gemm);
    int64_t rows = rounded_up(cpu_smaller(work.m, together.m), tile->rows);
    int64_t columns = rounded_up(cpu_smaller(work.n, together.n), tile->columns);
    float *memory = cpu_scratch(device, (size_t)((rows + columns) * cpu_smaller(work.k, together.k)) * sizeof *memory);
    if (memory == NULL) {
        return CG_ERR_MEMORY;
    }
    multiply(device, &work, together, memory);
    return CG_OK;
}
