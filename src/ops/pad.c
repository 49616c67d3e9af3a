/* Padding of up to three axes: a constant, mirrored, repeated or from the other end. */
#include "spatial.h"

static void pad_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_PAD_BACKWARD, node->attrs, &dy, 1);
}

static bool rank_fits(cg_tape *tape, const cg_tensor *x, int axes, cg_pad_mode mode) {
    const cg_shape *shape = cg_tensor_shape(x);
    cg_spatial unused;
    if (mode < CG_PAD_CONSTANT || mode > CG_PAD_CIRCULAR) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "pad: %d is no mode", (int)mode);
        return false;
    }
    if (axes < 1 || axes > CG_SPATIAL_AXES) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "pad: %d axes: 1 to %d are possible", axes, CG_SPATIAL_AXES);
        return false;
    }
    if (mode != CG_PAD_CONSTANT) {
        return cg_spatial_read(tape, "pad", x, axes, &unused);
    }
    if (shape->rank < axes) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "pad: the input is %s: at least %d axes expected",
                     cg_shape_print(shape, CG_SHAPE_TEXT), axes);
    }
    return cg_tape_status(tape) == CG_OK && cg_ops_float(tape, "pad", x);
}

/* The least and the most that a mode adds at one end of an axis. */
static int64_t least_of(cg_pad_mode mode) {
    return mode == CG_PAD_CONSTANT ? -CG_SPATIAL_LIMIT : 0;
}

static int64_t most_of(cg_pad_mode mode, int64_t size) {
    return mode == CG_PAD_REFLECT ? size - 1 : mode == CG_PAD_CIRCULAR ? size : CG_SPATIAL_LIMIT;
}

/* One axis of `size`: front and behind. The result's size, or -1 and a failed tape. */
static int64_t pad_axis(cg_tape *tape, cg_pad_mode mode, int64_t size, const int64_t ends[2]) {
    static const char *const names[] = {"constant", "reflect", "replicate", "circular"};
    for (int i = 0; i < 2; i++) {
        if (ends[i] < least_of(mode) || ends[i] > most_of(mode, size)) {
            cg_tape_fail(tape, CG_ERR_ARGUMENT,
                         "pad: %lld elements at an axis of %lld, mode %s: %lld to %lld are "
                         "possible",
                         (long long)ends[i], (long long)size, names[mode], (long long)least_of(mode),
                         (long long)most_of(mode, size));
            return -1;
        }
    }
    int64_t padded = size + ends[0] + ends[1];
    if (padded < 1 && size > 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "pad: %lld and %lld elements at an axis of %lld leave none",
                     (long long)ends[0], (long long)ends[1], (long long)size);
        return -1;
    }
    return padded;
}

cg_tensor *cg_pad(cg_tape *tape, cg_tensor *x, const int64_t *padding, int axes, cg_pad_mode mode, double value) {
    if (!cg_tape_accepts(tape, "pad", &x, 1) || !cg_ops_given(tape, "pad", "the padding", padding) ||
        !rank_fits(tape, x, axes, mode)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_pad_attrs attrs = {.mode = (uint32_t)mode, .value = value};
    cg_shape shape = *cg_tensor_shape(x), in = CG_SHAPE(1, 1, 1, 1), out = in;
    for (int i = 0; i < shape.rank - axes; i++) {
        in.dim[0] *= shape.dim[i];
    }
    out.dim[0] = in.dim[0];
    for (int i = 0; i < axes; i++) {
        int axis = shape.rank - 1 - i;
        in.dim[3 - i] = shape.dim[axis];
        attrs.front[2 - i] = padding[2 * i];
        shape.dim[axis] = out.dim[3 - i] = pad_axis(tape, mode, shape.dim[axis], padding + 2 * i);
    }
    if (cg_tape_status(tape) != CG_OK || !cg_ops_shape_fits(tape, "pad", &shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_tensor_numel(x) == 0 && cg_shape_numel(&shape) > 0) {
        return cg_ops_filled(tape, cg_tensor_dtype(x), &shape, value);
    }
    cg_tensor *input = cg_reshape(tape, x, &in), *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &out);
    cg_record(tape, CG_OP_PAD, &attrs, &input, 1, &y, 1, pad_backward);
    return cg_reshape(tape, y, &shape);
}
