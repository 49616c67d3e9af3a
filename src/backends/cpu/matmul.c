/* The matmul op: each product of the batch by whatever does its shape best, then bias and ReLU. */
#include "matmul.h"

#include <math.h>
#include <string.h>

#define ROW_GRAIN 32768
#define STREAM_FLOATS 4194304 /* beyond the caches */
#define BATCH_WORK 16777216   /* multiply-adds of one product above which all threads work on the same one */

/* Rows of c, one for each row of each product. */
typedef struct row_job {
    const cg_matmul_attrs *attrs;
    const float *bias; /* NULL: none */
    float *c;
    bool relu;
} row_job;

static float *row_of(const row_job *work, int64_t row) {
    const cg_matmul_attrs *attrs = work->attrs;
    return work->c + row / attrs->m * attrs->stride_c + row % attrs->m * attrs->ldc;
}

static void clear_rows(void *context, int64_t begin, int64_t end) {
    const row_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        memset(row_of(work, row), 0, (size_t)work->attrs->n * sizeof *work->c);
    }
}

CPU_CLONES static void finish_row(float *c, const float *bias, int64_t n, float least) {
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        float value = bias != NULL ? c[j] + bias[j] : c[j];
        c[j] = value <= least ? least : value;
    }
}

/* Bias and ReLU, while the product is in the caches. */
static void finish_rows(void *context, int64_t begin, int64_t end) {
    const row_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        finish_row(row_of(work, row), work->bias, work->attrs->n, work->relu ? 0.0f : -INFINITY);
    }
}

static void run_rows(const cpu_device *device, cpu_range_fn fn, row_job *work) {
    const cg_matmul_attrs *attrs = work->attrs;
    cpu_parallel(device, attrs->batch * attrs->m, ROW_GRAIN / attrs->n + 1, fn, work);
}

typedef struct batch {
    const cg_matmul_attrs *attrs;
    cpu_gemm first;
    const cpu_tile *tile;
    int64_t parts;
    char *memory;
} batch;

static cpu_gemm gemm_of(const batch *all, int64_t i) {
    cpu_gemm gemm = all->first;
    gemm.a += i * all->attrs->stride_a;
    gemm.b += i * all->attrs->stride_b;
    gemm.c += i * all->attrs->stride_c;
    return gemm;
}

/* Parts begin..end-1 of the batch, one thread each: with memory of its own where there is no library. */
static void multiply_parts(void *context, int64_t begin, int64_t end) {
    const batch *all = context;
    for (int64_t part = begin; part < end; part++) {
        int64_t last = all->attrs->batch * (part + 1) / all->parts;
        for (int64_t i = all->attrs->batch * part / all->parts; i < last; i++) {
            cpu_gemm gemm = gemm_of(all, i);
            if (!cpu_gemm_library_reentrant || !cpu_gemm_library(&gemm, 1)) {
                cpu_gemm_blocked_serial(all->tile, &gemm, all->memory + (size_t)part * cpu_gemm_blocked_bytes());
            }
        }
    }
}

/* A narrow layer over very many rows, or the gradient of its weight: libraries stream the large matrix badly. */
static bool streams(const cpu_tile *tile, const cpu_gemm *gemm) {
    bool weight = gemm->transpose_a && gemm->n <= 16 && gemm->m > 16;
    return gemm->m * gemm->k > STREAM_FLOATS && (weight || cpu_gemm_is_narrow(tile, gemm));
}

static cg_status multiply(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    if (!streams(tile, gemm) && cpu_gemm_library(gemm, device->threads)) {
        return CG_OK;
    }
    if (gemm->m == 1 || gemm->n == 1) {
        return cpu_gemm_vector(device, gemm);
    }
    return cpu_gemm_is_narrow(tile, gemm) ? cpu_gemm_narrow(device, tile, gemm) : cpu_gemm_blocked(device, tile, gemm);
}

static cg_status multiply_batch(cpu_device *device, batch *all) {
    int64_t products = all->attrs->batch, work = all->first.m * all->first.n * all->first.k;
    if (products >= device->threads && products > 1 && work <= BATCH_WORK) {
        all->parts = device->threads;
        all->memory = cpu_scratch(device, (size_t)all->parts * cpu_gemm_blocked_bytes());
        if (all->memory == NULL) {
            return CG_ERR_MEMORY;
        }
        cpu_parallel(device, all->parts, 1, multiply_parts, all);
        return CG_OK;
    }
    for (int64_t i = 0; i < products; i++) {
        cpu_gemm gemm = gemm_of(all, i);
        CG_TRY(multiply(device, all->tile, &gemm));
    }
    return CG_OK;
}

static cg_status run(cpu_device *device, const cg_op *op, bool relu) {
    const cg_matmul_attrs *attrs = op->attrs;
    row_job rows = {attrs, cpu_optional(op, 2), cpu_floats(&op->outputs[0]), relu};
    if (attrs->batch == 0 || attrs->m == 0 || attrs->n == 0) {
        return CG_OK;
    }
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    batch all = {.attrs = attrs,
                 .tile = tiles[0],
                 .first = {attrs->transpose_a != 0, attrs->transpose_b != 0, cpu_adds(op), attrs->m, attrs->n, attrs->k,
                           attrs->lda, attrs->ldb, attrs->ldc, cpu_floats(&op->inputs[0]), cpu_floats(&op->inputs[1]),
                           rows.c}};
    if (attrs->k > 0) {
        CG_TRY(multiply_batch(device, &all));
    } else if (!cpu_adds(op)) {
        run_rows(device, clear_rows, &rows);
    }
    if (rows.bias != NULL || relu) {
        run_rows(device, finish_rows, &rows);
    }
    return CG_OK;
}

cg_status cpu_matmul(cpu_device *device, const cg_op *op) {
    return run(device, op, false);
}

cg_status cpu_matmul_relu(cpu_device *device, const cg_op *op) {
    return run(device, op, true);
}
