/* Convolution on the cpu: sizes that its files share, the unfolding of an image into columns, and the direct loops. */
#ifndef CLGRAD_CPU_CONV_H
#define CLGRAD_CPU_CONV_H

#include "cpu.h"

/* Channels and filters are those of one group; planes are in elements. Axes: depth, height, width. */
typedef struct cpu_convolution {
    int64_t images, groups, channels, filters;
    int64_t in_plane, out_plane, taps;
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    const float *x, *weight, *dy, *bias; /* what the pass reads; NULL: absent */
    float *result;
    bool add;
} cpu_convolution;

/* What a pass computes: y forward, else the gradient of one of the others. */
typedef enum cpu_conv_operand { CPU_CONV_X, CPU_CONV_WEIGHT, CPU_CONV_Y, CPU_CONV_OPERANDS } cpu_conv_operand;

static inline int64_t cpu_conv_clamp(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

/* The input's element of output 0 along an axis, for one tap. */
static inline int64_t cpu_conv_start(const cpu_convolution *v, int axis, int64_t tap) {
    return tap * v->dilation[axis] - v->padding[axis];
}

static inline cpu_overlap cpu_conv_overlap(const cpu_convolution *v, int axis, int64_t tap) {
    return cpu_overlap_of(cpu_conv_start(v, axis, tap), v->stride[axis], v->in[axis], v->out[axis]);
}

/* The positions first..first+count-1 of y's plane. */
typedef struct cpu_positions {
    int64_t first, count;
} cpu_positions;

/* columns[channel, tap, position] of `channels` planes that begin at x: what the taps read, 0 for padding. */
void cpu_conv_unfold(const cpu_convolution *v, const float *x, int64_t channels, cpu_positions at, float *columns);

/* The transpose: adds the columns to what the taps read. */
void cpu_conv_fold(const cpu_convolution *v, const float *columns, int64_t channels, cpu_positions at, float *dx);

/* Few channels and filters in each group: loops over rows without any columns. */
bool cpu_conv_is_direct(const cpu_convolution *v);
void cpu_conv_direct(const cpu_device *device, const cpu_convolution *v);
void cpu_conv_direct_input(const cpu_device *device, const cpu_convolution *v);
void cpu_conv_direct_weight(const cpu_device *device, const cpu_convolution *v);

/* One group of few channels, stride 1: the weight's gradient by whole rows. Its numbers must be finite. */
bool cpu_conv_has_few_channels(const cpu_convolution *v);
cg_status cpu_conv_few_channels(cpu_device *device, const cpu_convolution *v) CG_MUST_USE;

/* The convolutions of the library that the build has, oneDNN; *done is false where it has none of this kind. The plans
 * that it keeps, in device->conv_plans, are closed with the device. Errors: CG_ERR_MEMORY. */
cg_status cpu_conv_library(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) CG_MUST_USE;

#endif
