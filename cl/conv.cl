/*
 * What the convolution kernels share: the sizes of one convolution, and from a place in one plane to places in others.
 * x [images, groups, channels, in], weight [groups, filters, channels, kernel], y [images, groups, filters, out]; an
 * operand has fewer than 2^30 elements, so that int counts them.
 */
#include "prelude.cl"

/* Without padding at its end, which not every driver counts. */
typedef struct {
    ulong x_at, weight_at, y_at, bias_at, add;
    int images, groups, channels, filters;
    int in_d, in_h, in_w, out_d, out_h, out_w, kernel_d, kernel_h, kernel_w;
    int stride_d, stride_h, stride_w, padding_d, padding_h, padding_w, dilation_d, dilation_h, dilation_w;
    int in_plane, out_plane, taps;
    int has_bias;
} convolution;

typedef struct {
    int d, h, w;
} triple;

/* The coordinates of an element of a plane. */
static inline triple unravel(int index, int height, int width) {
    triple place;
    int row = index / width;
    place.w = index - row * width;
    place.d = row / height;
    place.h = row - place.d * height;
    return place;
}

/* Where the window of an output begins in the input. */
static inline triple window_at(triple place, const convolution *v) {
    place.d = place.d * v->stride_d - v->padding_d;
    place.h = place.h * v->stride_h - v->padding_h;
    place.w = place.w * v->stride_w - v->padding_w;
    return place;
}

static inline triple window_of(int output, const convolution *v) {
    return window_at(unravel(output, v->out_h, v->out_w), v);
}

/* How far a tap lies behind its window's beginning. */
static inline triple offset_of(int tap, const convolution *v) {
    triple place = unravel(tap, v->kernel_h, v->kernel_w);
    place.d *= v->dilation_d;
    place.h *= v->dilation_h;
    place.w *= v->dilation_w;
    return place;
}

/* value / stride where that has no rest, else -1. */
static inline int exact(int value, int stride) {
    if (stride == 1) {
        return value;
    }
    int steps = value / stride;
    return steps * stride == value ? steps : -1;
}

/* The outputs first..end-1 along an axis whose window has a tap inside the input. `start`: that tap's place for output
 * 0. */
typedef struct {
    int first, end;
} overlap;

static inline overlap overlap_of(int start, int stride, int in, int out) {
    overlap part;
    part.first = start >= 0 ? 0 : (stride - 1 - start) / stride;
    part.end = start >= in ? 0 : min((in - start + stride - 1) / stride, out);
    part.first = min(part.first, part.end);
    return part;
}
