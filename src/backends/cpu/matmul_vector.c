/* Products with a single row or column, where packing would cost more than the product: each element is read once. */
#include "matmul.h"

#define BLOCK_ROWS 256
#define BLOCK_K 256
#define WORK_GRAIN 32768

/* y = M v (+ y): M [rows, k]; steps between neighbours of each. Either row or column is 1. */
typedef struct vector_product {
    const float *matrix, *v;
    float *y;
    int64_t rows, k;
    int64_t row, column, y_step;
    bool add;
} vector_product;

CPU_CLONES static float dot(const float *x, const float *y, int64_t n) {
    cpu_lanes sums[2] = {{0}};
    int64_t i = 0;
    for (; i + 2 * CPU_LANES <= n; i += 2 * CPU_LANES) {
        sums[0] += *(const cpu_lanes *)(x + i) * *(const cpu_lanes *)(y + i);
        sums[1] += *(const cpu_lanes *)(x + i + CPU_LANES) * *(const cpu_lanes *)(y + i + CPU_LANES);
    }
    float lane[CPU_LANES], rest = 0.0f;
    *(cpu_lanes *)lane = sums[0] + sums[1];
    for (; i < n; i++) {
        rest += x[i] * y[i];
    }
    return rest + cpu_row_sum(lane, CPU_LANES);
}

/* Rows that lie one after the other in memory. */
static void dot_rows(void *context, int64_t begin, int64_t end) {
    const vector_product *work = context;
    for (int64_t i = begin; i < end; i++) {
        double sum = work->add ? (double)work->y[i * work->y_step] : 0.0;
        for (int64_t l = 0; l < work->k; l += BLOCK_K) {
            int64_t n = work->k - l < BLOCK_K ? work->k - l : BLOCK_K;
            sum += (double)dot(work->matrix + i * work->row + l, work->v + l, n);
        }
        work->y[i * work->y_step] = (float)sum;
    }
}

/* sums += the first `n` elements of `count` columns, each times its v. */
CPU_CLONES static void add_columns(const vector_product *work, int64_t row, int64_t n, int64_t l, int64_t count,
                                   float *sums) {
    float part[BLOCK_ROWS] = {0};
    for (int64_t i = l; i < l + count; i++) {
        const float *column = work->matrix + i * work->column + row;
        float factor = work->v[i];
#pragma omp simd
        for (int64_t j = 0; j < n; j++) {
            part[j] += factor * column[j];
        }
    }
    for (int64_t j = 0; j < n; j++) {
        sums[j] += part[j];
    }
}

/* Columns that lie one after the other in memory; the sums of some rows stay in the first cache. */
static void add_up(void *context, int64_t begin, int64_t end) {
    const vector_product *work = context;
    for (int64_t row = begin; row < end; row += BLOCK_ROWS) {
        int64_t n = end - row < BLOCK_ROWS ? end - row : BLOCK_ROWS;
        float sums[BLOCK_ROWS] = {0};
        for (int64_t l = 0; l < work->k; l += BLOCK_K) {
            add_columns(work, row, n, l, work->k - l < BLOCK_K ? work->k - l : BLOCK_K, sums);
        }
        for (int64_t j = 0; j < n; j++) {
            float *y = &work->y[(row + j) * work->y_step];
            *y = work->add ? *y + sums[j] : sums[j];
        }
    }
}

static vector_product vector_product_of(const cpu_gemm *gemm) {
    if (gemm->n == 1) {
        return (vector_product){gemm->a,
                                gemm->b,
                                gemm->c,
                                gemm->m,
                                gemm->k,
                                gemm->transpose_a ? 1 : gemm->lda,
                                gemm->transpose_a ? gemm->lda : 1,
                                gemm->ldc,
                                gemm->add};
    }
    return (vector_product){gemm->b,
                            gemm->a,
                            gemm->c,
                            gemm->n,
                            gemm->k,
                            gemm->transpose_b ? gemm->ldb : 1,
                            gemm->transpose_b ? 1 : gemm->ldb,
                            1,
                            gemm->add};
}

/* Elements from one number of the vector to the next. */
static int64_t vector_step(const cpu_gemm *gemm) {
    if (gemm->n == 1) {
        return gemm->transpose_b ? 1 : gemm->ldb;
    }
    return gemm->transpose_a ? gemm->lda : 1;
}

cg_status cpu_gemm_vector(cpu_device *device, const cpu_gemm *gemm) {
    vector_product work = vector_product_of(gemm);
    int64_t step = vector_step(gemm);
    if (step != 1) {
        float *packed = cpu_scratch(device, (size_t)gemm->k * sizeof *packed);
        if (packed == NULL) {
            return CG_ERR_MEMORY;
        }
        for (int64_t l = 0; l < gemm->k; l++) {
            packed[l] = work.v[l * step];
        }
        work.v = packed;
    }
    cpu_parallel(device, work.rows, WORK_GRAIN / gemm->k + 1, work.column == 1 ? dot_rows : add_up, &work);
    return CG_OK;
}
