/* Sums, means and argmax. A kernel reduces the middle of [outer, middle, inner]; several runs of axes are several sums.
 */
#include <math.h>

#include "ops_common.h"

/* The gradient of a sum repeats what came back. */
static void sum_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_EXPAND, node->attrs, &dy, 1);
}

/* Moves [first, end) to the next run of axes to reduce; axes of 1 element join it. False when there is none. */
static bool next_run(const cg_shape *shape, uint32_t axes, int *first, int *end) {
    int i = *end;
    while (i < shape->rank && (!(axes >> i & 1u) || shape->dim[i] == 1)) {
        i++;
    }
    *first = i;
    while (i < shape->rank && ((axes >> i & 1u) || shape->dim[i] == 1)) {
        i++;
    }
    *end = i;
    return *first < shape->rank;
}

static cg_shape without(const cg_shape *shape, uint32_t axes, bool keepdim) {
    cg_shape kept = {.rank = 0};
    for (int i = 0; i < shape->rank; i++) {
        if (!(axes >> i & 1u)) {
            kept.dim[kept.rank++] = shape->dim[i];
        } else if (keepdim) {
            kept.dim[kept.rank++] = 1;
        }
    }
    return kept;
}

/* One run, with gradient: [outer, middle, inner] to [outer, inner]. */
static cg_tensor *sum_run(cg_tape *tape, cg_tensor *x, const cg_shape *around, double scale) {
    cg_tensor *input = cg_reshape(tape, x, around);
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &CG_SHAPE(around->dim[0], around->dim[2]));
    cg_scale_attrs attrs = {.scale = scale};
    cg_record(tape, CG_OP_SUM, &attrs, &input, 1, &y, 1, sum_backward);
    return y;
}

static cg_tensor *sum_runs(cg_tape *tape, cg_tensor *x, uint32_t axes, double scale) {
    cg_shape shape = *cg_tensor_shape(x);
    int first = 0, end = 0;
    while (next_run(&shape, axes, &first, &end)) {
        cg_shape around = cg_ops_around(&shape, first, end - 1);
        x = sum_run(tape, x, &around, scale);
        scale = 1.0; /* once is enough */
        for (int i = first; i < end; i++) {
            shape.dim[i] = 1;
        }
    }
    return scale == 1.0 ? x : cg_scale(tape, x, scale);
}

static int64_t count_reduced(const cg_shape *shape, uint32_t axes) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        count *= axes >> i & 1u ? shape->dim[i] : 1;
    }
    return count;
}

static cg_tensor *reduce(cg_tape *tape, const char *name, cg_tensor *x, uint32_t axes, bool keepdim, bool mean) {
    if (!cg_tape_accepts(tape, name, &x, 1) || !cg_ops_float(tape, name, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (axes != CG_ALL_AXES && axes >> shape->rank != 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: axes 0x%x of a tensor of shape %s, which has %d", name, axes,
                            cg_shape_print(shape, CG_SHAPE_TEXT), shape->rank);
    }
    cg_shape kept = without(shape, axes, keepdim);
    if (cg_tensor_numel(x) == 0 && cg_shape_numel(&kept) > 0) {
        cg_tensor *value = cg_ops_filled(tape, cg_tensor_dtype(x), &kept, mean ? (double)NAN : 0.0);
        return cg_ops_of_nothing(tape, value, &x, 1);
    }
    double scale = mean ? 1.0 / (double)count_reduced(shape, axes) : 1.0;
    return cg_reshape(tape, sum_runs(tape, x, axes, scale), &kept);
}

cg_tensor *cg_sum(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim) {
    return reduce(tape, "sum", x, axes, keepdim, false);
}

cg_tensor *cg_mean(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim) {
    return reduce(tape, "mean", x, axes, keepdim, true);
}

/* The axes of `from` that broadcasting to it repeated `to` along. */
static uint32_t repeated_axes(const cg_shape *to, const cg_shape *from) {
    uint32_t axes = 0;
    int missing = from->rank - to->rank;
    for (int i = 0; i < from->rank; i++) {
        bool repeats = i < missing || (to->dim[i - missing] == 1 && from->dim[i] != 1);
        axes |= repeats ? 1u << i : 0;
    }
    return axes;
}

void cg_ops_sum_to(cg_tape *tape, cg_tensor *target, cg_tensor *full, double scale) {
    if (!cg_grad_wanted(tape, target)) {
        return;
    }
    cg_shape shape = *cg_tensor_shape(full);
    uint32_t axes = repeated_axes(cg_tensor_shape(target), &shape);
    int first = 0, end = 0;
    bool more = next_run(&shape, axes, &first, &end);
    if (!more && scale == 1.0) {
        cg_grad_add(tape, target, full);
    } else if (!more) {
        cg_grad_emit(tape, target, NULL, CG_OP_SCALE, &(cg_elementwise_attrs){.p = {scale}}, &full, 1);
    }
    while (more && cg_tape_status(tape) == CG_OK) {
        cg_shape around = cg_ops_around(&shape, first, end - 1), two = CG_SHAPE(around.dim[0], around.dim[2]);
        cg_tensor *input = cg_tape_alias(tape, full, &around);
        cg_scale_attrs attrs = {.scale = scale};
        scale = 1.0;
        for (int i = first; i < end; i++) {
            shape.dim[i] = 1;
        }
        more = next_run(&shape, axes, &first, &end);
        if (!more) {
            cg_grad_emit(tape, target, &two, CG_OP_SUM, &attrs, &input, 1);
        } else {
            full = cg_tape_tensor(tape, cg_tensor_dtype(full), &two);
            cg_record(tape, CG_OP_SUM, &attrs, &input, 1, &full, 1, NULL);
        }
    }
}

cg_tensor *cg_argmax(cg_tape *tape, cg_tensor *x, int axis) {
    if (!cg_tape_accepts(tape, "argmax", &x, 1) || !cg_ops_float(tape, "argmax", x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, "argmax", x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (shape->dim[counted] == 0) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "argmax: axis %d of shape %s is empty", axis,
                            cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    cg_shape around = cg_ops_around(shape, counted, counted), kept = without(shape, 1u << counted, false);
    cg_tensor *input = cg_tape_alias(tape, x, &around);
    cg_tensor *index = cg_tape_tensor(tape, CG_I64, &CG_SHAPE(around.dim[0], around.dim[2]));
    cg_record(tape, CG_OP_ARGMAX, NULL, &input, 1, &index, 1, NULL);
    return cg_reshape(tape, index, &kept);
}
