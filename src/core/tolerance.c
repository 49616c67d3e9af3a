#include "tolerance.h"

/* Below this no result is told from another: 2^-126, the smallest normal float, which a device may take for 0. */
#define SMALLEST_NORMAL 1.1754943508222875e-38

/* A new kind that sums products or elements belongs here. */
static bool is_sum(uint32_t number) {
    switch (number) {
    case CG_OP_MATMUL:
    case CG_OP_MATMUL_RELU:
    case CG_OP_SUM:
    case CG_OP_CONV:
    case CG_OP_CONV_BACKWARD_INPUT:
    case CG_OP_CONV_BACKWARD_WEIGHT:
    case CG_OP_INDEX_ADD:
    case CG_OP_SCATTER_ADD:
    case CG_OP_CUMSUM:
        return true;
    default:
        return false;
    }
}

/* And one that only moves elements, here. */
static bool is_exact(uint32_t number) {
    switch (number) {
    case CG_OP_COPY:
    case CG_OP_FILL:
    case CG_OP_ARGMAX:
    case CG_OP_STRIDED_COPY:
    case CG_OP_CAST:
    case CG_OP_INDEX_SELECT:
    case CG_OP_GATHER:
    case CG_OP_ONE_HOT:
        return true;
    default:
        return false;
    }
}

cg_tolerance cg_op_tolerance(const cg_op_kind *kind) {
    if (is_exact(kind->number)) { /* one rounding, where it adds or fills with a double */
        return (cg_tolerance){.rtol = 1.2e-7, .floor = SMALLEST_NORMAL};
    }
    if (is_sum(kind->number)) { /* 64 units in the last place of the terms: measured are 2, one lost term is more */
        return (cg_tolerance){.atol = 3.8e-6, .floor = SMALLEST_NORMAL, .sums = true};
    }
    if ((kind->flags & CG_KIND_UPDATES) != 0) { /* an optimizer moves a parameter by a small part of itself */
        return (cg_tolerance){.rtol = 1e-5, .atol = 1e-6, .floor = SMALLEST_NORMAL};
    }
    if (kind->number == CG_OP_TANHSHRINK) { /* x - tanh(x): near 0 what is left is the rounding of two equal numbers */
        return (cg_tolerance){.rtol = 1e-4, .atol = 1e-5, .floor = 1.2e-7};
    }
    return (cg_tolerance){.rtol = 1e-4, .atol = 1e-5, .floor = SMALLEST_NORMAL};
}
