/* log_softmax and softmax over the middle axis of [outer, dim, inner] and their gradients. */
#include "real.h"

cg_status REF(log_softmax)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t i = 0; i < dim[2]; i++) {
            int64_t first = o * dim[1] * dim[2] + i;
            log_sum sums = log_sum_exp(x + first, dim[1], dim[2]);
            for (int64_t d = 0; d < dim[1]; d++) {
                y[first + d * dim[2]] = (real)((double)x[first + d * dim[2]] - sums.largest - sums.log);
            }
        }
    }
    return CG_OK;
}

/* dx = dy - exp(y) sum(dy) */
cg_status REF(log_softmax_backward)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *y = elements(&op->inputs[0]), *dy = elements(&op->inputs[1]);
    real *dx = elements(&op->outputs[0]);
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t i = 0; i < dim[2]; i++) {
            int64_t first = o * dim[1] * dim[2] + i;
            double sum = 0.0;
            for (int64_t d = 0; d < dim[1]; d++) {
                sum += (double)dy[first + d * dim[2]];
            }
            for (int64_t d = 0; d < dim[1]; d++) {
                int64_t at = first + d * dim[2];
                put(op, &dx[at], (double)dy[at] - exp((double)y[at]) * sum);
            }
        }
    }
    return CG_OK;
}

cg_status REF(softmax)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t i = 0; i < dim[2]; i++) {
            int64_t first = o * dim[1] * dim[2] + i;
            log_sum sums = log_sum_exp(x + first, dim[1], dim[2]);
            for (int64_t d = 0; d < dim[1]; d++) {
                y[first + d * dim[2]] = (real)exp((double)x[first + d * dim[2]] - sums.largest - sums.log);
            }
        }
    }
    return CG_OK;
}

/* dx = y (dy - sum(y dy)) */
cg_status REF(softmax_backward)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *y = elements(&op->inputs[0]), *dy = elements(&op->inputs[1]);
    real *dx = elements(&op->outputs[0]);
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t i = 0; i < dim[2]; i++) {
            int64_t first = o * dim[1] * dim[2] + i;
            double sum = 0.0;
            for (int64_t d = 0; d < dim[1]; d++) {
                sum += (double)y[first + d * dim[2]] * (double)dy[first + d * dim[2]];
            }
            for (int64_t d = 0; d < dim[1]; d++) {
                int64_t at = first + d * dim[2];
                put(op, &dx[at], (double)y[at] * ((double)dy[at] - sum));
            }
        }
    }
    return CG_OK;
}
