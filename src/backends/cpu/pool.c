/*
 * Max pooling: of a row of outputs, one tap of all windows after the other, so that neighbours are compared together.
 * The order of the taps, and so the place of a maximum, is the reference's. Adaptive windows are left to it.
 */
#include <math.h>
#include <string.h>

#include "cpu.h"

#define GRAIN 8192 /* elements */

typedef struct pooling {
    const cg_pool_attrs *attrs;
    int64_t in[2], out[2]; /* rows, columns */
    const float *x, *dy;
    float *y, *dx;
    int32_t *index;
    bool add;
} pooling;

/* Compares y[o] with the element at place + o stride of the plane, for all outputs that have it. */
static inline void compare(const float *plane, int64_t stride, int64_t place, cpu_overlap all, float *y,
                           int32_t *index) {
#pragma omp simd
    for (int64_t o = all.first; o < all.end; o++) {
        float value = plane[place + o * stride];
        bool larger = index[o] < 0 || value > y[o] || (isnan(value) && !isnan(y[o]));
        y[o] = larger ? value : y[o];
        index[o] = larger ? (int32_t)(place + o * stride) : index[o];
    }
}

/* One tap of the row's windows; with the stride of most networks as a number that the compiler knows. */
static inline void compare_tap(const pooling *p, const float *plane, int64_t row, int64_t tap, float *y,
                               int32_t *index) {
    int64_t start = tap * p->attrs->dilation[1] - p->attrs->padding[1], stride = p->attrs->stride[1];
    cpu_overlap all = cpu_overlap_of(start, stride, p->in[1], p->out[1]);
    int64_t place = row * p->in[1] + start;
    if (stride == 1) {
        compare(plane, 1, place, all, y, index);
    } else if (stride == 2) {
        compare(plane, 2, place, all, y, index);
    } else {
        compare(plane, stride, place, all, y, index);
    }
}

static inline void pool_row(const pooling *p, const float *plane, int64_t o, float *y, int32_t *index) {
    const cg_pool_attrs *attrs = p->attrs;
    for (int64_t i = 0; i < p->out[1]; i++) {
        y[i] = -INFINITY;
        index[i] = -1;
    }
    for (int64_t i = 0; i < attrs->kernel[0]; i++) {
        int64_t row = o * attrs->stride[0] - attrs->padding[0] + i * attrs->dilation[0];
        for (int64_t j = 0; j < attrs->kernel[1] && row >= 0 && row < p->in[0]; j++) {
            compare_tap(p, plane, row, j, y, index);
        }
    }
}

CPU_CLONES static void pool_planes(void *context, int64_t begin, int64_t end) {
    const pooling *p = context;
    for (int64_t row = begin * p->out[0]; row < end * p->out[0]; row++) {
        const float *plane = p->x + row / p->out[0] * p->in[0] * p->in[1];
        pool_row(p, plane, row % p->out[0], p->y + row * p->out[1], p->index + row * p->out[1]);
    }
}

static void spread_planes(void *context, int64_t begin, int64_t end) {
    const pooling *p = context;
    int64_t in = p->in[0] * p->in[1], out = p->out[0] * p->out[1];
    for (int64_t plane = begin; plane < end; plane++) {
        float *dx = p->dx + plane * in;
        const float *dy = p->dy + plane * out;
        const int32_t *index = p->index + plane * out;
        if (!p->add) {
            memset(dx, 0, (size_t)in * sizeof *dx);
        }
        for (int64_t i = 0; i < out; i++) {
            if (index[i] >= 0) {
                dx[index[i]] += dy[i];
            }
        }
    }
}

static pooling pooling_of(const cg_op *op, const cg_operand *x, const cg_operand *y, const cg_operand *index) {
    const int64_t *in = x->shape.dim, *out = y->shape.dim;
    return (pooling){.attrs = op->attrs,
                     .in = {in[1], in[2]},
                     .out = {out[1], out[2]},
                     .index = (int32_t *)index->buffer + index->offset,
                     .add = cpu_adds(op)};
}

static void run(const cpu_device *device, int64_t planes, cpu_range_fn fn, pooling *p) {
    cpu_parallel(device, planes, GRAIN / (p->in[0] * p->in[1] + 1) + 1, fn, p);
}

cg_status cpu_max_pool(cpu_device *device, const cg_op *op) {
    pooling p = pooling_of(op, &op->inputs[0], &op->outputs[0], &op->outputs[1]);
    if (p.attrs->adaptive) {
        return cpu_planes(device, op);
    }
    p.x = cpu_floats(&op->inputs[0]);
    p.y = cpu_floats(&op->outputs[0]);
    run(device, op->outputs[0].shape.dim[0], pool_planes, &p);
    return CG_OK;
}

cg_status cpu_max_pool_backward(cpu_device *device, const cg_op *op) {
    pooling p = pooling_of(op, &op->outputs[0], &op->inputs[0], &op->inputs[1]);
    p.dy = cpu_floats(&op->inputs[0]);
    p.dx = cpu_floats(&op->outputs[0]);
    run(device, op->outputs[0].shape.dim[0], spread_planes, &p);
    return CG_OK;
}
