/* The matmul op: each product of the batch by whatever does its shape best, then bias and ReLU. */
#include "matmul.h"

#include <math.h>
#include <string.h>

#define ROW_GRAIN 32768
#define STREAM_FLOATS 4194304 /* beyond the caches */
#define BATCH_WORK 16777216   /* multiply-adds of one product above which all threads work on the same one */

CPU_CLONES static void finish_row(float *c, const float *bias, int64_t n, float least) {
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        float value = bias != NULL ? c[j] + bias[j] : c[j];
        c[j] = value <= least ? least : value;
    }
}

static bool has_finish(const cpu_gemm *gemm) {
    return gemm->bias != NULL || gemm->relu;
}

static void finish_rows(void *context, int64_t begin, int64_t end) {
    const cpu_gemm *gemm = context;
    for (int64_t row = begin; row < end; row++) {
        finish_row(gemm->c + row * gemm->ldc, gemm->bias, gemm->n, gemm->relu ? 0.0f : -INFINITY);
    }
}

/* The product over no k. */
static void clear(const cpu_gemm *gemm) {
    for (int64_t row = 0; row < gemm->m && !gemm->add; row++) {
        memset(gemm->c + row * gemm->ldc, 0, (size_t)gemm->n * sizeof *gemm->c);
    }
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
            if (gemm.k == 0) {
                clear(&gemm);
            } else if (!cpu_gemm_library_reentrant || !cpu_gemm_library(&gemm, 1)) {
                cpu_gemm_blocked_serial(all->tile, &gemm, all->memory + (size_t)part * cpu_gemm_blocked_bytes());
            }
            if (has_finish(&gemm)) {
                finish_rows(&gemm, 0, gemm.m);
            }
        }
    }
}

/* A narrow layer over very many rows, or the gradient of its weight: libraries stream the large matrix badly, or
 * compute columns that are not there. */
static bool streams(const cpu_tile *tile, const cpu_gemm *gemm) {
    return gemm->m * gemm->k > STREAM_FLOATS && (cpu_gemm_is_weight(tile, gemm) || cpu_gemm_is_narrow(tile, gemm));
}

static cg_status multiply_own(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    if (gemm->m == 1 || gemm->n == 1) {
        return cpu_gemm_vector(device, gemm);
    }
    return streams(tile, gemm) ? cpu_gemm_weight(device, tile, gemm) : cpu_gemm_blocked(device, tile, gemm);
}

static cg_status multiply(cpu_device *device, const cpu_tile *tile, cpu_gemm *gemm) {
    if (gemm->k == 0) {
        clear(gemm);
    } else if (streams(tile, gemm) || !cpu_gemm_library(gemm, device->threads)) {
        if (cpu_gemm_is_narrow(tile, gemm)) {
            return cpu_gemm_narrow(device, tile, gemm); /* finishes its rows while it has them */
        }
        CG_TRY(multiply_own(device, tile, gemm));
    }
    if (has_finish(gemm)) {
        cpu_parallel(device, gemm->m, ROW_GRAIN / gemm->n + 1, finish_rows, gemm);
    }
    return CG_OK;
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
    if (attrs->batch == 0 || attrs->m == 0 || attrs->n == 0) {
        return CG_OK;
    }
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    batch all = {.attrs = attrs,
                 .tile = tiles[0],
                 .first = {.transpose_a = attrs->transpose_a != 0,
                           .transpose_b = attrs->transpose_b != 0,
                           .add = cpu_adds(op),
                           .relu = relu,
                           .m = attrs->m,
                           .n = attrs->n,
                           .k = attrs->k,
                           .lda = attrs->lda,
                           .ldb = attrs->ldb,
                           .ldc = attrs->ldc,
                           .a = cpu_floats(&op->inputs[0]),
                           .b = cpu_floats(&op->inputs[1]),
                           .bias = cpu_optional(op, 2),
                           .c = cpu_floats(&op->outputs[0])}};
    return multiply_batch(device, &all);
}

cg_status cpu_matmul(cpu_device *device, const cg_op *op) {
    return run(device, op, false);
}

cg_status cpu_matmul_relu(cpu_device *device, const cg_op *op) {
    return run(device, op, true);
}
