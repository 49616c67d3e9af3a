/* Maxima and means of windows, and their gradients: every window by itself. */
#include "real.h"

typedef struct pool {
    const cg_pool_attrs *attrs;
    int64_t planes, in[2], out[2];
} pool;

static pool pool_of(const cg_op *op, const cg_operand *x, const cg_operand *y) {
    const int64_t *in = x->shape.dim, *out = y->shape.dim;
    return (pool){op->attrs, in[0], {in[1], in[2]}, {out[1], out[2]}};
}

/* The part of a window inside the input, along one axis: first, first + step, .. before end. */
typedef struct window {
    int64_t first, end, step;
    int64_t counted; /* elements that a mean is over */
} window;

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static window window_of(const pool *p, int axis, int64_t o) {
    const cg_pool_attrs *attrs = p->attrs;
    int64_t in = p->in[axis], out = p->out[axis];
    if (attrs->adaptive) {
        window adaptive = {.first = o * in / out, .end = ceil_div((o + 1) * in, out), .step = 1};
        adaptive.counted = adaptive.end - adaptive.first;
        return adaptive;
    }
    int64_t step = attrs->dilation[axis], start = o * attrs->stride[axis] - attrs->padding[axis];
    int64_t stop = start + step * (attrs->kernel[axis] - 1) + 1;
    window w = {.first = start < 0 ? start + ceil_div(-start, step) * step : start, .step = step};
    w.end = smaller(stop, in);
    w.counted = attrs->count_include_pad ? smaller(stop, in + attrs->padding[axis]) - start : w.end - w.first;
    return w;
}

/* The place of the largest element of a window; the first of equals, NaN before all; -1: there is none. */
static int64_t largest(const real *plane, int64_t width, window rows, window columns) {
    int64_t best = -1;
    for (int64_t h = rows.first; h < rows.end; h += rows.step) {
        for (int64_t w = columns.first; w < columns.end; w += columns.step) {
            real value = plane[h * width + w];
            if (best < 0 || value > plane[best] || (isnan(value) && !isnan(plane[best]))) {
                best = h * width + w;
            }
        }
    }
    return best;
}

cg_status REF(max_pool)(const cg_op *op) {
    pool p = pool_of(op, &op->inputs[0], &op->outputs[0]);
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    int32_t *index = (int32_t *)op->outputs[1].buffer + op->outputs[1].offset;
    for (int64_t i = 0; i < p.planes * p.out[0]; i++) {
        const real *plane = x + i / p.out[0] * p.in[0] * p.in[1];
        window rows = window_of(&p, 0, i % p.out[0]);
        for (int64_t o = 0; o < p.out[1]; o++) {
            int64_t best = largest(plane, p.in[1], rows, window_of(&p, 1, o));
            index[i * p.out[1] + o] = (int32_t)best;
            y[i * p.out[1] + o] = best >= 0 ? plane[best] : R(-INFINITY);
        }
    }
    return CG_OK;
}

/* What a gradient that is spread over its output begins with. */
static void clear(const cg_op *op) {
    real *out = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n && !(op->accumulate & 1u); i++) {
        out[i] = R(0.0);
    }
}

cg_status REF(max_pool_backward)(const cg_op *op) {
    pool p = pool_of(op, &op->outputs[0], &op->inputs[0]);
    const real *dy = elements(&op->inputs[0]);
    const int32_t *index = (const int32_t *)op->inputs[1].buffer + op->inputs[1].offset;
    real *dx = elements(&op->outputs[0]);
    int64_t windows = p.out[0] * p.out[1];
    clear(op);
    for (int64_t i = 0; i < p.planes * windows; i++) {
        if (index[i] >= 0) {
            dx[i / windows * p.in[0] * p.in[1] + index[i]] += dy[i];
        }
    }
    return CG_OK;
}

/* What the sum of a window is divided by. */
static double divisor_of(const pool *p, window rows, window columns) {
    return p->attrs->divisor != 0 ? (double)p->attrs->divisor : (double)(rows.counted * columns.counted);
}

cg_status REF(avg_pool)(const cg_op *op) {
    pool p = pool_of(op, &op->inputs[0], &op->outputs[0]);
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t i = 0; i < p.planes * p.out[0]; i++) {
        const real *plane = x + i / p.out[0] * p.in[0] * p.in[1];
        window rows = window_of(&p, 0, i % p.out[0]);
        for (int64_t o = 0; o < p.out[1]; o++) {
            window columns = window_of(&p, 1, o);
            double sum = 0.0;
            for (int64_t h = rows.first; h < rows.end; h++) {
                for (int64_t w = columns.first; w < columns.end; w++) {
                    sum += (double)plane[h * p.in[1] + w];
                }
            }
            y[i * p.out[1] + o] = (real)(sum / divisor_of(&p, rows, columns));
        }
    }
    return CG_OK;
}

cg_status REF(avg_pool_backward)(const cg_op *op) {
    pool p = pool_of(op, &op->outputs[0], &op->inputs[0]);
    const real *dy = elements(&op->inputs[0]);
    clear(op);
    for (int64_t i = 0; i < p.planes * p.out[0]; i++) {
        real *plane = elements(&op->outputs[0]) + i / p.out[0] * p.in[0] * p.in[1];
        window rows = window_of(&p, 0, i % p.out[0]);
        for (int64_t o = 0; o < p.out[1]; o++) {
            window columns = window_of(&p, 1, o);
            real share = (real)((double)dy[i * p.out[1] + o] / divisor_of(&p, rows, columns));
            for (int64_t h = rows.first; h < rows.end; h++) {
                for (int64_t w = columns.first; w < columns.end; w++) {
                    plane[h * p.in[1] + w] += share;
                }
            }
        }
    }
    return CG_OK;
}
