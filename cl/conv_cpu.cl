/*
 * Convolution on a CPU is a product with the image's columns (im2col), by the kernels of matmul_cpu.cl: here are the
 * columns, the way back, and the bias that the product is added to.
 *
 * columns [image, channel, tap, position]: `count` positions of y's plane from `first` on.
 */
#include "conv.cl"

/* An item does one tap of one channel. `outer`: images of x lie that far apart. */
__kernel void unfold(__global const float *x, ulong x_at, ulong outer, __global float *columns, int first, int count,
                     convolution sizes) {
    const convolution v = sizes; /* before any branch: rusticl reads arguments wrongly inside */
    ulong row = get_global_id(0);
    int channel = (int)row / v.taps, tap = (int)row - channel * v.taps;
    triple at = offset_of(tap, &v);
    x += x_at + get_global_id(1) * outer + (ulong)channel * v.in_plane;
    columns += (get_global_id(1) * v.channels * v.taps + row) * count;
    for (int line = first / v.out_w; line * v.out_w < first + count; line++) {
        int position = line * v.out_w - first; /* of the line's first element among the columns */
        triple window = window_of(line * v.out_w, &v);
        int d = window.d + at.d, h = window.h + at.h, end = min(v.out_w, count - position);
        bool inside = d >= 0 && d < v.in_d && h >= 0 && h < v.in_h;
        for (int i = max(-position, 0); i < end; i++) {
            int w = window.w + at.w + i * v.stride_w;
            columns[position + i] = inside && w >= 0 && w < v.in_w ? x[(d * v.in_h + h) * v.in_w + w] : 0.0f;
        }
    }
}

/* to += the columns of one tap that row (d, h) of dx was read by. */
static inline void add_taps(__global const float *columns, int position, int first, int count, overlap all, int start,
                            int stride, __global float *to) {
    int from = max(all.first, first - position), end = min(all.end, first + count - position);
    columns += position - first;
    if (stride == 1) {
        for (int w = from; w < end; w += CG_WIDTH) {
            put_part(load_part(columns + w, end - w, 0.0f), to + (start + w), end - w, 1);
        }
    } else {
        for (int w = from; w < end; w++) {
            to[start + w * stride] += columns[w];
        }
    }
}

/* The transpose: an item gathers one row of dx, in the order of the taps. clear: what was there does not count. */
__kernel void fold(__global const float *columns, __global float *dx, ulong dx_at, ulong outer, int first, int count,
                   int clear, convolution sizes) {
    const convolution v = sizes;
    int row = (int)get_global_id(0);
    triple at = unravel(row, v.in_d, v.in_h); /* (channel, depth, height) */
    dx += dx_at + get_global_id(1) * outer + (ulong)row * v.in_w;
    columns += (get_global_id(1) * v.channels + at.d) * (ulong)(v.taps * count);
    for (int w = 0; clear && w < v.in_w; w++) {
        dx[w] = 0.0f;
    }
    for (int tap = 0; tap < v.taps; tap++) {
        triple offset = offset_of(tap, &v);
        int d = exact(at.h + v.padding_d - offset.d, v.stride_d), h = exact(at.w + v.padding_h - offset.h, v.stride_h);
        if (d >= 0 && d < v.out_d && h >= 0 && h < v.out_h) {
            int start = offset.w - v.padding_w;
            overlap all = overlap_of(start, v.stride_w, v.in_w, v.out_w);
            add_taps(columns + tap * count, (d * v.out_h + h) * v.out_w, first, count, all, start, v.stride_w, dx);
        }
    }
}

/* An item does one plane of y. */
__kernel void add_bias(__global const float *bias, __global float *y, convolution v) {
    ulong plane = get_global_id(0);
    float value = bias[v.bias_at + plane % (ulong)(v.groups * v.filters)];
    y += v.y_at + plane * v.out_plane;
    for (int i = 0; i < v.out_plane; i += CG_WIDTH) {
        put_part(value, y + i, v.out_plane - i, v.add);
    }
}
