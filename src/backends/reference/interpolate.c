/* Resizing planes and its gradient: the elements of x that each element of y is made of. */
#include "real.h"

/* Along an axis: two elements, and the weight of the second. */
typedef struct mix {
    int64_t first, second;
    double weight;
} mix;

static mix mix_of(const cg_interpolate_attrs *attrs, int axis, int64_t o, int64_t in) {
    double scale = attrs->scale[axis];
    if (attrs->mode == CG_NEAREST) {
        int64_t nearest = (int64_t)floorf((float)o * (float)scale);
        nearest = nearest < in ? nearest : in - 1;
        return (mix){nearest, nearest, 0.0};
    }
    double at = attrs->align_corners ? scale * (double)o : scale * ((double)o + 0.5) - 0.5;
    at = at < 0.0 ? 0.0 : at > (double)(in - 1) ? (double)(in - 1) : at;
    int64_t first = (int64_t)at;
    return (mix){first, first + 1 < in ? first + 1 : first, at - (double)first};
}

static double between(double a, double b, double weight) {
    return weight == 0.0 ? a : a * (1.0 - weight) + b * weight;
}

cg_status REF(interpolate)(const cg_op *op) {
    const int64_t *in = op->inputs[0].shape.dim, *out = op->outputs[0].shape.dim;
    real *y = elements(&op->outputs[0]);
    for (int64_t i = 0; i < out[0] * out[1]; i++) {
        const real *plane = elements(&op->inputs[0]) + i / out[1] * in[1] * in[2];
        mix h = mix_of(op->attrs, 0, i % out[1], in[1]);
        const real *upper = plane + h.first * in[2], *lower = plane + h.second * in[2];
        for (int64_t o = 0; o < out[2]; o++) {
            mix w = mix_of(op->attrs, 1, o, in[2]);
            double top = between((double)upper[w.first], (double)upper[w.second], w.weight);
            double bottom = between((double)lower[w.first], (double)lower[w.second], w.weight);
            y[i * out[2] + o] = (real)between(top, bottom, h.weight);
        }
    }
    return CG_OK;
}

cg_status REF(interpolate_backward)(const cg_op *op) {
    const int64_t *in = op->outputs[0].shape.dim, *out = op->inputs[0].shape.dim;
    const real *dy = elements(&op->inputs[0]);
    real *dx = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n && !(op->accumulate & 1u); i++) {
        dx[i] = R(0.0);
    }
    for (int64_t i = 0; i < out[0] * out[1]; i++) {
        real *plane = dx + i / out[1] * in[1] * in[2];
        mix h = mix_of(op->attrs, 0, i % out[1], in[1]);
        for (int64_t o = 0; o < out[2]; o++) {
            mix w = mix_of(op->attrs, 1, o, in[2]);
            double whole = (double)dy[i * out[2] + o], upper = whole * (1.0 - h.weight), lower = whole * h.weight;
            plane[h.first * in[2] + w.first] += (real)(upper * (1.0 - w.weight));
            plane[h.first * in[2] + w.second] += (real)(upper * w.weight);
            plane[h.second * in[2] + w.first] += (real)(lower * (1.0 - w.weight));
            plane[h.second * in[2] + w.second] += (real)(lower * w.weight);
        }
    }
    return CG_OK;
}
