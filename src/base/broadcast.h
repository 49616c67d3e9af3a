/* The loops of a broadcast elementwise op, as few as possible: shared by the backends. */
#ifndef CLGRAD_BROADCAST_H
#define CLGRAD_BROADCAST_H

#include <clgrad/types.h>

/* Loop axes from the slowest to the fastest; stride 0 repeats. At least one axis; equal shapes give one axis with
 * strides 1 and 1. */
typedef struct cg_broadcast {
    int rank;
    int64_t dim[CG_MAX_RANK];
    int64_t stride_a[CG_MAX_RANK], stride_b[CG_MAX_RANK];
} cg_broadcast;

/* a and b must broadcast to out (out is contiguous). */
void cg_broadcast_plan(const cg_shape *a, const cg_shape *b, const cg_shape *out, cg_broadcast *plan);

#endif
