/* Convolution and its two gradients: an element at a time, sums in double. */
#include "real.h"

/* A convolution of x [n, c, in], weight [o, c / groups, kernel] and y [n, o, out]; planes are counted in elements. */
typedef struct conv {
    const cg_conv_attrs *attrs;
    const int64_t *in, *kernel, *out;  /* three axes */
    int64_t images, channels, filters; /* channels and filters of one group */
    int64_t in_plane, taps, out_plane;
} conv;

static int64_t volume(const int64_t *dim) {
    return dim[0] * dim[1] * dim[2];
}

static conv conv_of(const cg_op *op, const cg_operand *x, const cg_operand *weight, const cg_operand *y) {
    const cg_conv_attrs *attrs = op->attrs;
    const int64_t *in = x->shape.dim + 2, *kernel = weight->shape.dim + 2, *out = y->shape.dim + 2;
    return (conv){attrs,
                  in,
                  kernel,
                  out,
                  x->shape.dim[0],
                  weight->shape.dim[1],
                  weight->shape.dim[0] / attrs->groups,
                  volume(in),
                  volume(kernel),
                  volume(out)};
}

/* Along an axis, the element of x that a tap reads for element `out` of y; -1: padding. */
static int64_t read_by(const conv *v, int axis, int64_t out, int64_t tap) {
    int64_t at = out * v->attrs->stride[axis] - v->attrs->padding[axis] + tap * v->attrs->dilation[axis];
    return at >= 0 && at < v->in[axis] ? at : -1;
}

/* Along an axis, the element of y for which a tap reads element `in` of x; -1: none. */
static int64_t reader_of(const conv *v, int axis, int64_t in, int64_t tap) {
    int64_t steps = in + v->attrs->padding[axis] - tap * v->attrs->dilation[axis], stride = v->attrs->stride[axis];
    return steps >= 0 && steps % stride == 0 && steps / stride < v->out[axis] ? steps / stride : -1;
}

/* One of the two above. */
typedef int64_t (*find_fn)(const conv *v, int axis, int64_t at, int64_t tap);

static void split(int64_t index, const int64_t *dim, int64_t at[3]) {
    at[0] = index / (dim[1] * dim[2]);
    at[1] = index / dim[2] % dim[1];
    at[2] = index % dim[2];
}

/* The sum over all taps of plane[what `find` gives for the element `at`] times weight[tap]. */
static double sum_taps(const conv *v, find_fn find, const int64_t at[3], const real *plane, const int64_t *dim,
                       const real *weight) {
    double sum = 0.0;
    for (int64_t i = 0; i < v->kernel[0]; i++) {
        int64_t d = find(v, 0, at[0], i);
        for (int64_t j = 0; j < v->kernel[1]; j++) {
            int64_t h = find(v, 1, at[1], j);
            for (int64_t k = 0; k < v->kernel[2]; k++, weight++) {
                int64_t w = find(v, 2, at[2], k);
                if (d >= 0 && h >= 0 && w >= 0) {
                    sum += (double)plane[(d * dim[1] + h) * dim[2] + w] * (double)*weight;
                }
            }
        }
    }
    return sum;
}

/* y[image, filter, index]; filter counts through all groups. */
static double output_element(const conv *v, const real *x, const real *weight, int64_t image, int64_t filter,
                             int64_t index) {
    int64_t first = image * v->channels * v->attrs->groups + filter / v->filters * v->channels, at[3];
    double sum = 0.0;
    split(index, v->out, at);
    for (int64_t c = 0; c < v->channels; c++) {
        sum += sum_taps(v, read_by, at, x + (first + c) * v->in_plane, v->in,
                        weight + (filter * v->channels + c) * v->taps);
    }
    return sum;
}

cg_status REF(conv)(const cg_op *op) {
    conv v = conv_of(op, &op->inputs[0], &op->inputs[1], &op->outputs[0]);
    const real *x = elements(&op->inputs[0]), *weight = elements(&op->inputs[1]);
    const real *bias = optional_elements(op, 2);
    real *y = elements(&op->outputs[0]);
    int64_t filters = v.filters * v.attrs->groups;
    for (int64_t plane = 0; plane < v.images * filters; plane++) {
        double start = bias != NULL ? (double)bias[plane % filters] : 0.0;
        for (int64_t i = 0; i < v.out_plane; i++) {
            put(op, &y[plane * v.out_plane + i],
                start + output_element(&v, x, weight, plane / filters, plane % filters, i));
        }
    }
    return CG_OK;
}

/* dx[image, channel, index]; channel counts through all groups. */
static double input_element(const conv *v, const real *dy, const real *weight, int64_t image, int64_t channel,
                            int64_t index) {
    int64_t group = channel / v->channels, at[3];
    double sum = 0.0;
    split(index, v->in, at);
    for (int64_t f = group * v->filters; f < (group + 1) * v->filters; f++) {
        sum += sum_taps(v, reader_of, at, dy + (image * v->filters * v->attrs->groups + f) * v->out_plane, v->out,
                        weight + (f * v->channels + channel % v->channels) * v->taps);
    }
    return sum;
}

cg_status REF(conv_backward_input)(const cg_op *op) {
    conv v = conv_of(op, &op->outputs[0], &op->inputs[1], &op->inputs[0]);
    const real *dy = elements(&op->inputs[0]), *weight = elements(&op->inputs[1]);
    real *dx = elements(&op->outputs[0]);
    int64_t channels = v.channels * v.attrs->groups;
    for (int64_t plane = 0; plane < v.images * channels; plane++) {
        for (int64_t i = 0; i < v.in_plane; i++) {
            put(op, &dx[plane * v.in_plane + i], input_element(&v, dy, weight, plane / channels, plane % channels, i));
        }
    }
    return CG_OK;
}

/* The sum over a plane of dy times what one tap reads of x's plane. */
static double sum_outputs(const conv *v, const int64_t tap[3], const real *x, const real *dy) {
    double sum = 0.0;
    for (int64_t i = 0; i < v->out[0]; i++) {
        int64_t d = read_by(v, 0, i, tap[0]);
        for (int64_t j = 0; j < v->out[1]; j++) {
            int64_t h = read_by(v, 1, j, tap[1]);
            for (int64_t k = 0; k < v->out[2]; k++, dy++) {
                int64_t w = read_by(v, 2, k, tap[2]);
                if (d >= 0 && h >= 0 && w >= 0) {
                    sum += (double)x[(d * v->in[1] + h) * v->in[2] + w] * (double)*dy;
                }
            }
        }
    }
    return sum;
}

/* dweight[filter, channel, index]; channel counts within its group. */
static double weight_element(const conv *v, const real *x, const real *dy, int64_t filter, int64_t channel,
                             int64_t index) {
    int64_t groups = v->attrs->groups, tap[3];
    double sum = 0.0;
    split(index, v->kernel, tap);
    for (int64_t image = 0; image < v->images; image++) {
        int64_t in = image * v->channels * groups + filter / v->filters * v->channels + channel;
        sum += sum_outputs(v, tap, x + in * v->in_plane, dy + (image * v->filters * groups + filter) * v->out_plane);
    }
    return sum;
}

cg_status REF(conv_backward_weight)(const cg_op *op) {
    conv v = conv_of(op, &op->inputs[0], &op->outputs[0], &op->inputs[1]);
    const real *x = elements(&op->inputs[0]), *dy = elements(&op->inputs[1]);
    real *dweight = elements(&op->outputs[0]);
    for (int64_t row = 0; row < v.filters * v.attrs->groups * v.channels; row++) {
        for (int64_t i = 0; i < v.taps; i++) {
            put(op, &dweight[row * v.taps + i], weight_element(&v, x, dy, row / v.channels, row % v.channels, i));
        }
    }
    return CG_OK;
}
