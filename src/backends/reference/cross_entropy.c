/* Cross-entropy of logits [n, c] with classes [n], and its gradient. */
#include "real.h"
#include "target.h"

cg_status REF(cross_entropy)(const cg_op *op) {
    int64_t n = op->inputs[0].shape.dim[0], classes = op->inputs[0].shape.dim[1];
    const real *logits = elements(&op->inputs[0]);
    CG_TRY(target_check(&op->inputs[1], n, classes));
    for (int64_t row = 0; row < n; row++) {
        const real *x = logits + row * classes;
        log_sum sums = log_sum_exp(x, classes, 1);
        double label = (double)x[target_class(&op->inputs[1], row)];
        elements(&op->outputs[0])[row] = (real)(sums.largest - label + sums.log);
        elements(&op->outputs[1])[2 * row] = (real)sums.largest;
        elements(&op->outputs[1])[2 * row + 1] = (real)sums.log;
    }
    return CG_OK;
}

cg_status REF(cross_entropy_backward)(const cg_op *op) {
    int64_t n = op->inputs[0].shape.dim[0], classes = op->inputs[0].shape.dim[1];
    const real *logits = elements(&op->inputs[0]), *sums = elements(&op->inputs[2]), *dloss = elements(&op->inputs[3]);
    real *dlogits = elements(&op->outputs[0]);
    CG_TRY(target_check(&op->inputs[1], n, classes));
    for (int64_t row = 0; row < n; row++) {
        int64_t label = target_class(&op->inputs[1], row);
        for (int64_t j = 0; j < classes; j++) {
            double share = exp((double)logits[row * classes + j] - (double)sums[2 * row] - (double)sums[2 * row + 1]);
            put(op, &dlogits[row * classes + j], (double)dloss[row] * (share - (j == label ? 1.0 : 0.0)));
        }
    }
    return CG_OK;
}
