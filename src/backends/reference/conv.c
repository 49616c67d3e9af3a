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

/* The coordinate along `axis` of an element of a plane of these sizes. */
static int64_t coordinate(int64_t index, const int64_t *dim, int axis) {
    for (int i = 2; i > axis; i--) {
        index /= dim[i];
    }
    return index % dim[axis];
}

/* The element of x's plane that `tap` reads for element `at` of y's plane; -1: padding. */
static int64_t read_by(const conv *v, int64_t at, int64_t tap) {
    int64_t element = 0;
    for (int i = 0; i < 3; i++) {
        int64_t place = coordinate(at, v->out, i) * v->attrs->stride[i] - v->attrs->padding[i] +
                        coordinate(tap, v->kernel, i) * v->attrs->dilation[i];
        if (place < 0 || place >= v->in[i]) {
            return -1;
        }
        element = element * v->in[i] + place;
    }
    return element;
}

/* The element of y's plane for which `tap` reads element `from` of x's plane; -1: none. */
static int64_t reader_of(const conv *v, int64_t from, int64_t tap) {
    int64_t element = 0;
    for (int i = 0; i < 3; i++) {
        int64_t steps =
            coordinate(from, v->in, i) + v->attrs->padding[i] - coordinate(tap, v->kernel, i) * v->attrs->dilation[i];
        if (steps < 0 || steps % v->attrs->stride[i] != 0 || steps / v->attrs->stride[i] >= v->out[i]) {
            return -1;
        }
        element = element * v->out[i] + steps / v->attrs->stride[i];
    }
    return element;
}

/* y[image, filter, at]; filter counts through all groups. */
static double output_element(const conv *v, const real *x, const real *weight, int64_t image, int64_t filter,
                             int64_t at) {
    int64_t first = image * v->channels * v->attrs->groups + filter / v->filters * v->channels;
    double sum = 0.0;
    for (int64_t c = 0; c < v->channels; c++) {
        for (int64_t tap = 0; tap < v->taps; tap++) {
            int64_t from = read_by(v, at, tap);
            if (from >= 0) {
                sum += (double)x[(first + c) * v->in_plane + from] *
                       (double)weight[(filter * v->channels + c) * v->taps + tap];
            }
        }
    }
    return sum;
}

cg_status REF(conv)(const cg_op *op) {
    conv v = conv_of(op, &op->inputs[0], &op->inputs[1], &op->outputs[0]);
    const real *x = elements(&op->inputs[0]), *weight = elements(&op->inputs[1]);
    const real *bias = op->n_inputs > 2 && op->inputs[2].buffer != NULL ? elements(&op->inputs[2]) : NULL;
    real *y = elements(&op->outputs[0]);
    int64_t filters = v.filters * v.attrs->groups;
    for (int64_t plane = 0; plane < v.images * filters; plane++) {
        double start = bias != NULL ? (double)bias[plane % filters] : 0.0;
        for (int64_t at = 0; at < v.out_plane; at++) {
            put(op, &y[plane * v.out_plane + at],
                start + output_element(&v, x, weight, plane / filters, plane % filters, at));
        }
    }
    return CG_OK;
}

/* dx[image, channel, from]; channel counts through all groups. */
static double input_element(const conv *v, const real *dy, const real *weight, int64_t image, int64_t channel,
                            int64_t from) {
    int64_t group = channel / v->channels;
    double sum = 0.0;
    for (int64_t f = group * v->filters; f < (group + 1) * v->filters; f++) {
        for (int64_t tap = 0; tap < v->taps; tap++) {
            int64_t at = reader_of(v, from, tap);
            if (at >= 0) {
                sum += (double)dy[(image * v->filters * v->attrs->groups + f) * v->out_plane + at] *
                       (double)weight[(f * v->channels + channel % v->channels) * v->taps + tap];
            }
        }
    }
    return sum;
}

cg_status REF(conv_backward_input)(const cg_op *op) {
    conv v = conv_of(op, &op->outputs[0], &op->inputs[1], &op->inputs[0]);
    const real *dy = elements(&op->inputs[0]), *weight = elements(&op->inputs[1]);
    real *dx = elements(&op->outputs[0]);
    int64_t channels = v.channels * v.attrs->groups;
    for (int64_t plane = 0; plane < v.images * channels; plane++) {
        for (int64_t from = 0; from < v.in_plane; from++) {
            put(op, &dx[plane * v.in_plane + from],
                input_element(&v, dy, weight, plane / channels, plane % channels, from));
        }
    }
    return CG_OK;
}

/* dweight[filter, channel, tap]; channel counts within its group. */
static double weight_element(const conv *v, const real *x, const real *dy, int64_t filter, int64_t channel,
                             int64_t tap) {
    double sum = 0.0;
    for (int64_t image = 0; image < v->images; image++) {
        int64_t in = image * v->channels * v->attrs->groups + filter / v->filters * v->channels + channel;
        int64_t out = image * v->filters * v->attrs->groups + filter;
        for (int64_t at = 0; at < v->out_plane; at++) {
            int64_t from = read_by(v, at, tap);
            if (from >= 0) {
                sum += (double)x[in * v->in_plane + from] * (double)dy[out * v->out_plane + at];
            }
        }
    }
    return sum;
}

cg_status REF(conv_backward_weight)(const cg_op *op) {
    conv v = conv_of(op, &op->inputs[0], &op->outputs[0], &op->inputs[1]);
    const real *x = elements(&op->inputs[0]), *dy = elements(&op->inputs[1]);
    real *dweight = elements(&op->outputs[0]);
    for (int64_t row = 0; row < v.filters * v.attrs->groups * v.channels; row++) {
        for (int64_t tap = 0; tap < v.taps; tap++) {
            put(op, &dweight[row * v.taps + tap], weight_element(&v, x, dy, row / v.channels, row % v.channels, tap));
        }
    }
    return CG_OK;
}
