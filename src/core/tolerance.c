#include "tolerance.h"

/* Below this no result is told from another: 2^-126, the smallest normal float, which a device may take for 0. */
#define SMALLEST_NORMAL 1.1754943508222875e-38

static bool is_sum(uint32_t number) {
    return number == CG_OP_MATMUL || number == CG_OP_SUM;
}

static bool is_exact(uint32_t number) {
    return number == CG_OP_COPY || number == CG_OP_FILL || number == CG_OP_ARGMAX;
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
    return (cg_tolerance){.rtol = 1e-4, .atol = 1e-5, .floor = SMALLEST_NORMAL};
}
