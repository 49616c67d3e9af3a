/* sum, its gradient expand, and argmax: [outer, reduce, inner] to [outer, inner] and back. */
#include "real.h"

/* The loops of the three: sizes and where an element of either side lies. */
typedef struct axes {
    int64_t outer, reduce, inner;
} axes;

static axes axes_of(const cg_operand *operand) {
    const int64_t *dim = operand->shape.dim;
    return (axes){dim[0], dim[1], dim[2]};
}

static int64_t large(axes n, int64_t o, int64_t r, int64_t i) {
    return (o * n.reduce + r) * n.inner + i;
}

cg_status REF(sum)(const cg_op *op) {
    const cg_scale_attrs *attrs = op->attrs;
    axes n = axes_of(&op->inputs[0]);
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t o = 0; o < n.outer; o++) {
        for (int64_t i = 0; i < n.inner; i++) {
            double sum = 0.0;
            for (int64_t r = 0; r < n.reduce; r++) {
                sum += (double)x[large(n, o, r, i)];
            }
            put(op, &y[o * n.inner + i], sum * attrs->scale);
        }
    }
    return CG_OK;
}

cg_status REF(expand)(const cg_op *op) {
    const cg_scale_attrs *attrs = op->attrs;
    axes n = axes_of(&op->outputs[0]);
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t o = 0; o < n.outer; o++) {
        for (int64_t r = 0; r < n.reduce; r++) {
            for (int64_t i = 0; i < n.inner; i++) {
                put(op, &y[large(n, o, r, i)], (double)x[o * n.inner + i] * attrs->scale);
            }
        }
    }
    return CG_OK;
}

/* Larger than the best so far; NaN is larger than any number. */
static bool beats(real candidate, real best) {
    return candidate > best || (isnan(candidate) && !isnan(best));
}

cg_status REF(argmax)(const cg_op *op) {
    axes n = axes_of(&op->inputs[0]);
    const real *x = elements(&op->inputs[0]);
    int64_t *y = (int64_t *)op->outputs[0].buffer + op->outputs[0].offset;
    for (int64_t o = 0; o < n.outer; o++) {
        for (int64_t i = 0; i < n.inner; i++) {
            int64_t best = 0;
            for (int64_t r = 1; r < n.reduce; r++) {
                best = beats(x[large(n, o, r, i)], x[large(n, o, best, i)]) ? r : best;
            }
            y[o * n.inner + i] = best;
        }
    }
    return CG_OK;
}

cg_status REF(cumsum)(const cg_op *op) {
    bool reverse = ((const cg_cumsum_attrs *)op->attrs)->reverse != 0;
    axes n = axes_of(&op->inputs[0]);
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t o = 0; o < n.outer; o++) {
        for (int64_t i = 0; i < n.inner; i++) {
            double sum = 0.0;
            for (int64_t r = 0; r < n.reduce; r++) {
                int64_t at = large(n, o, reverse ? n.reduce - 1 - r : r, i);
                sum += (double)x[at];
                put(op, &y[at], sum);
            }
        }
    }
    return CG_OK;
}
