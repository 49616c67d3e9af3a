/* The copy with strides, for the front ends that are made of it. */
#ifndef CLGRAD_OPS_STRIDED_H
#define CLGRAD_OPS_STRIDED_H

#include "ops_common.h"

/* Records y[to + ..] = x[from + ..]; its gradient is the copy back, or `backward`. Nothing to copy records nothing. */
void cg_ops_strided(cg_tape *tape, cg_tensor *x, cg_tensor *y, const cg_strided_attrs *attrs, cg_backward_fn backward);

/* Elements from one place to the next along each axis of a contiguous tensor. */
void cg_ops_strides(const cg_shape *shape, int64_t stride[CG_MAX_RANK]);

#endif
