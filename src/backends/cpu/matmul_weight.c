/*
 * The gradient of a narrow layer's weight: a transposed, many rows of both, few columns of b. Lanes are columns of a,
 * read where they are, and what is repeated comes from b, so that hardly any of b's width lies idle. Parts of k are
 * added up by themselves, whichever threads there are, and joined in their order.
 */
#include "matmul.h"

#include <string.h>

#define MOST_COLUMNS 96
#define MOST_SUMS 131072 /* c, of which every part has its own, for the second cache */
#define LEAST_K 2048
#define MOST_PARTS 64
#define BLOCK_K 256
#define JOIN_GRAIN 16384

typedef struct weight_product {
    const cpu_tile *tile;
    const cpu_gemm *gemm;
    int variant;         /* of tile->run_columns */
    int64_t rows, tiles; /* of c's columns: in a tile, and tiles of them */
    int64_t panels;      /* of tile->columns of c's rows; the last begins earlier where rows are missing */
    int64_t parts;       /* of k */
    int64_t sums, each;  /* floats of a part's sums [panels, tiles rows, tile->columns], and with its packed b */
    float *memory;       /* [parts, each] */
} weight_product;

bool cpu_gemm_is_weight(const cpu_tile *tile, const cpu_gemm *gemm) {
    return gemm->transpose_a && !gemm->transpose_b && gemm->n > 1 && gemm->n <= MOST_COLUMNS &&
           gemm->m >= tile->columns && gemm->m * gemm->n <= MOST_SUMS && gemm->k >= LEAST_K;
}

/* The tile that leaves least idle. */
static void choose_rows(weight_product *work) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < CPU_TILE_HEIGHTS; i++) {
        int64_t rows = cpu_tile_height(work->tile, i), tiles = (work->gemm->n + rows - 1) / rows;
        if (tiles * rows < least) {
            least = tiles * rows;
            work->variant = i;
            work->rows = rows;
            work->tiles = tiles;
        }
    }
}

static weight_product weight_product_of(const cpu_tile *tile, const cpu_gemm *gemm) {
    weight_product work = {.tile = tile,
                           .gemm = gemm,
                           .panels = (gemm->m + tile->columns - 1) / tile->columns,
                           .parts = cpu_smaller((gemm->k + BLOCK_K - 1) / BLOCK_K, MOST_PARTS)};
    choose_rows(&work);
    int64_t width = work.tiles * work.rows;
    work.sums = work.panels * width * tile->columns;
    work.each = work.sums + width * BLOCK_K;
    return work;
}

/* The column of a where the panel begins. */
static int64_t begin_of(const weight_product *work, int64_t panel) {
    return cpu_smaller(panel * work->tile->columns, work->gemm->m - work->tile->columns);
}

/* A panel's tiles over k rows of a from `row` on; they ask for `soon`'s rows, which come next. */
static void multiply_panel(const weight_product *work, int64_t panel, cpu_tile_rows rows, const float *soon) {
    const int64_t size = work->rows * rows.ldc, lines = (rows.k + work->tiles - 1) / work->tiles;
    rows.a += begin_of(work, panel);
    rows.c += panel * work->tiles * size;
    for (int64_t tile = 0; tile < work->tiles; tile++) {
        rows.prefetch = soon + tile * lines * rows.lda;
        work->tile->run_columns[work->variant](&rows);
        rows.b += rows.k * work->rows;
        rows.c += size;
    }
}

static void multiply_part(const weight_product *work, int64_t begin, int64_t end, float *sums) {
    const cpu_gemm *gemm = work->gemm;
    float *packed = sums + work->sums;
    for (int64_t l = begin; l < end; l += BLOCK_K) {
        cpu_tile_rows rows = {.k = cpu_smaller(BLOCK_K, end - l),
                              .lda = gemm->lda,
                              .ldc = work->tile->columns,
                              .a = gemm->a + l * gemm->lda,
                              .b = packed,
                              .c = sums,
                              .add = l > begin,
                              .every = work->tiles};
        cpu_gemm_pack(gemm->b + l * gemm->ldb, 1, gemm->ldb, gemm->n, rows.k, (int)work->rows, packed);
        for (int64_t panel = 0; panel < work->panels; panel++) {
            const float *next = panel + 1 < work->panels ? rows.a : rows.a + rows.k * gemm->lda;
            multiply_panel(work, panel, rows, next + begin_of(work, (panel + 1) % work->panels));
        }
    }
}

static void multiply_parts(void *context, int64_t begin, int64_t end) {
    const weight_product *work = context;
    for (int64_t part = begin; part < end; part++) {
        int64_t blocks = (work->gemm->k + BLOCK_K - 1) / BLOCK_K;
        int64_t first = blocks * part / work->parts * BLOCK_K, last = blocks * (part + 1) / work->parts * BLOCK_K;
        multiply_part(work, first, cpu_smaller(last, work->gemm->k), work->memory + part * work->each);
    }
}

/* A column of a panel of c: the parts' sums, one after the other. */
CPU_CLONES static void join_column(const weight_product *work, const float *sums, float *total) {
    const int64_t columns = work->tile->columns;
    memset(total, 0, (size_t)columns * sizeof *total);
    for (int64_t part = 0; part < work->parts; part++, sums += work->each) {
#pragma omp simd
        for (int64_t lane = 0; lane < columns; lane++) {
            total[lane] += sums[lane];
        }
    }
}

static void join_panels(void *context, int64_t begin, int64_t end) {
    const weight_product *work = context;
    const cpu_gemm *gemm = work->gemm;
    const int64_t columns = work->tile->columns;
    float total[CPU_TILE_MAX_COLUMNS];
    for (int64_t panel = begin; panel < end; panel++) {
        int64_t first = begin_of(work, panel);
        for (int64_t j = 0; j < gemm->n; j++) {
            join_column(work, work->memory + (panel * work->tiles * work->rows + j) * columns, total);
            for (int64_t i = panel * columns; i < cpu_smaller((panel + 1) * columns, gemm->m); i++) {
                float *c = gemm->c + i * gemm->ldc + j;
                *c = gemm->add ? *c + total[i - first] : total[i - first];
            }
        }
    }
}

cg_status cpu_gemm_weight(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    weight_product work = weight_product_of(tile, gemm);
    work.memory = cpu_scratch(device, (size_t)(work.parts * work.each) * sizeof *work.memory);
    if (work.memory == NULL) {
        return CG_ERR_MEMORY;
    }
    cpu_parallel(device, work.parts, 1, multiply_parts, &work);
    cpu_parallel(device, work.panels, JOIN_GRAIN / (tile->columns * gemm->n * work.parts) + 1, join_panels, &work);
    return CG_OK;
}
