/* What the front ends share. */
#ifndef CLGRAD_OPS_COMMON_H
#define CLGRAD_OPS_COMMON_H

#include <clgrad/ops.h>

#include "record.h"

/* True for f32 and f64; else the tape fails, naming `op`. */
bool cg_ops_float(cg_tape *tape, const char *op, const cg_tensor *tensor);

/* True where a tensor beside the input has its data type; NULL has. Else the tape fails, naming `op` and `role`. */
bool cg_ops_alike(cg_tape *tape, const char *op, const cg_tensor *input, const char *role, const cg_tensor *tensor);

/* axis counted from the front, negative ones from the end; -1 and a failed tape when it is out of range. */
int cg_ops_axis(cg_tape *tape, const char *op, const cg_tensor *tensor, int axis);

/* A shape seen as three axes around one (or a run first..last): [outer, middle, inner]. */
cg_shape cg_ops_around(const cg_shape *shape, int first, int last);

/* The shape without that axis. */
cg_shape cg_ops_without(const cg_shape *shape, int axis);

/* Contributes `full`, summed over the axes that broadcasting repeated, to the gradient of `target`. */
void cg_ops_sum_to(cg_tape *tape, cg_tensor *target, cg_tensor *full, double scale);

/* The elements of the loss `name`: their mean, their sum, or themselves. */
cg_tensor *cg_ops_reduced(cg_tape *tape, const char *name, cg_tensor *loss, cg_reduction reduction);

/* Whether there can be a result of that shape: given at all, a rank that there is, no negative axis, elements that can
 * be counted. Else the tape fails, naming `op`. */
bool cg_ops_shape_fits(cg_tape *tape, const char *op, const cg_shape *shape);

/* Whether a pointer argument is there; else the tape fails, naming `op` and `what`. */
bool cg_ops_given(cg_tape *tape, const char *op, const char *what, const void *pointer);

/* The product of two sizes, or the largest number where it is larger: no shape with such an axis fits. */
int64_t cg_ops_times(int64_t a, int64_t b);

/* What an op that is made of others returns at its end: the result, or, when one of the others has refused, the poison
 * tensor with `op` in front of the reason. The tape was well when the op began. */
cg_tensor *cg_ops_result(cg_tape *tape, const char *op, cg_tensor *result);

/* In the backward rule of an op that ends in ReLU and gives y: the gradient in front of the ReLU. */
cg_tensor *cg_ops_before_relu(cg_tape *tape, cg_tensor *y);

/* y, which no element of the inputs had a part in, as what comes of them: their gradients are zeros, not missing. */
cg_tensor *cg_ops_of_nothing(cg_tape *tape, cg_tensor *y, cg_tensor *const *inputs, uint32_t n_inputs);

/* A new tensor filled with a value. */
cg_tensor *cg_ops_filled(cg_tape *tape, cg_dtype dtype, const cg_shape *shape, double value);

#endif
