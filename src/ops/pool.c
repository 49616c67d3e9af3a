/* Maxima and means of windows, and their gradients. A kernel sees planes: [n c, h, w]. */
#include "spatial.h"

static void max_pool_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->outputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_MAX_POOL_BACKWARD, node->attrs, inputs, 2);
}

static void avg_pool_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_AVG_POOL_BACKWARD, node->attrs, &dy, 1);
}

static bool read_input(cg_tape *tape, const char *name, cg_tensor *x, int axes, cg_spatial *input) {
    if (!cg_tape_accepts(tape, name, &x, 1)) {
        return false;
    }
    if (axes < 1 || axes > 2) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %d axes: 1 or 2 are possible", name, axes);
        return false;
    }
    return cg_spatial_read(tape, name, x, axes, input);
}

/* Numbers of the last two of three axes. */
static bool read_pair(cg_tape *tape, const char *name, const char *what, const int64_t *given, int axes,
                      int64_t fallback, int64_t least, int64_t out[2]) {
    int64_t three[CG_SPATIAL_AXES];
    bool fits = cg_spatial_numbers(tape, name, what, given, axes, fallback, least, three);
    out[0] = three[1];
    out[1] = three[2];
    return fits;
}

static bool read_options(cg_tape *tape, const char *name, const cg_pool_options *options, int axes,
                         cg_pool_attrs *attrs) {
    const int64_t *stride = options->stride;
    int64_t as_kernel[2] = {stride[0] != 0 ? stride[0] : options->kernel[0],
                            stride[1] != 0 ? stride[1] : options->kernel[1]};
    for (int i = 0; i < axes; i++) {
        if (options->kernel[i] < 1) {
            cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: kernel size %lld of axis %d: at least 1 expected", name,
                         (long long)options->kernel[i], i);
            return false;
        }
    }
    if (options->divisor < 0 || options->divisor > CG_SPATIAL_LIMIT) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: a divisor of %lld: 0 to %d are possible", name,
                     (long long)options->divisor, CG_SPATIAL_LIMIT);
        return false;
    }
    attrs->count_include_pad = !options->exclude_pad;
    attrs->divisor = options->divisor;
    return read_pair(tape, name, "kernel size", options->kernel, axes, 1, 1, attrs->kernel) &&
           read_pair(tape, name, "stride", as_kernel, axes, 1, 1, attrs->stride) &&
           read_pair(tape, name, "padding", options->padding, axes, 0, 0, attrs->padding) &&
           read_pair(tape, name, "dilation", options->dilation, axes, 1, 1, attrs->dilation);
}

/* The number of windows along an axis; 0 and a failed tape when there is none. */
static int64_t count_windows(cg_tape *tape, const char *name, const cg_pool_attrs *attrs, int axis, int64_t in,
                             bool ceil_mode) {
    int64_t kernel = attrs->kernel[axis], stride = attrs->stride[axis], padding = attrs->padding[axis];
    int64_t reach = attrs->dilation[axis] * (kernel - 1) + 1, over = in + 2 * padding - reach;
    if (padding > kernel / 2) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: padding %lld is more than half of kernel size %lld", name,
                     (long long)padding, (long long)kernel);
        return 0;
    }
    over += ceil_mode ? stride - 1 : 0;
    if (over < 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE,
                     "%s: a window of kernel size %lld covers %lld elements and does not fit an axis of %lld with its "
                     "padding",
                     name, (long long)kernel, (long long)reach, (long long)in + 2 * (long long)padding);
        return 0;
    }
    int64_t count = over / stride + 1;
    return ceil_mode && (count - 1) * stride >= in + padding ? count - 1 : count; /* none in the padding behind */
}

/* Records a pool of the planes and gives its output the shape that belongs to it. */
static cg_tensor *record(cg_tape *tape, cg_tensor *x, const cg_spatial *input, const cg_spatial *output,
                         const cg_pool_attrs *attrs, bool max) {
    const int64_t *in = input->five.dim, *out = output->five.dim;
    cg_tensor *planes = cg_reshape(tape, x, &CG_SHAPE(in[0] * in[1], in[3], in[4]));
    cg_shape shape = CG_SHAPE(in[0] * in[1], out[3], out[4]);
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &shape);
    if (max) {
        cg_tensor *outputs[] = {y, cg_tape_tensor(tape, CG_I32, &shape)};
        cg_record(tape, CG_OP_MAX_POOL, attrs, &planes, 1, outputs, 2, max_pool_backward);
    } else {
        cg_record(tape, CG_OP_AVG_POOL, attrs, &planes, 1, &y, 1, avg_pool_backward);
    }
    shape = cg_spatial_shape(output);
    return cg_reshape(tape, y, &shape);
}

static cg_tensor *pool(cg_tape *tape, const char *name, cg_tensor *x, int axes, const cg_pool_options *options,
                       bool max) {
    cg_pool_attrs attrs = {0};
    cg_spatial input, output;
    if (!read_input(tape, name, x, axes, &input) || !cg_ops_given(tape, name, "options", options) ||
        !read_options(tape, name, options, axes, &attrs)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    output = input;
    for (int i = 0; i < 2; i++) {
        int64_t in = input.five.dim[3 + i];
        output.five.dim[3 + i] = count_windows(tape, name, &attrs, i, in, options->ceil_mode && i >= 2 - axes);
        if (output.five.dim[3 + i] == 0) {
            return cg_tape_fail_status(tape, cg_tape_status(tape));
        }
    }
    return cg_ops_shape_fits(tape, name, &output.five) ? record(tape, x, &input, &output, &attrs, max)
                                                       : cg_tape_fail_status(tape, cg_tape_status(tape));
}

cg_tensor *cg_max_pool(cg_tape *tape, cg_tensor *x, int axes, const cg_pool_options *options) {
    return pool(tape, "max_pool", x, axes, options, true);
}

cg_tensor *cg_avg_pool(cg_tape *tape, cg_tensor *x, int axes, const cg_pool_options *options) {
    if (!cg_ops_given(tape, "avg_pool", "options", options)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_pool_options dense = *options;
    dense.dilation[0] = dense.dilation[1] = 1;
    return pool(tape, "avg_pool", x, axes, &dense, false);
}

static cg_tensor *adaptive_pool(cg_tape *tape, const char *name, cg_tensor *x, int axes, const int64_t *sizes,
                                bool max) {
    cg_pool_attrs attrs = {.adaptive = 1};
    cg_spatial input, output;
    if (!read_input(tape, name, x, axes, &input) || !cg_ops_given(tape, name, "the output sizes", sizes)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    output = input;
    for (int i = 0; i < axes; i++) {
        if (sizes[i] < 0 || sizes[i] > CG_SPATIAL_LIMIT) {
            return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: output size %lld of axis %d: 1 to %d are possible", name,
                                (long long)sizes[i], i, CG_SPATIAL_LIMIT);
        }
        int64_t *out = &output.five.dim[5 - axes + i];
        *out = sizes[i] != 0 ? sizes[i] : *out;
    }
    return cg_ops_shape_fits(tape, name, &output.five) ? record(tape, x, &input, &output, &attrs, max)
                                                       : cg_tape_fail_status(tape, cg_tape_status(tape));
}

cg_tensor *cg_adaptive_max_pool(cg_tape *tape, cg_tensor *x, int axes, const int64_t *output) {
    return adaptive_pool(tape, "adaptive_max_pool", x, axes, output, true);
}

cg_tensor *cg_adaptive_avg_pool(cg_tape *tape, cg_tensor *x, int axes, const int64_t *output) {
    return adaptive_pool(tape, "adaptive_avg_pool", x, axes, output, false);
}
