/* Resizing planes: the nearest element, or a line between two along each axis. */
#include <math.h>

#include "spatial.h"

static void interpolate_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_INTERPOLATE_BACKWARD, node->attrs, &dy, 1);
}

/* The result's size along an axis, or 0 and a failed tape. */
static int64_t size_of(cg_tape *tape, const cg_interpolate_options *options, int axis, int64_t in) {
    double factor = options->factor[axis], size = floor((double)in * factor);
    if (options->size[axis] < 0 || options->size[axis] > CG_SPATIAL_LIMIT) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "interpolate: size %lld of axis %d: 1 to %d are possible",
                     (long long)options->size[axis], axis, CG_SPATIAL_LIMIT);
        return 0;
    }
    if (options->size[axis] > 0) {
        return options->size[axis];
    }
    if (!(factor > 0) || !(size >= 1 && size <= CG_SPATIAL_LIMIT)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT,
                     "interpolate: factor %g makes %g of the %lld elements of axis %d: 1 to %d "
                     "are possible",
                     factor, size, (long long)in, axis, CG_SPATIAL_LIMIT);
        return 0;
    }
    return (int64_t)size;
}

/* Elements of x for one of y. PyTorch takes a factor that was given at its word, but copies where sizes are equal. */
static double scale_of(const cg_interpolate_options *options, int axis, int64_t in, int64_t out) {
    if (in == out) {
        return 1.0;
    }
    if (options->mode == CG_LINEAR && options->align_corners) {
        return out > 1 ? (double)(in - 1) / (double)(out - 1) : 0.0;
    }
    bool doubled = options->mode == CG_NEAREST && out == 2 * in;
    return options->size[axis] > 0 || doubled ? (double)in / (double)out : 1.0 / options->factor[axis];
}

cg_tensor *cg_interpolate(cg_tape *tape, cg_tensor *x, int axes, const cg_interpolate_options *options) {
    cg_spatial input, output;
    if (!cg_tape_accepts(tape, "interpolate", &x, 1) || !cg_ops_given(tape, "interpolate", "options", options)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (options->mode != CG_NEAREST && options->mode != CG_LINEAR) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "interpolate: %d is no mode", (int)options->mode);
    }
    if (axes < 1 || axes > 2) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "interpolate: %d axes: 1 or 2 are possible", axes);
    }
    if (!cg_spatial_read(tape, "interpolate", x, axes, &input)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_interpolate_attrs attrs = {
        .mode = (uint32_t)options->mode, .align_corners = options->align_corners, .scale = {1.0, 1.0}};
    output = input;
    for (int i = 0; i < axes; i++) {
        int64_t in = input.five.dim[5 - axes + i], out = size_of(tape, options, i, in);
        if (out == 0) {
            return cg_tape_fail_status(tape, cg_tape_status(tape));
        }
        output.five.dim[5 - axes + i] = out;
        attrs.scale[2 - axes + i] = scale_of(options, i, in, out);
    }
    if (!cg_ops_shape_fits(tape, "interpolate", &output.five)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const int64_t *in = input.five.dim, *out = output.five.dim;
    cg_tensor *planes = cg_reshape(tape, x, &CG_SHAPE(in[0] * in[1], in[3], in[4]));
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &CG_SHAPE(in[0] * in[1], out[3], out[4]));
    cg_record(tape, CG_OP_INTERPOLATE, &attrs, &planes, 1, &y, 1, interpolate_backward);
    cg_shape shape = cg_spatial_shape(&output);
    return cg_reshape(tape, y, &shape);
}
