/*
 * Convolutions of groups with few channels and filters (depthwise), element by element: a matrix product would have
 * almost no rows. An item does `each` elements; those of dweight are sums over all images, by the lanes of rows.cl.
 *
 * Variants: -DCG_LANES={1,CG_GROUP}
 * Variants (intel): -DCG_LANES=CG_GROUP -DCG_SHUFFLE=1
 */
#include "conv.cl"
#include "rows.cl"

/* sum and the products of one plane's window, in the order of the taps. */
static inline float add_window(__global const float *x, __global const float *weight, triple window,
                               const convolution *v, float sum) {
    for (int kd = 0, d = window.d; kd < v->kernel_d; kd++, d += v->dilation_d) {
        for (int kh = 0, h = window.h; kh < v->kernel_h; kh++, h += v->dilation_h) {
            bool inside = d >= 0 && d < v->in_d && h >= 0 && h < v->in_h;
            for (int kw = 0, w = window.w; kw < v->kernel_w; kw++, w += v->dilation_w, weight++) {
                if (inside && w >= 0 && w < v->in_w) {
                    sum = MULTIPLY_ADD(x[(d * v->in_h + h) * v->in_w + w], *weight, sum);
                }
            }
        }
    }
    return sum;
}

static inline float output_element(__global const float *x, __global const float *weight, triple window,
                                   const convolution *v) {
    float sum = 0.0f;
    for (int c = 0; c < v->channels; c++, x += v->in_plane, weight += v->taps) {
        sum = add_window(x, weight, window, v, sum);
    }
    return sum;
}

__kernel void conv_direct(__global const float *x, __global const float *weight, __global float *y,
                          __global const float *bias, convolution v, ulong n, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    int filters = v.groups * v.filters;
    for (ulong i = first; i < end; i++) {
        ulong2 place = divide(i, v.out_plane); /* (plane, element) */
        int image = (int)place.x / filters, filter = (int)place.x - image * filters;
        int plane = (image * v.groups + filter / v.filters) * v.channels;
        float sum =
            output_element(x + v.x_at + (ulong)plane * v.in_plane,
                           weight + v.weight_at + (ulong)filter * v.channels * v.taps, window_of((int)place.y, &v), &v);
        sum = v.has_bias ? sum + bias[v.bias_at + filter] : sum;
        y[v.y_at + i] = v.add ? y[v.y_at + i] + sum : sum;
    }
}

/* sum and the products of one plane's outputs that read the element `at`. */
static inline float add_outputs(__global const float *dy, __global const float *weight, triple at,
                                const convolution *v, float sum) {
    for (int kd = 0; kd < v->kernel_d; kd++) {
        int d = exact(at.d + v->padding_d - kd * v->dilation_d, v->stride_d);
        for (int kh = 0; kh < v->kernel_h; kh++) {
            int h = exact(at.h + v->padding_h - kh * v->dilation_h, v->stride_h);
            bool inside = d >= 0 && d < v->out_d && h >= 0 && h < v->out_h;
            for (int kw = 0; kw < v->kernel_w; kw++, weight++) {
                int w = exact(at.w + v->padding_w - kw * v->dilation_w, v->stride_w);
                if (inside && w >= 0 && w < v->out_w) {
                    sum = MULTIPLY_ADD(dy[(d * v->out_h + h) * v->out_w + w], *weight, sum);
                }
            }
        }
    }
    return sum;
}

static inline float input_element(__global const float *dy, __global const float *weight, triple at,
                                  const convolution *v) {
    float sum = 0.0f;
    for (int f = 0; f < v->filters; f++, dy += v->out_plane, weight += v->channels * v->taps) {
        sum = add_outputs(dy, weight, at, v, sum);
    }
    return sum;
}

__kernel void conv_direct_input(__global const float *dy, __global const float *weight, __global float *dx,
                                convolution v, ulong n, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    int channels = v.groups * v.channels;
    for (ulong i = first; i < end; i++) {
        ulong2 place = divide(i, v.in_plane); /* (plane, element) */
        int image = (int)place.x / channels, channel = (int)place.x - image * channels;
        int group = channel / v.channels, plane = (image * v.groups + group) * v.filters;
        int row = group * v.filters * v.channels + channel - group * v.channels; /* of weight */
        float sum = input_element(dy + v.y_at + (ulong)plane * v.out_plane, weight + v.weight_at + (ulong)row * v.taps,
                                  unravel((int)place.y, v.in_h, v.in_w), &v);
        dx[v.x_at + i] = v.add ? dx[v.x_at + i] + sum : sum;
    }
}

/* The sum over a row of outputs of dy times what one tap read. */
static inline float dot_row(__global const float *x, __global const float *dy, triple offset, int d, int h,
                            const convolution *v) {
    int in_d = d * v->stride_d - v->padding_d + offset.d, in_h = h * v->stride_h - v->padding_h + offset.h;
    int start = offset.w - v->padding_w;
    float sum = 0.0f;
    if (in_d >= 0 && in_d < v->in_d && in_h >= 0 && in_h < v->in_h) {
        overlap part = overlap_of(start, v->stride_w, v->in_w, v->out_w);
        x += (in_d * v->in_h + in_h) * v->in_w;
        dy += (d * v->out_h + h) * v->out_w;
        for (int w = part.first; w < part.end; w++) {
            sum = MULTIPLY_ADD(x[start + w * v->stride_w], dy[w], sum);
        }
    }
    return sum;
}

__kernel void conv_direct_weight(__global const float *x, __global const float *dy, __global float *dweight,
                                 convolution v, ulong n, ulong each) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * each, end = min(first + each, n);
    for (ulong i = first; i < end; i++) {
        int row = (int)i / v.taps, filter = row / v.channels;
        int channel = filter / v.filters * v.channels + row - filter * v.channels;
        triple offset = offset_of((int)i - row * v.taps, &v);
        float sum = 0.0f;
        for (int line = ROW_LANE; line < v.images * v.out_d * v.out_h; line += CG_LANES) {
            triple at = unravel(line, v.out_d, v.out_h); /* (image, depth, height) */
            int in = at.d * v.groups * v.channels + channel, out = at.d * v.groups * v.filters + filter;
            sum += dot_row(x + v.x_at + (ulong)in * v.in_plane, dy + v.y_at + (ulong)out * v.out_plane, offset, at.h,
                           at.w, &v);
        }
        sum = row_join(sum, scratch, 0);
        if (ROW_LANE == 0) {
            dweight[v.weight_at + i] = v.add ? dweight[v.weight_at + i] + sum : sum;
        }
    }
}
