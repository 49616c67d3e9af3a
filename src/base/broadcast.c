#include "broadcast.h"

/* Strides of `shape` seen as out: 0 where it repeats. */
static void strides(const cg_shape *shape, const cg_shape *out, int64_t *stride) {
    int64_t step = 1;
    for (int i = out->rank - 1; i >= 0; i--) {
        int axis = i - (out->rank - shape->rank);
        int64_t dim = axis >= 0 ? shape->dim[axis] : 1;
        stride[i] = dim == 1 ? 0 : step;
        step *= dim;
    }
}

void cg_broadcast_plan(const cg_shape *a, const cg_shape *b, const cg_shape *out, cg_broadcast *plan) {
    int64_t stride_a[CG_MAX_RANK], stride_b[CG_MAX_RANK];
    strides(a, out, stride_a);
    strides(b, out, stride_b);
    plan->rank = 0;
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 1) {
            continue;
        }
        int last = plan->rank - 1;
        bool joins = last >= 0 && plan->stride_a[last] == stride_a[i] * out->dim[i] &&
                     plan->stride_b[last] == stride_b[i] * out->dim[i];
        int to = joins ? last : plan->rank++;
        plan->dim[to] = joins ? plan->dim[to] * out->dim[i] : out->dim[i];
        plan->stride_a[to] = stride_a[i];
        plan->stride_b[to] = stride_b[i];
    }
    if (plan->rank == 0) {
        plan->rank = 1;
        plan->dim[0] = 1;
        plan->stride_a[0] = plan->stride_b[0] = 1;
    }
}
