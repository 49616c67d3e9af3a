/* Reductions that are made of others: max and min of an index and a gather, var, norm and logsumexp of sums. */
#include <math.h>

#include "ops_common.h"

/* Whether there is an axis without elements among these. */
static bool any_empty(const cg_shape *shape, uint32_t axes) {
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        empty = empty || (axes >> i & 1u && shape->dim[i] == 0);
    }
    return empty;
}

/* Usable, real, its axes there and not empty; else the tape fails. */
static bool check(cg_tape *tape, const char *name, cg_tensor *x, uint32_t axes) {
    if (!cg_tape_accepts(tape, name, &x, 1) || !cg_ops_float(tape, name, x)) {
        return false;
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (axes != CG_ALL_AXES && axes >> shape->rank != 0) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: axes 0x%x of a tensor of shape %s, which has %d", name, axes,
                     cg_shape_print(shape, CG_SHAPE_TEXT), shape->rank);
    } else if (any_empty(shape, axes)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: a tensor of shape %s has no elements", name,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* The shapes of a reduction: [kept, reduced] after `order`, and what comes out. */
typedef struct plan {
    int order[CG_MAX_RANK];
    int64_t kept, reduced;
    cg_shape out;
} plan;

static plan plan_of(const cg_shape *shape, uint32_t axes, bool keepdim) {
    plan p = {.kept = 1, .reduced = 1};
    int n = 0;
    for (int i = 0; i < shape->rank; i++) {
        if (!(axes >> i & 1u)) {
            p.order[n++] = i;
            p.kept *= shape->dim[i];
            p.out.dim[p.out.rank++] = shape->dim[i];
        } else if (keepdim) {
            p.out.dim[p.out.rank++] = 1;
        }
    }
    for (int i = 0; i < shape->rank; i++) {
        if (axes >> i & 1u) {
            p.order[n++] = i;
            p.reduced *= shape->dim[i];
        }
    }
    return p;
}

/* The extreme of each row of [kept, reduced]: its index, then the element there, whose gradient is gather's. */
static cg_tensor *extreme(cg_tape *tape, const char *name, cg_tensor *x, uint32_t axes, bool keepdim, bool largest) {
    if (!check(tape, name, x, axes)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    plan p = plan_of(cg_tensor_shape(x), axes, keepdim);
    cg_tensor *rows = cg_reshape(tape, cg_permute(tape, x, p.order), &CG_SHAPE(p.kept, p.reduced));
    cg_tensor *index = largest ? cg_argmax(tape, rows, 1) : cg_argmin(tape, rows, 1);
    cg_tensor *chosen = cg_gather(tape, rows, 1, cg_reshape(tape, index, &CG_SHAPE(p.kept, 1)));
    return cg_reshape(tape, chosen, &p.out);
}

cg_tensor *cg_max(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim) {
    return extreme(tape, "max", x, axes, keepdim, true);
}

cg_tensor *cg_min(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim) {
    return extreme(tape, "min", x, axes, keepdim, false);
}

cg_tensor *cg_argmin(cg_tape *tape, cg_tensor *x, int axis) {
    if (!cg_tape_accepts(tape, "argmin", &x, 1) || !cg_ops_float(tape, "argmin", x) ||
        cg_ops_axis(tape, "argmin", x, axis) < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return cg_ops_result(tape, "argmin", cg_argmax(tape, cg_neg(tape, x), axis));
}

cg_tensor *cg_var(cg_tape *tape, cg_tensor *x, uint32_t axes, double correction, bool keepdim) {
    if (!check(tape, "var", x, axes)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    plan p = plan_of(cg_tensor_shape(x), axes, keepdim);
    double freedom = (double)p.reduced - correction;
    if (!(freedom > 0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "var: a correction of %g for %lld elements leaves %g to divide by",
                            correction, (long long)p.reduced, freedom);
    }
    cg_tensor *centered = cg_sub(tape, x, cg_mean(tape, x, axes, true));
    cg_tensor *sum = cg_sum(tape, cg_square(tape, centered), axes, keepdim);
    return cg_scale(tape, sum, 1.0 / freedom);
}

/* The same values, through which no gradient flows. */
static cg_tensor *detached(cg_tape *tape, cg_tensor *x) {
    return cg_tape_alias(tape, x, cg_tensor_shape(x));
}

/* The largest is kept finite: infinity less infinity would be NaN. */
cg_tensor *cg_logsumexp(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim) {
    if (!check(tape, "logsumexp", x, axes)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    plan p = plan_of(cg_tensor_shape(x), axes, keepdim);
    cg_tensor *largest = cg_clamp(tape, detached(tape, cg_max(tape, x, axes, true)), -3e38, 3e38);
    cg_tensor *sum = cg_sum(tape, cg_exp(tape, cg_sub(tape, x, largest)), axes, true);
    return cg_reshape(tape, cg_add(tape, cg_log(tape, sum), largest), &p.out);
}

/* sqrt has no slope at 0: there 1 is put under the root, and 0 taken of the result and of its gradient. */
static cg_tensor *root(cg_tape *tape, cg_tensor *sum) {
    cg_dtype dtype = cg_tensor_dtype(sum);
    cg_tensor *zero = cg_ops_filled(tape, dtype, &CG_SCALAR, 0), *some = cg_ne(tape, sum, zero);
    return cg_mul(tape, cg_sqrt(tape, cg_add(tape, sum, cg_eq(tape, sum, zero))), some);
}

cg_tensor *cg_norm(cg_tape *tape, cg_tensor *x, double p, uint32_t axes, bool keepdim) {
    if (!check(tape, "norm", x, axes)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (p == 2.0) {
        return root(tape, cg_sum(tape, cg_square(tape, x), axes, keepdim));
    }
    if (p == 1.0) {
        return cg_sum(tape, cg_abs(tape, x), axes, keepdim);
    }
    if (isinf(p) && p > 0) {
        return cg_max(tape, cg_abs(tape, x), axes, keepdim);
    }
    return cg_tape_fail(tape, CG_ERR_ARGUMENT, "norm: p is %g: 1, 2 and infinity are possible", p);
}

static void cumsum_backward(cg_tape *tape, const cg_node *node) {
    cg_cumsum_attrs attrs = {.reverse = !((const cg_cumsum_attrs *)node->attrs)->reverse};
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_CUMSUM, &attrs, &dy, 1);
}

cg_tensor *cg_cumsum(cg_tape *tape, cg_tensor *x, int axis) {
    if (!cg_tape_accepts(tape, "cumsum", &x, 1) || !cg_ops_float(tape, "cumsum", x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, "cumsum", x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), counted, counted);
    cg_tensor *input = cg_reshape(tape, x, &around), *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &around);
    cg_record(tape, CG_OP_CUMSUM, NULL, &input, 1, &y, 1, cumsum_backward);
    return cg_reshape(tape, y, cg_tensor_shape(x));
}
