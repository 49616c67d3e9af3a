/* A convolution on an OpenCL device: what its files share. */
#ifndef CLGRAD_OCL_CONV_H
#define CLGRAD_OCL_CONV_H

#include "ocl.h"

/* As in cl/conv.cl. */
typedef struct ocl_conv_sizes {
    cl_ulong x_at, weight_at, y_at, bias_at, add;
    cl_int images, groups, channels, filters;
    cl_int in[3], out[3], kernel[3];
    cl_int stride[3], padding[3], dilation[3];
    cl_int in_plane, out_plane, taps;
    cl_int has_bias;
} ocl_conv_sizes;

typedef enum ocl_conv_pass { OCL_CONV_FORWARD, OCL_CONV_INPUT, OCL_CONV_WEIGHT } ocl_conv_pass;

typedef struct ocl_convolution {
    ocl_device *device;
    ocl_conv_pass pass;
    const cg_operand *x, *weight, *y, *bias; /* of a gradient's pass what they are the gradient of; bias NULL: none */
    ocl_conv_sizes sizes;
} ocl_convolution;

/* conv_gpu.c: tiles gathered from the image, for kernels that are not too large. */
bool ocl_conv_has_tiles(const ocl_conv_sizes *s);
cg_status ocl_conv_tiles(const ocl_convolution *conv);

/* conv_grid.c: for a CPU and a stride of 1, from grids with room for the padding. */
cg_status ocl_conv_grid(const ocl_convolution *conv);

/* conv_cpu.c: columns and matrix products. */
cg_status ocl_conv_columns(const ocl_convolution *conv);

#endif
