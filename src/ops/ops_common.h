/* What the front ends share. */
#ifndef CLGRAD_OPS_COMMON_H
#define CLGRAD_OPS_COMMON_H

#include <clgrad/ops.h>

#include "record.h"

/* True for f32 and f64; else the tape fails, naming `op`. */
bool cg_ops_float(cg_tape *tape, const char *op, const cg_tensor *tensor);

/* axis counted from the front, negative ones from the end; -1 and a failed tape when it is out of range. */
int cg_ops_axis(cg_tape *tape, const char *op, const cg_tensor *tensor, int axis);

/* A shape seen as three axes around one (or a run first..last): [outer, middle, inner]. */
cg_shape cg_ops_around(const cg_shape *shape, int first, int last);

/* The shape without that axis. */
cg_shape cg_ops_without(const cg_shape *shape, int axis);

/* Contributes `full`, summed over the axes that broadcasting repeated, to the gradient of `target`. */
void cg_ops_sum_to(cg_tape *tape, cg_tensor *target, cg_tensor *full, double scale);

/* A loss's elements: their mean, their sum, or themselves. */
cg_tensor *cg_ops_reduced(cg_tape *tape, cg_tensor *loss, cg_reduction reduction);

/* A new tensor filled with a value. */
cg_tensor *cg_ops_filled(cg_tape *tape, cg_dtype dtype, const cg_shape *shape, double value);

#endif
