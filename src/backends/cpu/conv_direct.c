/*
 * Convolutions of groups with few channels and filters (depthwise): a matrix product would have almost no rows. Each
 * tap adds rows of the input, times its weight, to rows of the output.
 */
#include <string.h>

#include "conv.h"

#define LARGEST_GROUP 4 /* channels times filters */
#define GRAIN 16384     /* multiply-adds */

bool cpu_conv_is_direct(const cpu_convolution *v) {
    return v->channels * v->filters <= LARGEST_GROUP;
}

/* One tap of a channel's and a filter's plane. */
typedef struct pair {
    const cpu_convolution *v;
    cpu_overlap d, h, w;
    int64_t start[3]; /* the input's element of output 0, by axis */
} pair;

static pair pair_of(const cpu_convolution *v, int64_t tap) {
    int64_t taps[3] = {tap / (v->kernel[1] * v->kernel[2]), tap / v->kernel[2] % v->kernel[1], tap % v->kernel[2]};
    pair p = {
        v, cpu_conv_overlap(v, 0, taps[0]), cpu_conv_overlap(v, 1, taps[1]), cpu_conv_overlap(v, 2, taps[2]), {0}};
    for (int i = 0; i < 3; i++) {
        p.start[i] = cpu_conv_start(v, i, taps[i]);
    }
    return p;
}

static int64_t in_row(const pair *p, int64_t d, int64_t h) {
    const cpu_convolution *v = p->v;
    int64_t row = (d * v->stride[0] + p->start[0]) * v->in[1] + h * v->stride[1] + p->start[1];
    return row * v->in[2] + p->start[2];
}

static int64_t out_row(const pair *p, int64_t d, int64_t h) {
    return (d * p->v->out[1] + h) * p->v->out[2];
}

/* y += factor x, over the outputs of this tap. */
static inline void add_rows(const pair *p, const float *x, float factor, float *y) {
    int64_t stride = p->v->stride[2];
    for (int64_t d = p->d.first; d < p->d.end; d++) {
        for (int64_t h = p->h.first; h < p->h.end; h++) {
            const float *from = x + in_row(p, d, h);
            float *to = y + out_row(p, d, h);
#pragma omp simd
            for (int64_t w = p->w.first; w < p->w.end; w++) {
                to[w] += factor * from[w * stride];
            }
        }
    }
}

/* dx += factor dy, back to what the tap read. */
static inline void add_rows_back(const pair *p, const float *dy, float factor, float *dx) {
    int64_t stride = p->v->stride[2];
    for (int64_t d = p->d.first; d < p->d.end; d++) {
        for (int64_t h = p->h.first; h < p->h.end; h++) {
            const float *from = dy + out_row(p, d, h);
            float *to = dx + in_row(p, d, h);
#pragma omp simd
            for (int64_t w = p->w.first; w < p->w.end; w++) {
                to[w * stride] += factor * from[w];
            }
        }
    }
}

/* The sum of x times dy over the outputs of this tap. */
static inline float dot_rows(const pair *p, const float *x, const float *dy) {
    int64_t stride = p->v->stride[2];
    double sum = 0.0;
    for (int64_t d = p->d.first; d < p->d.end; d++) {
        for (int64_t h = p->h.first; h < p->h.end; h++) {
            const float *a = x + in_row(p, d, h), *b = dy + out_row(p, d, h);
            float row = 0.0f;
            for (int64_t w = p->w.first; w < p->w.end; w++) {
                row += a[w * stride] * b[w];
            }
            sum += (double)row;
        }
    }
    return (float)sum;
}

static void fill_plane(float *plane, int64_t count, float value, bool add) {
    for (int64_t i = 0; i < count; i++) {
        plane[i] = add ? plane[i] + value : value;
    }
}

/* Planes begin..end-1 of y. */
CPU_CLONES static void forward_planes(void *context, int64_t begin, int64_t end) {
    const cpu_convolution *v = context;
    int64_t filters = v->filters * v->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        int64_t filter = plane % filters, group = filter / v->filters;
        const float *x = v->x + (plane / filters * v->groups + group) * v->channels * v->in_plane;
        float *y = v->result + plane * v->out_plane;
        fill_plane(y, v->out_plane, v->bias != NULL ? v->bias[filter] : 0.0f, v->add);
        for (int64_t i = 0; i < v->channels * v->taps; i++) {
            pair p = pair_of(v, i % v->taps);
            add_rows(&p, x + i / v->taps * v->in_plane, v->weight[filter * v->channels * v->taps + i], y);
        }
    }
}

/* Planes begin..end-1 of dx. */
CPU_CLONES static void input_planes(void *context, int64_t begin, int64_t end) {
    const cpu_convolution *v = context;
    int64_t channels = v->channels * v->groups;
    for (int64_t plane = begin; plane < end; plane++) {
        int64_t channel = plane % channels, group = channel / v->channels;
        int64_t first = group * v->filters; /* filter */
        const float *dy = v->dy + (plane / channels * v->groups * v->filters + first) * v->out_plane;
        const float *weight = v->weight + (first * v->channels + channel % v->channels) * v->taps;
        float *dx = v->result + plane * v->in_plane;
        fill_plane(dx, v->in_plane, 0.0f, v->add);
        for (int64_t i = 0; i < v->filters * v->taps; i++) {
            pair p = pair_of(v, i % v->taps);
            int64_t filter = i / v->taps;
            add_rows_back(&p, dy + filter * v->out_plane, weight[filter * v->channels * v->taps + i % v->taps], dx);
        }
    }
}

/* Elements begin..end-1 of dweight. */
CPU_CLONES static void weight_elements(void *context, int64_t begin, int64_t end) {
    const cpu_convolution *v = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i / v->taps, filter = row / v->channels, channel = row % v->channels;
        channel += filter / v->filters * v->channels;
        pair p = pair_of(v, i % v->taps);
        double sum = v->add ? (double)v->result[i] : 0.0;
        for (int64_t image = 0; image < v->images; image++) {
            const float *x = v->x + (image * v->groups * v->channels + channel) * v->in_plane;
            sum += (double)dot_rows(&p, x, v->dy + (image * v->groups * v->filters + filter) * v->out_plane);
        }
        v->result[i] = (float)sum;
    }
}

void cpu_conv_direct(const cpu_device *device, const cpu_convolution *v) {
    int64_t work = v->out_plane * v->channels * v->taps;
    cpu_parallel(device, v->images * v->groups * v->filters, GRAIN / work + 1, forward_planes, (void *)v);
}

void cpu_conv_direct_input(const cpu_device *device, const cpu_convolution *v) {
    int64_t work = v->out_plane * v->filters * v->taps;
    cpu_parallel(device, v->images * v->groups * v->channels, GRAIN / work + 1, input_planes, (void *)v);
}

void cpu_conv_direct_weight(const cpu_device *device, const cpu_convolution *v) {
    int64_t work = v->out_plane * v->images;
    cpu_parallel(device, v->groups * v->filters * v->channels * v->taps, GRAIN / (work + 1) + 1, weight_elements,
                 (void *)v);
}
