/*
 * Products of many rows and few columns, as in a narrow layer's forward pass, which libraries do badly: packing such an
 * `a` costs as much as a good part of the product. Here b is packed once, as a whole, and stays in the second cache,
 * and the rows of a are read where they are, each once.
 */
#include <math.h>
#include <string.h>

#include "matmul.h"

#define MOST_COLUMNS 96
#define LEAST_ROWS 256
#define LEAST_K 64
#define MOST_B 98304 /* floats of packed b: 384 KiB */
#define BLOCK_K 512
#define MOST_DOTS 4       /* columns beyond whole vectors, two by two; more are worth a vector */
#define WORK_GRAIN 131072 /* multiply-adds */

typedef struct narrow {
    const cpu_tile *tile;
    const cpu_gemm *gemm;
    int64_t block; /* of k */
    int64_t wide;  /* columns in wide panels */
    int64_t whole; /* with those of the high panel; the last of a panel may be zeros */
    int64_t width; /* with those of the dots, of which the last may be zeros */
    float *packed; /* block after block its panels [block, columns of the panel]; then the dots' columns [k] */
} narrow;

static narrow narrow_of(const cpu_tile *tile, const cpu_gemm *gemm) {
    int64_t blocks = (gemm->k + BLOCK_K - 1) / BLOCK_K, half = tile->columns / 2;
    int64_t dots = gemm->n % half <= MOST_DOTS ? gemm->n % half : 0;
    int64_t whole = (gemm->n - dots + half - 1) / half * half;
    return (narrow){.tile = tile,
                    .gemm = gemm,
                    .block = (gemm->k + blocks - 1) / blocks,
                    .wide = whole / tile->columns * tile->columns,
                    .whole = whole,
                    .width = whole + (dots + 1) / 2 * 2};
}

bool cpu_gemm_is_narrow(const cpu_tile *tile, const cpu_gemm *gemm) {
    return !gemm->transpose_a && gemm->n > 1 && gemm->n <= MOST_COLUMNS && gemm->m >= LEAST_ROWS &&
           gemm->k >= LEAST_K && narrow_of(tile, gemm).width * gemm->k <= MOST_B;
}

/* The columns from `whole` on, of which one may be missing. */
static void pack_dots(const narrow *work, int64_t line, int64_t step) {
    const cpu_gemm *gemm = work->gemm;
    float *to = work->packed + work->whole * gemm->k;
    if (work->whole < gemm->n) {
        cpu_gemm_pack(gemm->b + work->whole * line, line, step, gemm->n - work->whole, gemm->k, 1, to);
        memset(to + (gemm->n - work->whole) * gemm->k, 0, (size_t)((work->width - gemm->n) * gemm->k) * sizeof *to);
    }
}

static void pack(const narrow *work) {
    const cpu_gemm *gemm = work->gemm;
    int64_t line = gemm->transpose_b ? gemm->ldb : 1, step = gemm->transpose_b ? 1 : gemm->ldb;
    int64_t wide = cpu_smaller(work->wide, gemm->n), high = cpu_smaller(work->whole, gemm->n) - wide;
    for (int64_t l = 0; l < gemm->k; l += work->block) {
        int64_t k = cpu_smaller(work->block, gemm->k - l);
        const float *from = gemm->b + l * step;
        float *to = work->packed + l * work->whole;
        cpu_gemm_pack(from, line, step, wide, k, work->tile->columns, to);
        cpu_gemm_pack(from + wide * line, line, step, high, k, work->tile->columns / 2, to + work->wide * k);
    }
    pack_dots(work, line, step);
}

/* One tile's work on all of k, from row `first` on. */
static cpu_tile_rows rows_of(const narrow *work, int64_t first) {
    const cpu_gemm *gemm = work->gemm;
    return (cpu_tile_rows){.k = gemm->k, .lda = gemm->lda, .ldc = work->width, .a = gemm->a + first * gemm->lda};
}

/* A block of k; every tile asks for two more of the rows that come next. */
static cpu_tile_rows block_of(const narrow *work, int64_t first, int64_t l, int64_t tile) {
    cpu_tile_rows rows = rows_of(work, first);
    int64_t height = 2 * work->tile->rows;
    rows.k = cpu_smaller(work->block, rows.k - l);
    rows.a += l;
    rows.prefetch = rows.a + (height + 2 * tile % height) * rows.lda;
    rows.add = l > 0;
    return rows;
}

/* As many rows as the high tile has, from row `first` on, times whole vectors of columns. */
static void multiply_block(const narrow *work, int64_t first, int64_t l, float *sums) {
    const cpu_tile *tile = work->tile;
    const float *b = work->packed + l * work->whole;
    for (int64_t j = 0; j < 2 * work->wide; j += tile->columns) {
        cpu_tile_rows rows = block_of(work, first, l, j / tile->columns);
        int64_t panel = j / 2 / tile->columns * tile->columns, row = j / tile->columns % 2 * tile->rows;
        rows.a += row * rows.lda;
        rows.b = b + panel * rows.k;
        rows.c = sums + row * work->width + panel;
        tile->run_wide(&rows);
    }
    if (work->wide < work->whole) {
        cpu_tile_rows rows = block_of(work, first, l, 2 * work->wide / tile->columns);
        rows.b = b + work->wide * rows.k;
        rows.c = sums + work->wide;
        tile->run_high(&rows);
    }
}

static void multiply_rows(const narrow *work, int64_t first, float *sums) {
    const int64_t height = 2 * work->tile->rows;
    for (int64_t l = 0; l < work->gemm->k; l += work->block) {
        multiply_block(work, first, l, sums);
    }
    for (int64_t j = work->whole; j < work->width; j += 2) {
        for (int64_t row = 0; row < height; row += work->tile->rows) {
            cpu_tile_rows rows = rows_of(work, first + row);
            rows.b = work->packed + j * rows.k;
            rows.c = sums + row * work->width + j;
            work->tile->run_dots(&rows);
        }
    }
}

/* The rows begin..end-1 of c from their sums, with bias and ReLU. */
CPU_CLONES static void put_rows(const cpu_gemm *gemm, const float *sums, int64_t width, int64_t begin, int64_t end) {
    const float *bias = gemm->bias;
    float least = gemm->relu ? 0.0f : -INFINITY;
    for (int64_t row = begin; row < end; row++, sums += width) {
        float *c = gemm->c + row * gemm->ldc;
#pragma omp simd
        for (int64_t j = 0; j < gemm->n; j++) {
            float value = gemm->add ? c[j] + sums[j] : sums[j];
            value = bias != NULL ? value + bias[j] : value;
            c[j] = value <= least ? least : value;
        }
    }
}

/* Asks memory for what put_rows will write. */
static void prefetch_rows(const cpu_gemm *gemm, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        for (int64_t j = 0; j < gemm->n; j += 16) {
            __builtin_prefetch(gemm->c + row * gemm->ldc + j, 1);
        }
    }
}

/* Groups of rows; the last one begins earlier where rows are missing, and leaves out what is done. */
static void run_groups(void *context, int64_t begin, int64_t end) {
    const narrow *work = context;
    float sums[2 * CPU_TILE_MAX_ROWS * (MOST_COLUMNS + CPU_TILE_MAX_COLUMNS)];
    int64_t height = 2 * work->tile->rows;
    for (int64_t group = begin; group < end; group++) {
        int64_t row = group * height, first = cpu_smaller(row, work->gemm->m - height);
        int64_t last = cpu_smaller(row + height, work->gemm->m);
        prefetch_rows(work->gemm, row, last);
        multiply_rows(work, first, sums);
        put_rows(work->gemm, sums + (row - first) * work->width, work->width, row, last);
    }
}

cg_status cpu_gemm_narrow(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    narrow work = narrow_of(tile, gemm);
    work.packed = cpu_scratch(device, (size_t)(work.width * gemm->k) * sizeof(float));
    if (work.packed == NULL) {
        return CG_ERR_MEMORY;
    }
    pack(&work);
    int64_t height = 2 * tile->rows, groups = (gemm->m + height - 1) / height;
    cpu_parallel(device, groups, WORK_GRAIN / (height * work.width * gemm->k) + 1, run_groups, &work);
    return CG_OK;
}
