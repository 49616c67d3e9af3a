/*
 * sum over the middle axis of [outer, reduce, inner]. The axis is cut into pieces whose length depends on the shape
 * alone; every piece gives a row of partial sums, and these are added in double, in order: the bits do not depend on
 * the number of threads.
 */
#include <string.h>

#include "cpu.h"
#include "host_memory.h"

#define GRAIN 16384
#define PIECE_ALONG 8192 /* elements of a piece where the axis is the fastest one */
#define PIECE_ACROSS 64  /* rows of a piece where it is not */

CPU_CLONES static float row_sum(const float *x, int64_t n) {
    cpu_lanes sums[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * CPU_LANES <= n; i += 4 * CPU_LANES) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            sums[k] += *(const cpu_lanes *)(x + i + k * CPU_LANES);
        }
    }
    float lane[CPU_LANES];
    cpu_lanes all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    memcpy(lane, &all, sizeof lane);
    float total = cpu_lanes_sum(lane);
    for (; i < n; i++) {
        total += x[i];
    }
    return total;
}

float cpu_row_sum(const float *x, int64_t n) {
    return row_sum(x, n);
}

/* sums = the sum of `count` rows of n floats. */
CPU_CLONES static void add_rows(const float *x, int64_t count, int64_t n, float *sums) {
    for (int64_t i = 0; i < n; i++) {
        sums[i] = x[i];
    }
    for (int64_t row = 1; row < count; row++) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            sums[i] += x[row * n + i];
        }
    }
}

typedef struct sum_job {
    const float *x;
    float *partial, *y;
    int64_t reduce, inner, piece, pieces;
    double scale;
    bool add;
} sum_job;

/* Pieces begin..end-1 of all: partial [outer, pieces, inner]. */
static void sum_pieces(void *context, int64_t begin, int64_t end) {
    const sum_job *work = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t first = i % work->pieces * work->piece;
        int64_t count = work->reduce - first < work->piece ? work->reduce - first : work->piece;
        const float *x = work->x + (i / work->pieces * work->reduce + first) * work->inner;
        if (work->inner == 1) {
            work->partial[i] = cpu_row_sum(x, count);
        } else {
            add_rows(x, count, work->inner, work->partial + i * work->inner);
        }
    }
}

/* Output elements begin..end-1: the sums of the partial ones. */
static void sum_partials(void *context, int64_t begin, int64_t end) {
    const sum_job *work = context;
    for (int64_t i = begin; i < end; i++) {
        const float *partial = work->partial + i / work->inner * work->pieces * work->inner + i % work->inner;
        double sum = 0.0;
        for (int64_t piece = 0; piece < work->pieces; piece++) {
            sum += (double)partial[piece * work->inner];
        }
        float result = (float)(sum * work->scale);
        work->y[i] = work->add ? work->y[i] + result : result;
    }
}

cg_status cpu_sum(cpu_device *device, const cg_op *op) {
    const cg_scale_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    if (cg_shape_numel(&op->inputs[0].shape) == 0) {
        return ref_run(op);
    }
    sum_job work = {.x = cpu_floats(&op->inputs[0]),
                    .y = cpu_floats(&op->outputs[0]),
                    .reduce = dim[1],
                    .inner = dim[2],
                    .scale = attrs->scale,
                    .add = cpu_adds(op)};
    work.piece = work.inner == 1 ? PIECE_ALONG : PIECE_ACROSS;
    work.pieces = (work.reduce + work.piece - 1) / work.piece;
    work.partial = cpu_scratch(device, (size_t)(dim[0] * work.pieces * dim[2]) * sizeof(float));
    if (work.partial == NULL) {
        return CG_ERR_MEMORY;
    }
    int64_t elements = (work.reduce < work.piece ? work.reduce : work.piece) * work.inner + 1;
    cpu_parallel(device, dim[0] * work.pieces, GRAIN / elements + 1, sum_pieces, &work);
    cpu_parallel(device, dim[0] * dim[2], GRAIN / work.pieces + 1, sum_partials, &work);
    return CG_OK;
}
