/* Images to columns and back (im2col, col2im): what makes a convolution a matrix product. */
#include <string.h>

#include "conv.h"

/* One row of the columns: a channel's plane, a tap, and the run of positions in hand. */
typedef struct run {
    const cpu_convolution *v;
    int64_t tap[3];
    int64_t row, column, count; /* of y's plane: `count` positions of one row */
} run;

static run run_of(const cpu_convolution *v, int64_t tap) {
    const int64_t *k = v->kernel;
    return (run){.v = v, .tap = {tap / (k[1] * k[2]), tap / k[2] % k[1], tap % k[2]}};
}

/* The first element of the input's row that this run reads; -1: all of it is padding. */
static int64_t input_row(const run *r) {
    const cpu_convolution *v = r->v;
    int64_t d = r->row / v->out[1] * v->stride[0] + cpu_conv_start(v, 0, r->tap[0]);
    int64_t h = r->row % v->out[1] * v->stride[1] + cpu_conv_start(v, 1, r->tap[1]);
    bool inside = d >= 0 && d < v->in[0] && h >= 0 && h < v->in[1];
    return inside ? (d * v->in[1] + h) * v->in[2] : -1;
}

/* The part of the run that lies inside the input, counted from the run's first. */
static cpu_overlap inside(const run *r) {
    cpu_overlap all = cpu_conv_overlap(r->v, 2, r->tap[2]);
    return (cpu_overlap){cpu_conv_clamp(all.first - r->column, 0, r->count),
                         cpu_conv_clamp(all.end - r->column, 0, r->count)};
}

static void read_run(const run *r, const float *plane, float *to) {
    int64_t row = input_row(r), stride = r->v->stride[2];
    if (row < 0) {
        memset(to, 0, (size_t)r->count * sizeof *to);
        return;
    }
    cpu_overlap part = inside(r);
    memset(to, 0, (size_t)part.first * sizeof *to);
    const float *from = plane + row + r->column * stride + cpu_conv_start(r->v, 2, r->tap[2]);
    if (stride == 1 && part.end > part.first) {
        memcpy(to + part.first, from + part.first, (size_t)(part.end - part.first) * sizeof *to);
    } else {
        for (int64_t i = part.first; i < part.end; i++) {
            to[i] = from[i * stride];
        }
    }
    memset(to + part.end, 0, (size_t)(r->count - part.end) * sizeof *to);
}

static void add_run(const run *r, const float *from, float *plane) {
    int64_t row = input_row(r), stride = r->v->stride[2];
    if (row < 0) {
        return;
    }
    cpu_overlap part = inside(r);
    float *to = plane + row + r->column * stride + cpu_conv_start(r->v, 2, r->tap[2]);
    if (stride == 1) {
#pragma omp simd
        for (int64_t i = part.first; i < part.end; i++) {
            to[i] += from[i];
        }
    } else {
        for (int64_t i = part.first; i < part.end; i++) {
            to[i * stride] += from[i];
        }
    }
}

/* Moves the run to the next row's part of the positions; false at the end. */
static bool next_run(run *r, cpu_positions at, int64_t *done) {
    *done += r->count;
    if (*done >= at.count) {
        return false;
    }
    int64_t position = at.first + *done, width = r->v->out[2];
    r->row = position / width;
    r->column = position % width;
    r->count = cpu_conv_clamp(at.count - *done, 0, width - r->column);
    return true;
}

void cpu_conv_unfold(const cpu_convolution *v, const float *x, int64_t channels, cpu_positions at, float *columns) {
    for (int64_t i = 0; i < channels * v->taps; i++) {
        run r = run_of(v, i % v->taps);
        for (int64_t done = 0; next_run(&r, at, &done);) {
            read_run(&r, x + i / v->taps * v->in_plane, columns + i * at.count + done);
        }
    }
}

CPU_CLONES static void fold(const cpu_convolution *v, const float *columns, int64_t channels, cpu_positions at,
                            float *dx) {
    for (int64_t i = 0; i < channels * v->taps; i++) {
        run r = run_of(v, i % v->taps);
        for (int64_t done = 0; next_run(&r, at, &done);) {
            add_run(&r, columns + i * at.count + done, dx + i / v->taps * v->in_plane);
        }
    }
}

void cpu_conv_fold(const cpu_convolution *v, const float *columns, int64_t channels, cpu_positions at, float *dx) {
    fold(v, columns, channels, at, dx);
}
