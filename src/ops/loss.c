/* Losses: cross-entropy of logits and classes, mean squared error. */
#include "ops_common.h"

cg_tensor *cg_ops_reduced(cg_tape *tape, cg_tensor *loss, cg_reduction reduction) {
    switch (reduction) {
    case CG_REDUCE_MEAN:
        return cg_mean(tape, loss, CG_ALL_AXES, false);
    case CG_REDUCE_SUM:
        return cg_sum(tape, loss, CG_ALL_AXES, false);
    case CG_REDUCE_NONE:
        return loss;
    }
    return cg_tape_fail(tape, CG_ERR_ARGUMENT, "a loss: %d is no reduction", (int)reduction);
}

static void cross_entropy_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dloss = cg_grad_of(tape, node->outputs[0]);
    cg_tensor *inputs[] = {node->inputs[0], node->inputs[1], node->outputs[1], dloss};
    if (dloss != NULL) {
        cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_CROSS_ENTROPY_BACKWARD, NULL, inputs, 4);
    }
}

/* What torch.nn.CrossEntropyLoss takes besides: logits [n, classes, ...], and probabilities for the target. */
static bool is_later(const cg_tensor *logits, const cg_tensor *target) {
    const cg_shape *x = cg_tensor_shape(logits), *y = cg_tensor_shape(target);
    bool real = cg_tensor_dtype(target) == CG_F32 || cg_tensor_dtype(target) == CG_F64;
    return real ? x->rank >= 1 && cg_shape_equal(x, y) : x->rank != 2 && x->rank >= 1 && y->rank == x->rank - 1;
}

static bool classes_fit(cg_tape *tape, const cg_tensor *logits, const cg_tensor *target) {
    const cg_shape *x = cg_tensor_shape(logits), *y = cg_tensor_shape(target);
    if (is_later(logits, target)) {
        cg_tape_fail(tape, CG_ERR_UNSUPPORTED,
                     "cross_entropy: logits %s with a target %s of %s are not there yet, only [n, classes] with [n]",
                     cg_shape_print(x, CG_SHAPE_TEXT), cg_shape_print(y, CG_SHAPE_TEXT),
                     cg_dtype_name(cg_tensor_dtype(target)));
        return false;
    }
    if (x->rank != 2 || y->rank != 1 || x->dim[0] != y->dim[0] || x->dim[1] == 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "cross_entropy: logits are %s, target is %s: [n, classes] and [n] expected",
                     cg_shape_print(x, CG_SHAPE_TEXT), cg_shape_print(y, CG_SHAPE_TEXT));
        return false;
    }
    cg_dtype dtype = cg_tensor_dtype(target);
    if (dtype != CG_I64 && dtype != CG_I32) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "cross_entropy: the target is %s: classes in i64 or i32 expected",
                     cg_dtype_name(dtype));
        return false;
    }
    return true;
}

cg_tensor *cg_cross_entropy(cg_tape *tape, cg_tensor *logits, cg_tensor *target, cg_reduction reduction) {
    cg_tensor *inputs[] = {logits, target};
    if (!cg_tape_accepts(tape, "cross_entropy", inputs, 2) || !cg_ops_float(tape, "cross_entropy", logits) ||
        !classes_fit(tape, logits, target)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape pairs = CG_SHAPE(cg_tensor_numel(target), 2);
    cg_tensor *outputs[] = {cg_tape_tensor(tape, cg_tensor_dtype(logits), cg_tensor_shape(target)),
                            cg_tape_tensor(tape, cg_tensor_dtype(logits), &pairs)};
    cg_record(tape, CG_OP_CROSS_ENTROPY, NULL, inputs, 2, outputs, 2, cross_entropy_backward);
    return cg_ops_reduced(tape, outputs[0], reduction);
}

cg_tensor *cg_mse_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction) {
    cg_tensor *inputs[] = {input, target};
    if (!cg_tape_accepts(tape, "mse_loss", inputs, 2)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (!cg_shape_equal(cg_tensor_shape(input), cg_tensor_shape(target))) {
        return cg_tape_fail(tape, CG_ERR_SHAPE,
                            "mse_loss: input is %s, target is %s: they must be equal (nothing is broadcast)",
                            cg_shape_print(cg_tensor_shape(input), CG_SHAPE_TEXT),
                            cg_shape_print(cg_tensor_shape(target), CG_SHAPE_TEXT));
    }
    return cg_ops_reduced(tape, cg_square(tape, cg_sub(tape, input, target)), reduction);
}
