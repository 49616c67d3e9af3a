/* Cross-entropy of logits [n, c] with classes [n], its gradient, and the weights of classes. */
#include "real.h"
#include "target.h"

/* The factor of a row: operand number `input`, where it is there. */
static double factor_of(const cg_op *op, uint32_t input, int64_t row) {
    const real *factor = optional_elements(op, input);
    return factor != NULL ? (double)factor[row] : 1.0;
}

static int64_t ignored_class(const cg_op *op) {
    return ((const cg_class_attrs *)op->attrs)->ignored;
}

cg_status REF(cross_entropy)(const cg_op *op) {
    int64_t n = op->inputs[0].shape.dim[0], classes = op->inputs[0].shape.dim[1];
    const real *logits = elements(&op->inputs[0]);
    CG_TRY(target_check(op, &op->inputs[1], classes));
    for (int64_t row = 0; row < n; row++) {
        const real *x = logits + row * classes;
        log_sum sums = log_sum_exp(x, classes, 1);
        int64_t label = target_class(&op->inputs[1], row);
        double loss = label == ignored_class(op) ? 0.0 : sums.largest - (double)x[label] + sums.log;
        elements(&op->outputs[0])[row] = (real)(factor_of(op, 2, row) * loss);
        elements(&op->outputs[1])[2 * row] = (real)sums.largest;
        elements(&op->outputs[1])[2 * row + 1] = (real)sums.log;
    }
    return CG_OK;
}

cg_status REF(cross_entropy_backward)(const cg_op *op) {
    int64_t n = op->inputs[0].shape.dim[0], classes = op->inputs[0].shape.dim[1];
    const real *logits = elements(&op->inputs[0]), *sums = elements(&op->inputs[2]), *dloss = elements(&op->inputs[3]);
    real *dlogits = elements(&op->outputs[0]);
    CG_TRY(target_check(op, &op->inputs[1], classes));
    for (int64_t row = 0; row < n; row++) {
        int64_t label = target_class(&op->inputs[1], row);
        bool counts = label != ignored_class(op);
        double scale = (double)dloss[row] * factor_of(op, 4, row);
        for (int64_t j = 0; j < classes; j++) {
            double share = exp((double)logits[row * classes + j] - (double)sums[2 * row] - (double)sums[2 * row + 1]);
            put(op, &dlogits[row * classes + j], counts ? scale * (share - (j == label ? 1.0 : 0.0)) : 0.0);
        }
    }
    return CG_OK;
}

cg_status REF(class_weights)(const cg_op *op) {
    const cg_class_attrs *attrs = op->attrs;
    const cg_operand *target = &op->inputs[0], *classes = &op->outputs[1];
    const real *weight = optional_elements(op, 1);
    int64_t n = cg_shape_numel(&target->shape);
    real *factor = elements(&op->outputs[0]);
    double sum = 0.0;
    CG_TRY(attrs->classes > 0 ? target_check(op, target, attrs->classes) : CG_OK);
    for (int64_t row = 0; row < n; row++) {
        int64_t label = target_class(target, row);
        bool counts = label != attrs->ignored;
        factor[row] = !counts ? R(0.0) : weight != NULL ? weight[label] : R(1.0);
        sum += (double)factor[row];
        if (classes->buffer != NULL) {
            ((int64_t *)classes->buffer)[classes->offset + (size_t)row] = counts ? label : 0;
        }
    }
    for (int64_t row = 0; row < n && attrs->mean != 0; row++) {
        factor[row] = (real)((double)factor[row] / sum);
    }
    return CG_OK;
}
