/* Elementwise ops: one row of elementwise.def each; front ends and their one backward rule per number of inputs. */
#include <math.h>

#include "ops_common.h"

static void unary_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {node->inputs[0], node->outputs[0], cg_grad_of(tape, node->outputs[0])};
    cg_grad_emit(tape, node->inputs[0], NULL, node->kind->number + 1, node->attrs, inputs, 3);
}

static cg_tensor *unary(cg_tape *tape, uint32_t number, cg_tensor *x, const cg_elementwise_attrs *attrs) {
    const char *name = cg_kind(number)->name;
    if (!cg_tape_accepts(tape, name, &x, 1) || !cg_ops_float(tape, name, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), cg_tensor_shape(x));
    cg_record(tape, number, attrs, &x, 1, &y, 1, unary_backward);
    return y;
}

/* Whether the gradient of input `i` is dz as it is: no op is needed for it. */
static bool passes_through(uint32_t number, uint32_t i) {
    return number == CG_OP_ADD || (number == CG_OP_SUB && i == 0);
}

static void binary_backward_of(cg_tape *tape, const cg_node *node, uint32_t i) {
    cg_tensor *dz = cg_grad_of(tape, node->outputs[0]), *target = node->inputs[i];
    bool same = cg_shape_equal(cg_tensor_shape(target), cg_tensor_shape(dz));
    cg_tensor *inputs[] = {node->inputs[0], node->inputs[1], dz};
    uint32_t number = node->kind->number + 1 + i;
    if (passes_through(node->kind->number, i)) {
        cg_ops_sum_to(tape, target, dz, 1.0);
    } else if (same) {
        cg_grad_emit(tape, target, NULL, number, node->attrs, inputs, 3);
    } else {
        cg_tensor *full = cg_tape_tensor(tape, cg_tensor_dtype(dz), cg_tensor_shape(dz));
        cg_record(tape, number, node->attrs, inputs, 3, &full, 1, NULL);
        cg_ops_sum_to(tape, target, full, 1.0);
    }
}

static void binary_backward(cg_tape *tape, const cg_node *node) {
    for (uint32_t i = 0; i < 2; i++) {
        if (cg_grad_wanted(tape, node->inputs[i])) {
            binary_backward_of(tape, node, i);
        }
    }
}

static cg_tensor *binary(cg_tape *tape, uint32_t number, cg_tensor *a, cg_tensor *b) {
    const char *name = cg_kind(number)->name;
    cg_tensor *inputs[] = {a, b};
    if (!cg_tape_accepts(tape, name, inputs, 2) || !cg_ops_float(tape, name, a)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_tensor_dtype(a) != cg_tensor_dtype(b)) {
        return cg_tape_fail(tape, CG_ERR_DTYPE, "%s: a is %s, b is %s", name, cg_dtype_name(cg_tensor_dtype(a)),
                            cg_dtype_name(cg_tensor_dtype(b)));
    }
    cg_shape shape;
    if (cg_shape_broadcast(cg_tensor_shape(a), cg_tensor_shape(b), &shape) != CG_OK) {
        return cg_tape_fail_status(tape, cg_fail_context(CG_ERR_SHAPE, "%s: ", name));
    }
    cg_tensor *z = cg_tape_tensor(tape, cg_tensor_dtype(a), &shape);
    cg_record(tape, number, NULL, inputs, 2, &z, 1, binary_backward);
    return z;
}

cg_tensor *cg_add(cg_tape *tape, cg_tensor *a, cg_tensor *b) {
    return binary(tape, CG_OP_ADD, a, b);
}

cg_tensor *cg_sub(cg_tape *tape, cg_tensor *a, cg_tensor *b) {
    return binary(tape, CG_OP_SUB, a, b);
}

cg_tensor *cg_mul(cg_tape *tape, cg_tensor *a, cg_tensor *b) {
    return binary(tape, CG_OP_MUL, a, b);
}

cg_tensor *cg_scale(cg_tape *tape, cg_tensor *x, double factor) {
    return unary(tape, CG_OP_SCALE, x, &(cg_elementwise_attrs){.p = {factor}});
}

cg_tensor *cg_square(cg_tape *tape, cg_tensor *x) {
    return unary(tape, CG_OP_SQUARE, x, NULL);
}

cg_tensor *cg_relu(cg_tape *tape, cg_tensor *x) {
    return unary(tape, CG_OP_RELU, x, NULL);
}

cg_tensor *cg_general_relu(cg_tape *tape, cg_tensor *x, double leak, double sub, double maxv) {
    return unary(tape, CG_OP_GENERAL_RELU, x, &(cg_elementwise_attrs){.p = {leak, sub, maxv}});
}
