/* Padding and its gradient: where each element of the output comes from. */
#include "real.h"

typedef struct pad {
    const cg_pad_attrs *attrs;
    const int64_t *in, *out; /* outer and three axes */
} pad;

/* The element along an axis that element `o` of the output is; -1: the constant. */
static int64_t source(const pad *p, int axis, int64_t o) {
    int64_t i = o - p->attrs->front[axis], size = p->in[1 + axis];
    bool before = i < 0, behind = i >= size;
    switch (p->attrs->mode) {
    case CG_PAD_REFLECT:
        return before ? -i : behind ? 2 * (size - 1) - i : i;
    case CG_PAD_REPLICATE:
        return before ? 0 : behind ? size - 1 : i;
    case CG_PAD_CIRCULAR:
        return before ? i + size : behind ? i - size : i;
    default:
        return before || behind ? -1 : i;
    }
}

/* The element of x that element `index` of y is; -1: the constant. */
static int64_t element_of(const pad *p, int64_t index) {
    int64_t w = source(p, 2, index % p->out[3]), h = source(p, 1, index / p->out[3] % p->out[2]);
    int64_t d = source(p, 0, index / (p->out[3] * p->out[2]) % p->out[1]);
    int64_t outer = index / (p->out[3] * p->out[2] * p->out[1]);
    return d < 0 || h < 0 || w < 0 ? -1 : ((outer * p->in[1] + d) * p->in[2] + h) * p->in[3] + w;
}

cg_status REF(pad)(const cg_op *op) {
    pad p = {op->attrs, op->inputs[0].shape.dim, op->outputs[0].shape.dim};
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {
        int64_t from = element_of(&p, i);
        y[i] = from >= 0 ? x[from] : R(p.attrs->value);
    }
    return CG_OK;
}

cg_status REF(pad_backward)(const cg_op *op) {
    pad p = {op->attrs, op->outputs[0].shape.dim, op->inputs[0].shape.dim};
    const real *dy = elements(&op->inputs[0]);
    real *dx = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n && !(op->accumulate & 1u); i++) {
        dx[i] = R(0.0);
    }
    for (int64_t i = 0, n = cg_shape_numel(&op->inputs[0].shape); i < n; i++) {
        int64_t to = element_of(&p, i);
        if (to >= 0) {
            dx[to] += dy[i];
        }
    }
    return CG_OK;
}
