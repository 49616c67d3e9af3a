/*
 * The weight's gradient of a convolution with few channels, a network's first: each is a sum over whole planes, which
 * libraries for many channels do badly. Rows lie in memory with room for the padding, and the taps of a row are summed
 * together, lane by lane. The images are cut into parts by their number alone, whose sums are joined in order.
 */
#include <string.h>

#include "conv.h"
#include "conv_winograd.h"

#define MOST_CHANNELS 2
#define PARTS 16

/* One part's work: padded planes of an image, and its sums. */
typedef struct few {
    const cpu_convolution *v;
    int64_t parts;
    int64_t x_width, x_height, y_width; /* padded */
    size_t floats;                      /* of a part's memory */
    float *memory;
} few;

bool cpu_conv_has_few_channels(const cpu_convolution *v) {
    bool plain = v->groups == 1 && v->channels <= MOST_CHANNELS && v->in[0] == 1 && v->kernel[0] == 1 && v->out[0] == 1;
    for (int i = 1; i < 3; i++) {
        plain = plain && v->stride[i] == 1 && v->dilation[i] == 1;
    }
    return plain && v->out[2] >= CPU_LANES && (v->kernel[2] == 3 || v->kernel[2] == 5 || v->kernel[2] == 7);
}

static int64_t whole_lanes(int64_t n) {
    return (n + CPU_LANES - 1) / CPU_LANES * CPU_LANES;
}

static int64_t weights_of(const cpu_convolution *v) {
    return v->filters * v->channels * v->taps;
}

/* Rows of a plane into wider and more rows, which are 0 already where it has none. */
static void place(const float *from, int64_t width, int64_t rows, float *to, int64_t to_width) {
    for (int64_t row = 0; row < rows; row++) {
        memcpy(to + row * to_width, from + row * width, (size_t)width * sizeof *to);
    }
}

static float sum_of(const cpu_lanes *parts) {
    float sum = 0.0f;
    for (int i = 0; i < CPU_LANES; i++) {
        sum += (*parts)[i];
    }
    return sum;
}

/* The taps of one row of a filter: sums over the outputs. `width` is a constant where this is called, and the code a
 * part of each clone there: so the sums stay in registers. */
static inline __attribute__((always_inline)) void sum_row(const few *work, const float *x, const float *dy, int width,
                                                          float *to) {
    cpu_lanes sums[7] = {{0}};
    for (int64_t h = 0; h < work->v->out[1]; h++) {
        for (int64_t w = 0; w < work->y_width; w += CPU_LANES) {
            cpu_lanes gradient = *(const cpu_lanes *)(dy + h * work->y_width + w);
#pragma GCC unroll 7
            for (int tap = 0; tap < width; tap++) {
                sums[tap] += gradient * *(const cpu_lanes *)(x + h * work->x_width + w + tap);
            }
        }
    }
#pragma GCC unroll 7
    for (int tap = 0; tap < width; tap++) {
        to[tap] += sum_of(&sums[tap]);
    }
}

/* All taps of a filter and a channel. */
CPU_CLONES static void sum_taps(const few *work, const float *x, const float *dy, float *to) {
    const cpu_convolution *v = work->v;
    for (int64_t row = 0; row < v->kernel[1]; row++, x += work->x_width, to += v->kernel[2]) {
        switch (v->kernel[2]) {
        case 3:
            sum_row(work, x, dy, 3, to);
            break;
        case 5:
            sum_row(work, x, dy, 5, to);
            break;
        default:
            sum_row(work, x, dy, 7, to);
        }
    }
}

static void add_image(const few *work, int64_t image, float *x, float *dy, float *sums) {
    const cpu_convolution *v = work->v;
    int64_t plane = work->x_height * work->x_width;
    for (int64_t c = 0; c < v->channels; c++) {
        float *inside = x + c * plane + v->padding[1] * work->x_width + v->padding[2];
        place(v->x + (image * v->channels + c) * v->in_plane, v->in[2], v->in[1], inside, work->x_width);
    }
    for (int64_t f = 0; f < v->filters; f++) {
        place(v->dy + (image * v->filters + f) * v->out_plane, v->out[2], v->out[1], dy, work->y_width);
        for (int64_t c = 0; c < v->channels; c++) {
            sum_taps(work, x + c * plane, dy, sums + (f * v->channels + c) * v->taps);
        }
    }
}

static void run_parts(void *context, int64_t begin, int64_t end) {
    const few *work = context;
    const cpu_convolution *v = work->v;
    for (int64_t part = begin; part < end; part++) {
        float *sums = work->memory + (size_t)part * work->floats, *x = sums + weights_of(v);
        float *dy = x + v->channels * work->x_height * work->x_width;
        memset(sums, 0, work->floats * sizeof *sums);
        for (int64_t i = v->images * part / work->parts; i < v->images * (part + 1) / work->parts; i++) {
            add_image(work, i, x, dy, sums);
        }
    }
}

static void join_parts(void *context, int64_t begin, int64_t end) {
    const few *work = context;
    for (int64_t i = begin; i < end; i++) {
        double sum = work->v->add ? (double)work->v->result[i] : 0.0;
        for (int64_t part = 0; part < work->parts; part++) {
            sum += (double)work->memory[(size_t)part * work->floats + (size_t)i];
        }
        work->v->result[i] = (float)sum;
    }
}

cg_status cpu_conv_few_channels(cpu_device *device, const cpu_convolution *v) {
    few work = {.v = v, .parts = v->images < PARTS ? v->images : PARTS, .y_width = whole_lanes(v->out[2])};
    work.x_width = work.y_width + v->kernel[2] - 1;
    int64_t covered = v->in[2] + v->padding[2];
    work.x_width = covered > work.x_width ? covered : work.x_width;
    work.x_height = v->out[1] + v->kernel[1] - 1;
    work.x_height = v->in[1] + v->padding[1] > work.x_height ? v->in[1] + v->padding[1] : work.x_height;
    work.floats = (size_t)(weights_of(v) + v->channels * work.x_height * work.x_width + v->out[1] * work.y_width);
    work.memory = cpu_scratch(device, (size_t)work.parts * work.floats * sizeof(float));
    if (work.memory == NULL) {
        return CG_ERR_MEMORY;
    }
    cpu_parallel(device, work.parts, 1, run_parts, &work);
    cpu_parallel(device, weights_of(v), 4096, join_parts, &work);
    return CG_OK;
}
