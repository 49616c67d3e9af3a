/* The matmul op: bias and accumulation first, then each product of the batch by whatever does its shape best. */
#include "matmul.h"

#include <string.h>

#define PREFILL_GRAIN 32768
#define STREAM_FLOATS 4194304 /* beyond the caches */
#define BATCH_WORK 16777216   /* multiply-adds of one product above which all threads work on the same one */

/* Rows of c, one for each row of each product. */
typedef struct row_job {
    const cg_matmul_attrs *attrs;
    const float *bias; /* NULL: zeros */
    float *c;
    bool add;
} row_job;

CPU_CLONES static void prefill_rows(void *context, int64_t begin, int64_t end) {
    const row_job *work = context;
    const cg_matmul_attrs *attrs = work->attrs;
    const float *bias = work->bias;
    for (int64_t row = begin; row < end; row++) {
        float *c = work->c + row / attrs->m * attrs->stride_c + row % attrs->m * attrs->ldc;
        if (bias != NULL && work->add) {
#pragma omp simd
            for (int64_t j = 0; j < attrs->n; j++) {
                c[j] += bias[j];
            }
        } else if (bias != NULL) {
            memcpy(c, bias, (size_t)attrs->n * sizeof *c);
        } else if (!work->add) {
            memset(c, 0, (size_t)attrs->n * sizeof *c);
        }
    }
}

/* Makes c what the products are added to. */
static void prefill(const cpu_device *device, const cg_op *op, const float *bias) {
    const cg_matmul_attrs *attrs = op->attrs;
    row_job work = {attrs, bias, cpu_floats(&op->outputs[0]), cpu_adds(op)};
    cpu_parallel(device, attrs->batch * attrs->m, PREFILL_GRAIN / attrs->n + 1, prefill_rows, &work);
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

cg_status cpu_matmul(cpu_device *device, const cg_op *op) {
    const cg_matmul_attrs *attrs = op->attrs;
    bool biased = op->n_inputs > 2 && op->inputs[2].buffer != NULL;
    if (attrs->batch == 0 || attrs->m == 0 || attrs->n == 0) {
        return CG_OK;
    }
    if (biased || attrs->k == 0) {
        prefill(device, op, biased ? cpu_floats(&op->inputs[2]) : NULL);
    }
    if (attrs->k == 0) {
        return CG_OK;
    }
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    batch all = {.attrs = attrs,
                 .tile = tiles[0],
                 .first = {attrs->transpose_a != 0, attrs->transpose_b != 0, biased || cpu_adds(op), attrs->m, attrs->n,
                           attrs->k, attrs->lda, attrs->ldb, attrs->ldc, cpu_floats(&op->inputs[0]),
                           cpu_floats(&op->inputs[1]), cpu_floats(&op->outputs[0])}};
    return multiply_batch(device, &all);
}

CPU_CLONES static void relu_rows(void *context, int64_t begin, int64_t end) {
    const row_job *work = context;
    const cg_matmul_attrs *attrs = work->attrs;
    for (int64_t row = begin; row < end; row++) {
        float *c = work->c + row / attrs->m * attrs->stride_c + row % attrs->m * attrs->ldc;
#pragma omp simd
        for (int64_t j = 0; j < attrs->n; j++) {
            c[j] = c[j] <= 0.0f ? 0.0f : c[j];
        }
    }
}

/* In place, while the product is in the caches. */
cg_status cpu_matmul_relu(cpu_device *device, const cg_op *op) {
    const cg_matmul_attrs *attrs = op->attrs;
    CG_TRY(cpu_matmul(device, op));
    row_job work = {.attrs = attrs, .c = cpu_floats(&op->outputs[0])};
    if (attrs->n > 0) {
        cpu_parallel(device, attrs->batch * attrs->m, PREFILL_GRAIN / attrs->n + 1, relu_rows, &work);
    }
    return CG_OK;
}
