/*
 * Padding of three axes and its gradient. An item does `each` elements of what is written; the gradient gathers the
 * elements of y that were made from one of x.
 *
 * CG_MODE  0: a constant, 1: mirrored, 2: the last element, 3: the other end
 *
 * Variants: -DCG_MODE={0,1,2,3}
 */
#include "prelude.cl"

#ifndef CG_MODE
#define CG_MODE 0
#endif

typedef struct {
    ulong outer, each; /* an operand has fewer than 2^30 elements */
    int in_d, in_h, in_w, out_d, out_h, out_w;
    int front_d, front_h, front_w, add;
} pad;

/* The element along an axis that element `o` of y is made from; -1: the constant. */
static inline int source(int o, int front, int size) {
    int i = o - front;
    bool before = i < 0, behind = i >= size;
#if CG_MODE == 1
    return before ? -i : behind ? 2 * (size - 1) - i : i;
#elif CG_MODE == 2
    return before ? 0 : behind ? size - 1 : i;
#elif CG_MODE == 3
    return before ? i + size : behind ? i - size : i;
#else
    return before || behind ? -1 : i;
#endif
}

typedef struct {
    int outer, d, h, w;
} place;

static inline place place_of(int index, int depth, int height, int width) {
    place at;
    int rows = index / width, planes = rows / height;
    at.w = index - rows * width;
    at.h = rows - planes * height;
    at.outer = planes / depth;
    at.d = planes - at.outer * depth;
    return at;
}

__kernel void pad_forward(__global const float *x, ulong x_at, __global float *y, ulong y_at, pad p, float value) {
    ulong n = p.outer * (ulong)p.out_d * (ulong)p.out_h * (ulong)p.out_w;
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, n);
    for (ulong i = first; i < end; i++) {
        place at = place_of((int)i, p.out_d, p.out_h, p.out_w);
        int d = source(at.d, p.front_d, p.in_d), h = source(at.h, p.front_h, p.in_h);
        int w = source(at.w, p.front_w, p.in_w);
        bool inside = d >= 0 && h >= 0 && w >= 0;
        ulong from = inside ? (ulong)(((at.outer * p.in_d + d) * p.in_h + h) * p.in_w + w) : 0;
        y[y_at + i] = inside ? x[x_at + from] : value;
    }
}

/* Run `j` of the three runs of y's elements along an axis that were made from element i of x: first..end-1. */
typedef struct {
    int first, end;
} run;

#if CG_MODE == 1 || CG_MODE == 3
#define RUNS 3
#else
#define RUNS 1
#endif

static inline run run_of(int j, int i, int front, int size, int out) {
    run r;
    r.first = i + front;
    r.end = r.first + 1;
#if CG_MODE == 1
    bool there = j == 0 || (j == 1 && i > 0 && i <= front) || (j == 2 && i < size - 1);
    r.first = j == 0 ? front + i : j == 1 ? front - i : front + 2 * (size - 1) - i;
    r.end = there ? r.first + 1 : r.first;
#elif CG_MODE == 3
    r.first = j == 0 ? front + i : j == 1 ? front + i - size : front + i + size;
    r.end = r.first + 1;
#elif CG_MODE == 2
    r.first = i == 0 ? 0 : front + i;
    r.end = i == size - 1 ? out : front + i + 1;
#endif
    r.first = max(r.first, 0);
    r.end = min(r.end, out);
    return r;
}

/* The sum of a row of dy over what element w of dx's row became. */
static inline float sum_row(__global const float *row, int w, const pad *p) {
    float sum = 0.0f;
    for (int j = 0; j < RUNS; j++) {
        run r = run_of(j, w, p->front_w, p->in_w, p->out_w);
        for (int o = r.first; o < r.end; o++) {
            sum += row[o];
        }
    }
    return sum;
}

static inline float sum_plane(__global const float *plane, place at, const pad *p) {
    float sum = 0.0f;
    for (int j = 0; j < RUNS; j++) {
        run r = run_of(j, at.h, p->front_h, p->in_h, p->out_h);
        for (int o = r.first; o < r.end; o++) {
            sum += sum_row(plane + o * p->out_w, at.w, p);
        }
    }
    return sum;
}

__kernel void pad_backward(__global const float *dy, ulong dy_at, __global float *dx, ulong dx_at, pad p) {
    ulong n = p.outer * (ulong)p.in_d * (ulong)p.in_h * (ulong)p.in_w;
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, n);
    for (ulong i = first; i < end; i++) {
        place at = place_of((int)i, p.in_d, p.in_h, p.in_w);
        __global const float *from = dy + dy_at + (ulong)(at.outer * p.out_d * p.out_h * p.out_w);
        float sum = 0.0f;
        for (int j = 0; j < RUNS; j++) {
            run r = run_of(j, at.d, p.front_d, p.in_d, p.out_d);
            for (int o = r.first; o < r.end; o++) {
                sum += sum_plane(from + o * p.out_h * p.out_w, at, &p);
            }
        }
        dx[dx_at + i] = p.add ? dx[dx_at + i] + sum : sum;
    }
}
