/*
 * What conv_gpu.cl gathers its tiles by. A convolution is a product of two matrices, the right one made of the image:
 *
 * CG_PASS  0: y       rows: filters,  columns: images x outputs,  sum over channels x taps
 *          1: dx      rows: channels, columns: images x inputs,   sum over filters x taps
 *          2: dweight rows: filters,  columns: channels x taps,   sum over images x outputs
 *
 * An element of the right matrix is where a term of the sum and a column meet: one of them is a tap, the other a place.
 * Both know how far they reach into the image, so that its address is one addition. Both have bits, a place those of
 * the taps along each axis that lie inside the image, a tap all but its own: together they are all where the element is
 * inside; elsewhere it is zero.
 *
 * Variants: -DCG_PASS={0,1,2}
 */
#include "conv.cl"
#include "side.cl"

#ifndef CG_PASS
#define CG_PASS 0
#endif

/* The plane that the image has for each channel, or, of a gradient, filter. */
#if CG_PASS == 1
#define SIZE(v, axis) (v)->out_##axis
#else
#define SIZE(v, axis) (v)->in_##axis
#endif

/* Unsigned, since a place that is far outside may overflow. */
static inline uint reach_of(int plane, triple at, const convolution *v) {
    uint line = (uint)at.d * (uint)SIZE(v, h) + (uint)at.h;
    return in_bytes((uint)plane + line * (uint)SIZE(v, w) + (uint)at.w);
}

/* The taps along one axis that lie inside, behind `from` or, of a gradient, before it. */
static inline uint bits_of_axis(int from, int kernel_size, int stride, int dilation, int size) {
    uint bits = 0;
    for (int i = 0; i < kernel_size; i++) {
        int at = CG_PASS == 1 ? exact(from - i * dilation, stride) : from + i * dilation;
        bits |= (uint)(at >= 0 && at < size) << i;
    }
    return bits;
}

static inline uint bits_of_place(triple from, const convolution *v) {
    uint w = bits_of_axis(from.w, v->kernel_w, v->stride_w, v->dilation_w, SIZE(v, w));
    uint h = bits_of_axis(from.h, v->kernel_h, v->stride_h, v->dilation_h, SIZE(v, h));
    uint d = bits_of_axis(from.d, v->kernel_d, v->stride_d, v->dilation_d, SIZE(v, d));
    return w | h << v->kernel_w | d << (v->kernel_w + v->kernel_h);
}

static inline uint bits_of_tap(triple index, const convolution *v) {
    return ~(1u << index.w | 1u << (v->kernel_w + index.h) | 1u << (v->kernel_w + v->kernel_h + index.d));
}

#if CG_PASS == 1
#define COLUMNS(v) ((v)->images * (v)->in_plane)
#define TERMS(v) ((v)->filters * (v)->taps)

/* Where a stride divides what lies between a place and a tap, both have the same rest, and their quotients' difference
 * is the output. */
static inline triple divided(triple at, const convolution *v) {
    triple result; /* rusticl would change the caller's, too */
    result.d = at.d / v->stride_d;
    result.h = at.h / v->stride_h;
    result.w = at.w / v->stride_w;
    return result;
}

static inline side term_of(int k, const convolution *v) {
    int filter = k / v->taps, tap = k - filter * v->taps;
    triple back = divided(offset_of(tap, v), v);
    back.d = -back.d;
    back.h = -back.h;
    back.w = -back.w;
    return side_of(reach_of(filter * v->out_plane, back, v), bits_of_tap(unravel(tap, v->kernel_h, v->kernel_w), v),
                   in_bytes((uint)(filter * v->channels * v->taps + tap)));
}

static inline side column_of(int n, const convolution *v) {
    int image = n / v->in_plane;
    triple from = unravel(n - image * v->in_plane, v->in_h, v->in_w);
    from.d += v->padding_d;
    from.h += v->padding_h;
    from.w += v->padding_w;
    return side_of(reach_of(image * v->groups * v->filters * v->out_plane, divided(from, v), v), bits_of_place(from, v),
                   (uint)(n + image * (v->groups * v->channels - 1) * v->in_plane));
}
#else
static inline side tap_of(int channel, int tap, uint place, const convolution *v) {
    return side_of(reach_of(channel * v->in_plane, offset_of(tap, v), v),
                   bits_of_tap(unravel(tap, v->kernel_h, v->kernel_w), v), place);
}

static inline side window_side(int image, int output, uint place, const convolution *v) {
    triple from = window_of(output, v);
    return side_of(reach_of(image * v->groups * v->channels * v->in_plane, from, v), bits_of_place(from, v), place);
}

/* Where output n of all images is in y. */
static inline uint place_in_y(int n, int image, const convolution *v) {
    return (uint)(n + image * (v->groups * v->filters - 1) * v->out_plane);
}
#endif

#if CG_PASS == 0
#define COLUMNS(v) ((v)->images * (v)->out_plane)
#define TERMS(v) ((v)->channels * (v)->taps)

static inline side term_of(int k, const convolution *v) {
    int channel = k / v->taps;
    return tap_of(channel, k - channel * v->taps, in_bytes((uint)k), v);
}

static inline side column_of(int n, const convolution *v) {
    int image = n / v->out_plane;
    return window_side(image, n - image * v->out_plane, place_in_y(n, image, v), v);
}
#elif CG_PASS == 2
#define COLUMNS(v) ((v)->channels * (v)->taps)
#define TERMS(v) ((v)->images * (v)->out_plane)

static inline side term_of(int k, const convolution *v) {
    int image = k / v->out_plane;
    return window_side(image, k - image * v->out_plane, in_bytes(place_in_y(k, image, v)), v);
}

static inline side column_of(int n, const convolution *v) {
    int channel = n / v->taps;
    return tap_of(channel, n - channel * v->taps, (uint)n, v);
}
#endif

/* sides: those of all terms, and behind them those of all columns. */
__kernel void conv_sides(__global side *sides, convolution v) {
    int i = (int)get_global_id(0), terms = TERMS(&v);
    if (i < terms + COLUMNS(&v)) {
        sides[i] = i < terms ? term_of(i, &v) : column_of(i - terms, &v);
    }
}
