/* Checks and shapes that the front ends share. */
#include "ops_common.h"

bool cg_ops_float(cg_tape *tape, const char *op, const cg_tensor *tensor) {
    if (cg_tensor_dtype(tensor) == CG_F32 || cg_tensor_dtype(tensor) == CG_F64) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_DTYPE, "%s: a tensor of %s: f32 or f64 expected", op,
                 cg_dtype_name(cg_tensor_dtype(tensor)));
    return false;
}

bool cg_ops_alike(cg_tape *tape, const char *op, const cg_tensor *input, const char *role, const cg_tensor *tensor) {
    if (tensor == NULL || cg_tensor_dtype(tensor) == cg_tensor_dtype(input)) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_DTYPE, "%s: the input is %s %s, the %s %s %s: both alike expected", op,
                 cg_dtype_name(cg_tensor_dtype(input)), cg_shape_print(cg_tensor_shape(input), CG_SHAPE_TEXT), role,
                 cg_dtype_name(cg_tensor_dtype(tensor)), cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT));
    return false;
}

int cg_ops_axis(cg_tape *tape, const char *op, const cg_tensor *tensor, int axis) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    int counted = axis < 0 ? axis + shape->rank : axis;
    if (counted >= 0 && counted < shape->rank) {
        return counted;
    }
    cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: axis %d of a tensor of shape %s: %d to %d are possible", op, axis,
                 cg_shape_print(shape, CG_SHAPE_TEXT), -shape->rank, shape->rank - 1);
    return -1;
}

/* In f64 they take 8 bytes each. */
#define LARGEST_COUNT (INT64_MAX / 16)

static bool is_countable(const cg_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] > 0 && count > LARGEST_COUNT / shape->dim[i]) {
            return false;
        }
        count *= shape->dim[i] > 0 ? shape->dim[i] : 1;
    }
    return true;
}

static bool any_negative(const cg_shape *shape) {
    bool any = false;
    for (int i = 0; i < shape->rank; i++) {
        any = any || shape->dim[i] < 0;
    }
    return any;
}

bool cg_ops_shape_fits(cg_tape *tape, const char *op, const cg_shape *shape) {
    if (!cg_ops_given(tape, op, "the shape", shape)) {
        return false;
    }
    if (shape->rank < 0 || shape->rank > CG_MAX_RANK) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: a shape of %d axes: 0 to %d are possible", op, shape->rank, CG_MAX_RANK);
    } else if (any_negative(shape)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: shape %s has a negative dimension", op,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
    } else if (!is_countable(shape)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: a result of shape %s has more elements than can be counted", op,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

bool cg_ops_given(cg_tape *tape, const char *op, const char *what, const void *pointer) {
    if (pointer == NULL) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %s must not be NULL", op, what);
    }
    return cg_tape_status(tape) == CG_OK;
}

int64_t cg_ops_times(int64_t a, int64_t b) {
    return a > 0 && b > INT64_MAX / a ? INT64_MAX : a * b;
}

cg_tensor *cg_ops_result(cg_tape *tape, const char *op, cg_tensor *result) {
    if (cg_tape_status(tape) == CG_OK) {
        return result;
    }
    cg_status status = cg_fail(cg_tape_status(tape), "%s: %s", op, cg_tape_error(tape));
    return cg_tape_blame(tape, status);
}

cg_shape cg_ops_around(const cg_shape *shape, int first, int last) {
    cg_shape around = CG_SHAPE(1, 1, 1);
    for (int i = 0; i < shape->rank; i++) {
        around.dim[i < first ? 0 : i <= last ? 1 : 2] *= shape->dim[i];
    }
    return around;
}

cg_shape cg_ops_without(const cg_shape *shape, int axis) {
    cg_shape kept = {.rank = 0};
    for (int i = 0; i < shape->rank; i++) {
        if (i != axis) {
            kept.dim[kept.rank++] = shape->dim[i];
        }
    }
    return kept;
}

cg_tensor *cg_ops_filled(cg_tape *tape, cg_dtype dtype, const cg_shape *shape, double value) {
    cg_tensor *out = cg_tape_tensor(tape, dtype, shape);
    cg_fill_attrs attrs = {.value = value};
    cg_record(tape, CG_OP_FILL, &attrs, NULL, 0, &out, 1, NULL);
    return out;
}

static void nothing_backward(cg_tape *tape, const cg_node *node) {
    const cg_fill_attrs zero = {.value = 0.0};
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        cg_grad_emit(tape, node->inputs[i], NULL, CG_OP_FILL, &zero, NULL, 0);
    }
}

cg_tensor *cg_ops_of_nothing(cg_tape *tape, cg_tensor *y, cg_tensor *const *inputs, uint32_t n_inputs) {
    return cg_tape_view_of(tape, y, cg_tensor_shape(y), inputs, n_inputs, nothing_backward);
}

/* Where x <= 0, y is 0, and else x: the rule of relu finds in y what it wants of x. */
cg_tensor *cg_ops_before_relu(cg_tape *tape, cg_tensor *y) {
    cg_tensor *inputs[] = {y, y, cg_grad_of(tape, y)};
    cg_tensor *grad = cg_tape_tensor(tape, cg_tensor_dtype(y), cg_tensor_shape(y));
    cg_record(tape, CG_OP_RELU_BACKWARD, NULL, inputs, 3, &grad, 1, NULL);
    return grad;
}
