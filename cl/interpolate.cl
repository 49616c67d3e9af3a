/*
 * Resizing planes and its gradient. An item does `each` elements of what is written; the gradient gathers the elements
 * of y that an element of x went into.
 *
 * CG_MODE  0: the nearest element, 1: a line between two along each axis
 *
 * Variants: -DCG_MODE={0,1}
 */
#include "prelude.cl"

#ifndef CG_MODE
#define CG_MODE 0
#endif

typedef struct {
    ulong planes, each; /* an operand has fewer than 2^30 elements */
    int in_h, in_w, out_h, out_w;
    float scale_h, scale_w; /* elements of x for one of y */
    int align_corners, add;
} resize;

/* Along an axis: two elements of x, and the weight of the second. */
typedef struct {
    int first, second;
    float weight;
} blend;

static inline blend blend_of(int o, int in, float scale, int align_corners) {
    blend m;
#if CG_MODE == 0
    m.first = min((int)floor((float)o * scale), in - 1);
    m.second = m.first;
    m.weight = 0.0f;
#else
    float at = align_corners ? scale * (float)o : scale * ((float)o + 0.5f) - 0.5f;
    at = clamp(at, 0.0f, (float)(in - 1));
    m.first = (int)at;
    m.second = min(m.first + 1, in - 1);
    m.weight = at - (float)m.first;
#endif
    return m;
}

static inline float between(float a, float b, float weight) {
    return weight == 0.0f ? a : a * (1.0f - weight) + b * weight;
}

typedef struct {
    int plane, h, w;
} place;

static inline place place_of(int index, int height, int width) {
    place at;
    int row = index / width;
    at.w = index - row * width;
    at.plane = row / height;
    at.h = row - at.plane * height;
    return at;
}

__kernel void interpolate(__global const float *x, ulong x_at, __global float *y, ulong y_at, resize r) {
    ulong n = r.planes * (ulong)r.out_h * (ulong)r.out_w;
    ulong first = get_global_id(0) * r.each, end = min(first + r.each, n);
    for (ulong i = first; i < end; i++) {
        place at = place_of((int)i, r.out_h, r.out_w);
        blend h = blend_of(at.h, r.in_h, r.scale_h, r.align_corners),
              w = blend_of(at.w, r.in_w, r.scale_w, r.align_corners);
        __global const float *plane = x + x_at + (ulong)(at.plane * r.in_h * r.in_w);
        __global const float *upper = plane + h.first * r.in_w, *lower = plane + h.second * r.in_w;
        float top = between(upper[w.first], upper[w.second], w.weight);
        float bottom = between(lower[w.first], lower[w.second], w.weight);
        y[y_at + i] = between(top, bottom, h.weight);
    }
}

/* The first element of y along an axis whose elements of x reach `least`. They never fall as y's grow: close by the
 * inverse, and exact by looking. */
static inline int first_reaching(int least, int in, int out, float scale, int align_corners) {
    int o = scale > 0.0f ? (int)clamp((float)least / scale - 2.0f, 0.0f, (float)(out - 1)) : 0;
    while (o > 0 && blend_of(o - 1, in, scale, align_corners).second >= least) {
        o--;
    }
    while (o < out && blend_of(o, in, scale, align_corners).second < least) {
        o++;
    }
    return o;
}

/* How much of element i of x is in a blend. */
static inline float share_of(blend m, int i) {
    return (m.first == i ? 1.0f - m.weight : 0.0f) + (m.second == i ? m.weight : 0.0f);
}

__kernel void interpolate_backward(__global const float *dy, ulong dy_at, __global float *dx, ulong dx_at, resize r) {
    ulong n = r.planes * (ulong)r.in_h * (ulong)r.in_w;
    ulong first = get_global_id(0) * r.each, end = min(first + r.each, n);
    for (ulong i = first; i < end; i++) {
        place at = place_of((int)i, r.in_h, r.in_w);
        __global const float *plane = dy + dy_at + (ulong)(at.plane * r.out_h * r.out_w);
        int first_h = first_reaching(at.h, r.in_h, r.out_h, r.scale_h, r.align_corners);
        int first_w = first_reaching(at.w, r.in_w, r.out_w, r.scale_w, r.align_corners);
        float sum = 0.0f;
        for (int oh = first_h; oh < r.out_h; oh++) {
            blend h = blend_of(oh, r.in_h, r.scale_h, r.align_corners);
            if (h.first > at.h) {
                break;
            }
            float row = 0.0f;
            for (int ow = first_w; ow < r.out_w; ow++) {
                blend w = blend_of(ow, r.in_w, r.scale_w, r.align_corners);
                if (w.first > at.w) {
                    break;
                }
                row += plane[oh * r.out_w + ow] * share_of(w, at.w);
            }
            sum += row * share_of(h, at.h);
        }
        dx[dx_at + i] = r.add ? dx[dx_at + i] + sum : sum;
    }
}
