/* Log-softmax and softmax along one axis. */
#include "ops_common.h"

/* dx = dy - exp(y) sum(dy): the kernel does it from y and dy. */
static void log_softmax_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {node->outputs[0], cg_grad_of(tape, node->outputs[0])};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_LOG_SOFTMAX_BACKWARD, NULL, inputs, 2);
}

/* dx = y (dy - sum(y dy)) */
static void softmax_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {node->outputs[0], cg_grad_of(tape, node->outputs[0])};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_SOFTMAX_BACKWARD, NULL, inputs, 2);
}

static cg_tensor *along(cg_tape *tape, uint32_t number, cg_tensor *x, int axis, cg_backward_fn backward) {
    const char *name = cg_kind(number)->name;
    if (!cg_tape_accepts(tape, name, &x, 1) || !cg_ops_float(tape, name, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, name, x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), counted, counted);
    cg_tensor *input = cg_reshape(tape, x, &around);
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &around);
    cg_record(tape, number, NULL, &input, 1, &y, 1, backward);
    return cg_reshape(tape, y, cg_tensor_shape(x));
}

cg_tensor *cg_log_softmax(cg_tape *tape, cg_tensor *x, int axis) {
    return along(tape, CG_OP_LOG_SOFTMAX, x, axis, log_softmax_backward);
}

cg_tensor *cg_softmax(cg_tape *tape, cg_tensor *x, int axis) {
    return along(tape, CG_OP_SOFTMAX, x, axis, softmax_backward);
}
