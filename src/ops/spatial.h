/* What the ops over spatial axes share: how they see their tensors, and checks of sizes. */
#ifndef CLGRAD_OPS_SPATIAL_H
#define CLGRAD_OPS_SPATIAL_H

#include <clgrad/spatial.h>

#include "ops_common.h"

#define CG_SPATIAL_AXES 3

/* Strides, paddings and dilations are at most that, so that sums and products of them stay countable. */
#define CG_SPATIAL_LIMIT 16777216

/* A tensor of `axes` spatial axes as kernels see it: [n, c, depth, height, width], axes that are absent 1. */
typedef struct cg_spatial {
    cg_shape five;
    int axes;
    bool batched; /* the tensor has the axis n */
} cg_spatial;

/* Reads a tensor's shape so. Fails the tape when the rank is neither axes + 1 nor axes + 2, when the tensor is no float
 * tensor or any axis but n is empty. */
bool cg_spatial_read(cg_tape *tape, const char *op, const cg_tensor *tensor, int axes, cg_spatial *spatial);

/* The shape that belongs to `five`, with as many axes as the tensor that was read. */
cg_shape cg_spatial_shape(const cg_spatial *spatial);

/* Copies the numbers of `axes` axes to the last places of three, `fallback` for 0 and for the axes that are absent.
 * Fails the tape when one is not in least..CG_SPATIAL_LIMIT. */
bool cg_spatial_numbers(cg_tape *tape, const char *op, const char *what, const int64_t *given, int axes,
                        int64_t fallback, int64_t least, int64_t out[CG_SPATIAL_AXES]);

#endif
