/* How far an op in float may be from the same op in double on the same bytes: the one place that says so. */
#ifndef CLGRAD_TOLERANCE_H
#define CLGRAD_TOLERANCE_H

#include <clgrad/op_kinds.h>

/* An element passes when |actual - expected| <= rtol |expected| + atol S + floor, S being the largest |expected| of its
 * tensor. With `sums` S is, element by element, what the op gives for the absolute values of its inputs: the error of a
 * sum is in proportion to its terms, not to the result, which may be nearly 0. */
typedef struct cg_tolerance {
    double rtol, atol, floor;
    bool sums;
} cg_tolerance;

cg_tolerance cg_op_tolerance(const cg_op_kind *kind);

#endif
