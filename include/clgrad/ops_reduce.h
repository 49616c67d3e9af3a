/*
 * Reductions beside sum and mean. All rules of ops.h hold. `axes`: bit i is axis i, CG_ALL_AXES all; an axis alone
 * counts from the end when negative. keepdim keeps what was reduced as 1.
 */
#ifndef CLGRAD_OPS_REDUCE_H
#define CLGRAD_OPS_REDUCE_H

#include <clgrad/op_kinds.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest, the smallest; NaN wins. The gradient goes to the first of equals, as of torch.max over one axis.
 * CG_ERR_SHAPE when there is nothing to choose from. */
CG_API cg_tensor *cg_max(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);
CG_API cg_tensor *cg_min(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);

/* Index of the smallest along one axis, i64, that axis removed: the first of equals. No gradient. */
CG_API cg_tensor *cg_argmin(cg_tape *tape, cg_tensor *x, int axis);

/* The sum of squared distances from the mean, divided by the count less `correction` (1: the estimate of a sample's
 * variance, 0: the variance of what is there). In two passes: no digits are lost to a large mean. */
CG_API cg_tensor *cg_var(cg_tape *tape, cg_tensor *x, uint32_t axes, double correction, bool keepdim);

/* log(sum(exp(x))), with the largest taken out. */
CG_API cg_tensor *cg_logsumexp(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);

/* sum(|x|^p)^(1/p) for p = 1, 2 and INFINITY (the largest |x|). The gradient at 0 is 0. */
CG_API cg_tensor *cg_norm(cg_tape *tape, cg_tensor *x, double p, uint32_t axes, bool keepdim);

/* The sums of all places up to each along one axis. */
CG_API cg_tensor *cg_cumsum(cg_tape *tape, cg_tensor *x, int axis);

#ifdef __cplusplus
}
#endif
#endif
