/* Convolution and transposed convolution over one to three axes: checks, shapes, gradients. */
#include "spatial.h"

/* A call whose arguments were checked: what is recorded. */
typedef struct conv {
    const char *name;
    cg_conv_attrs attrs;
    int64_t extra[CG_SPATIAL_AXES];
    cg_spatial input;
    cg_shape weight; /* five axes */
} conv;

static void emit_weight(cg_tape *tape, cg_tensor *weight, const cg_conv_attrs *attrs, cg_tensor *x, cg_tensor *dy) {
    cg_tensor *inputs[] = {x, dy};
    if (cg_grad_wanted(tape, weight) && cg_tensor_numel(dy) == 0) { /* an empty batch */
        cg_grad_emit(tape, weight, NULL, CG_OP_FILL, &(cg_fill_attrs){.value = 0.0}, NULL, 0);
    } else {
        cg_grad_emit(tape, weight, NULL, CG_OP_CONV_BACKWARD_WEIGHT, attrs, inputs, 2);
    }
}

static void conv_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *x = node->inputs[0], *weight = node->inputs[1], *dy = cg_grad_of(tape, node->outputs[0]);
    cg_tensor *inputs[] = {dy, weight};
    cg_grad_emit(tape, x, NULL, CG_OP_CONV_BACKWARD_INPUT, node->attrs, inputs, 2);
    emit_weight(tape, weight, node->attrs, x, dy);
    if (node->n_inputs > 2) {
        cg_ops_sum_to(tape, node->inputs[2], dy, 1.0);
    }
}

/* The convolution that this is the transpose of has y as its input and x as its output. */
static void conv_transpose_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *x = node->inputs[0], *weight = node->inputs[1], *dy = cg_grad_of(tape, node->outputs[0]);
    cg_tensor *inputs[] = {dy, weight};
    cg_grad_emit(tape, x, NULL, CG_OP_CONV, node->attrs, inputs, 2);
    emit_weight(tape, weight, node->attrs, dy, x);
}

static bool accepts(cg_tape *tape, const char *name, cg_tensor *x, cg_tensor *weight, cg_tensor *bias) {
    cg_tensor *tensors[] = {x, weight, bias};
    if (!cg_tape_accepts(tape, name, tensors, bias != NULL ? 3 : 2)) {
        return false;
    }
    if (cg_tensor_dtype(weight) != cg_tensor_dtype(x) ||
        (bias != NULL && cg_tensor_dtype(bias) != cg_tensor_dtype(x))) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "%s: the input is %s, weight %s, bias %s: all alike expected", name,
                     cg_dtype_name(cg_tensor_dtype(x)), cg_dtype_name(cg_tensor_dtype(weight)),
                     cg_dtype_name(cg_tensor_dtype(bias != NULL ? bias : weight)));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* The weight's shape with three spatial axes. */
static bool read_weight(cg_tape *tape, const char *name, const cg_tensor *weight, int *axes, cg_shape *five) {
    const cg_shape *shape = cg_tensor_shape(weight);
    *axes = shape->rank - 2;
    if (*axes < 1 || *axes > CG_SPATIAL_AXES || cg_tensor_numel(weight) == 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: weight is %s: [channels, channels, 1 to 3 axes of the kernel] expected",
                     name, cg_shape_print(shape, CG_SHAPE_TEXT));
        return false;
    }
    *five = CG_SHAPE(shape->dim[0], shape->dim[1], 1, 1, 1);
    for (int i = 0; i < *axes; i++) {
        five->dim[5 - *axes + i] = shape->dim[2 + i];
    }
    return true;
}

static bool read_options(cg_tape *tape, conv *call, const cg_conv_options *options, int axes) {
    const char *name = call->name;
    call->attrs.groups = options->groups != 0 ? options->groups : 1;
    return cg_spatial_numbers(tape, name, "stride", options->stride, axes, 1, 1, call->attrs.stride) &&
           cg_spatial_numbers(tape, name, "padding", options->padding, axes, 0, 0, call->attrs.padding) &&
           cg_spatial_numbers(tape, name, "dilation", options->dilation, axes, 1, 1, call->attrs.dilation) &&
           cg_spatial_numbers(tape, name, "output padding", options->extra, axes, 0, 0, call->extra);
}

/* The input's channels against the weight's; `filters`: the axis of weight that counts what groups share out. */
static bool channels_fit(cg_tape *tape, const conv *call, const cg_tensor *x, const cg_tensor *weight,
                         bool transposed) {
    int64_t groups = call->attrs.groups, channels = call->input.five.dim[1];
    const int64_t *w = call->weight.dim;
    if (groups < 1 || w[0] % groups != 0) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %lld groups do not divide the %lld channels of weight %s", call->name,
                     (long long)groups, (long long)w[0], cg_shape_print(cg_tensor_shape(weight), CG_SHAPE_TEXT));
        return false;
    }
    if (channels % groups != 0 || (transposed ? w[0] : w[1]) != (transposed ? channels : channels / groups)) {
        cg_tape_fail(tape, CG_ERR_SHAPE,
                     "%s: the input is %s, weight %s with %lld group%s: %lld input channels expected", call->name,
                     cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT),
                     cg_shape_print(cg_tensor_shape(weight), CG_SHAPE_TEXT), (long long)groups, groups == 1 ? "" : "s",
                     (long long)(transposed ? w[0] : w[1] * groups));
        return false;
    }
    return true;
}

static bool bias_fits(cg_tape *tape, const char *name, const cg_tensor *bias, int64_t channels) {
    const cg_shape *shape = bias != NULL ? cg_tensor_shape(bias) : NULL;
    if (shape == NULL || (shape->rank == 1 && shape->dim[0] == channels)) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_SHAPE, "%s: bias is %s: [%lld] expected, one for each output channel", name,
                 cg_shape_print(shape, CG_SHAPE_TEXT), (long long)channels);
    return false;
}

static bool read_call(cg_tape *tape, conv *call, cg_tensor *x, cg_tensor *weight, cg_tensor *bias,
                      const cg_conv_options *options, bool transposed) {
    static const cg_conv_options defaults;
    int axes = 0;
    if (!accepts(tape, call->name, x, weight, bias) || !read_weight(tape, call->name, weight, &axes, &call->weight) ||
        !cg_spatial_read(tape, call->name, x, axes, &call->input) ||
        !read_options(tape, call, options != NULL ? options : &defaults, axes)) {
        return false;
    }
    const int64_t *w = call->weight.dim;
    return channels_fit(tape, call, x, weight, transposed) &&
           bias_fits(tape, call->name, bias, transposed ? w[1] * call->attrs.groups : w[0]);
}

/* What the kernel covers of an axis, holes of dilation included. */
static int64_t reach(const conv *call, int axis) {
    return call->attrs.dilation[axis] * (call->weight.dim[2 + axis] - 1) + 1;
}

static bool conv_output(cg_tape *tape, const conv *call, cg_spatial *output) {
    *output = call->input;
    output->five.dim[1] = call->weight.dim[0];
    for (int i = 0; i < CG_SPATIAL_AXES; i++) {
        int64_t padded = call->input.five.dim[2 + i] + 2 * call->attrs.padding[i] + call->extra[i];
        if (padded < reach(call, i)) {
            cg_shape input = cg_spatial_shape(&call->input);
            cg_tape_fail(
                tape, CG_ERR_SHAPE,
                "%s: the input is %s: a kernel that covers %lld elements does not fit an axis of %lld with its "
                "padding",
                call->name, cg_shape_print(&input, CG_SHAPE_TEXT), (long long)reach(call, i), (long long)padded);
            return false;
        }
        output->five.dim[2 + i] = (padded - reach(call, i)) / call->attrs.stride[i] + 1;
    }
    return cg_ops_shape_fits(tape, call->name, &output->five);
}

static bool transpose_output(cg_tape *tape, const conv *call, cg_spatial *output) {
    *output = call->input;
    output->five.dim[1] = call->weight.dim[1] * call->attrs.groups;
    for (int i = 0; i < CG_SPATIAL_AXES; i++) {
        int64_t stride = call->attrs.stride[i], extra = call->extra[i], in = call->input.five.dim[2 + i];
        if (extra >= stride && extra >= call->attrs.dilation[i]) {
            cg_tape_fail(tape, CG_ERR_ARGUMENT,
                         "%s: output padding %lld must be less than stride %lld or dilation %lld", call->name,
                         (long long)extra, (long long)stride, (long long)call->attrs.dilation[i]);
            return false;
        }
        int64_t size = in < INT64_MAX / CG_SPATIAL_LIMIT / 2
                           ? (in - 1) * stride - 2 * call->attrs.padding[i] + reach(call, i) + extra
                           : INT64_MAX;
        if (size < 1) {
            cg_tape_fail(tape, CG_ERR_SHAPE,
                         "%s: an axis of %lld with stride %lld, padding %lld and a kernel that covers "
                         "%lld has an output of %lld elements",
                         call->name, (long long)in, (long long)stride, (long long)call->attrs.padding[i],
                         (long long)reach(call, i), (long long)size);
            return false;
        }
        output->five.dim[2 + i] = size;
    }
    return cg_ops_shape_fits(tape, call->name, &output->five);
}

/* One number a channel, in front of the axes that it is added along. */
static cg_tensor *bias_view(cg_tape *tape, cg_tensor *bias) {
    return cg_reshape(tape, bias, &CG_SHAPE(cg_tensor_numel(bias), 1, 1, 1));
}

cg_tensor *cg_conv(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias, const cg_conv_options *options) {
    conv call = {.name = "conv"};
    cg_spatial output;
    if (!read_call(tape, &call, x, weight, bias, options, false) || !conv_output(tape, &call, &output)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_tensor *inputs[] = {cg_reshape(tape, x, &call.input.five), cg_reshape(tape, weight, &call.weight),
                           bias != NULL ? bias_view(tape, bias) : NULL};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &output.five);
    cg_record(tape, CG_OP_CONV, &call.attrs, inputs, bias != NULL ? 3 : 2, &y, 1, conv_backward);
    cg_shape shape = cg_spatial_shape(&output);
    return cg_reshape(tape, y, &shape);
}

cg_tensor *cg_conv_transpose(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias,
                             const cg_conv_options *options) {
    conv call = {.name = "conv_transpose"};
    cg_spatial output;
    if (!read_call(tape, &call, x, weight, bias, options, true) || !transpose_output(tape, &call, &output)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_tensor *inputs[] = {cg_reshape(tape, x, &call.input.five), cg_reshape(tape, weight, &call.weight)};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &output.five);
    cg_record(tape, CG_OP_CONV_BACKWARD_INPUT, &call.attrs, inputs, 2, &y, 1, conv_transpose_backward);
    if (bias != NULL) {
        y = cg_add(tape, y, bias_view(tape, bias));
    }
    cg_shape shape = cg_spatial_shape(&output);
    return cg_reshape(tape, y, &shape);
}
