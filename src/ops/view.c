/* The same elements in another shape, and copies into tensors of the program's. */
#include "ops_common.h"

static void reshape_backward(cg_tape *tape, const cg_node *node) {
    cg_grad_add(tape, node->inputs[0], cg_grad_of(tape, node->outputs[0]));
}

/* Fills in the dimension that is -1; false when there are two, or it does not come out even. */
static bool infer(cg_shape *shape, int64_t numel) {
    int unknown = -1;
    int64_t known = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == -1 && unknown < 0) {
            unknown = i;
        } else if (shape->dim[i] < 0) {
            return false;
        } else {
            known = cg_ops_times(known, shape->dim[i]);
        }
    }
    if (unknown >= 0 && known > 0) {
        shape->dim[unknown] = numel / known;
    }
    return known < INT64_MAX && cg_shape_numel(shape) == numel;
}

cg_tensor *cg_reshape(cg_tape *tape, cg_tensor *x, const cg_shape *shape) {
    if (!cg_tape_accepts(tape, "reshape", &x, 1) || !cg_ops_given(tape, "reshape", "the shape", shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (shape->rank < 0 || shape->rank > CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "reshape: a shape of %d axes: 0 to %d are possible", shape->rank,
                            CG_MAX_RANK);
    }
    cg_shape inferred = *shape;
    if (!infer(&inferred, cg_tensor_numel(x))) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "reshape: shape %s has not the %lld elements of %s",
                            cg_shape_print(shape, CG_SHAPE_TEXT), (long long)cg_tensor_numel(x),
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    if (!cg_ops_shape_fits(tape, "reshape", &inferred)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_shape_equal(&inferred, cg_tensor_shape(x))) {
        return x;
    }
    return cg_tape_view(tape, x, &inferred, reshape_backward);
}

cg_tensor *cg_flatten(cg_tape *tape, cg_tensor *x, int start_dim, int end_dim) {
    if (!cg_tape_accepts(tape, "flatten", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (shape->rank == 0) {
        return cg_reshape(tape, x, &CG_SHAPE(1));
    }
    int start = cg_ops_axis(tape, "flatten", x, start_dim), end = cg_ops_axis(tape, "flatten", x, end_dim);
    if (start < 0 || end < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (start > end) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "flatten: start_dim %d comes after end_dim %d in shape %s",
                            start_dim, end_dim, cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    cg_shape flat = {.rank = 0};
    for (int i = 0; i < shape->rank; i++) {
        if (i > start && i <= end) {
            flat.dim[flat.rank - 1] *= shape->dim[i];
        } else {
            flat.dim[flat.rank++] = shape->dim[i];
        }
    }
    return cg_reshape(tape, x, &flat);
}

cg_tensor *cg_unsqueeze(cg_tape *tape, cg_tensor *x, int axis) {
    if (!cg_tape_accepts(tape, "unsqueeze", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    int at = axis < 0 ? axis + shape->rank + 1 : axis;
    if (at < 0 || at > shape->rank || shape->rank == CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT,
                            "unsqueeze: axis %d of a tensor of shape %s: %d to %d are possible, of at most %d axes",
                            axis, cg_shape_print(shape, CG_SHAPE_TEXT), -shape->rank - 1, shape->rank, CG_MAX_RANK);
    }
    cg_shape longer = {.rank = shape->rank + 1};
    for (int i = 0; i < longer.rank; i++) {
        longer.dim[i] = i == at ? 1 : shape->dim[i - (i > at)];
    }
    return cg_reshape(tape, x, &longer);
}

cg_tensor *cg_squeeze(cg_tape *tape, cg_tensor *x, int axis) {
    int at = cg_tape_accepts(tape, "squeeze", &x, 1) ? cg_ops_axis(tape, "squeeze", x, axis) : -1;
    if (at < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (shape->dim[at] != 1) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "squeeze: axis %d of shape %s has %lld elements, 1 expected", axis,
                            cg_shape_print(shape, CG_SHAPE_TEXT), (long long)shape->dim[at]);
    }
    cg_shape shorter = cg_ops_without(shape, at);
    return cg_reshape(tape, x, &shorter);
}

cg_tensor *cg_full(cg_tape *tape, const cg_shape *shape, double value) {
    if (!cg_ops_shape_fits(tape, "full", shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return cg_ops_filled(tape, cg_device_real(cg_tape_device(tape)), shape, value);
}

static void cast_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_CAST, NULL, &dy, 1);
}

static bool is_real(cg_dtype dtype) {
    return dtype == CG_F32 || dtype == CG_F64;
}

cg_tensor *cg_cast(cg_tape *tape, cg_tensor *x, cg_dtype dtype) {
    if (!cg_tape_accepts(tape, "cast", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_dtype_size(dtype) == 0) {
        return cg_tape_fail(tape, CG_ERR_DTYPE, "cast: there is no data type %d", (int)dtype);
    }
    if (cg_tensor_dtype(x) == dtype) {
        return x;
    }
    cg_tensor *y = cg_tape_tensor(tape, dtype, cg_tensor_shape(x));
    bool differentiable = is_real(dtype) && is_real(cg_tensor_dtype(x));
    cg_record(tape, CG_OP_CAST, NULL, &x, 1, &y, 1, differentiable ? cast_backward : NULL);
    return y;
}

cg_status cg_copy(cg_tape *tape, cg_tensor *destination, cg_tensor *source) {
    cg_tensor *both[] = {destination, source};
    if (!cg_tape_accepts(tape, "copy", both, 2)) {
        return cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
    }
    if (cg_tensor_numel(destination) != cg_tensor_numel(source) ||
        cg_tensor_dtype(destination) != cg_tensor_dtype(source)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "copy: the destination is %s of %s, the source %s of %s",
                     cg_shape_print(cg_tensor_shape(destination), CG_SHAPE_TEXT),
                     cg_dtype_name(cg_tensor_dtype(destination)),
                     cg_shape_print(cg_tensor_shape(source), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(source)));
    } else if (cg_record_overlap(destination, source)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "copy: the destination %s and the source %s lie in the same memory",
                     cg_shape_print(cg_tensor_shape(destination), CG_SHAPE_TEXT),
                     cg_shape_print(cg_tensor_shape(source), CG_SHAPE_TEXT));
    }
    cg_record(tape, CG_OP_COPY, NULL, &source, 1, &destination, 1, NULL);
    return cg_tape_status(tape) == CG_OK ? CG_OK : cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
}
