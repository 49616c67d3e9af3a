/* Elements in another order or place: permute, slice, concat and their kin are one op, a copy with strides. */
#include "strided.h"

#include <string.h>

/* Axes of one element go, neighbours that are one run on both sides become one. */
static cg_strided_attrs simplified(const cg_strided_attrs *given) {
    cg_strided_attrs simple = {.from = given->from, .to = given->to};
    for (uint32_t i = 0; i < given->rank; i++) {
        uint32_t last = simple.rank - 1; /* of rank 0: not looked at */
        if (given->dim[i] == 1) {
            continue;
        }
        bool joins = simple.rank > 0 && simple.in[last] == given->in[i] * given->dim[i] &&
                     simple.out[last] == given->out[i] * given->dim[i];
        uint32_t at = joins ? last : simple.rank++;
        simple.dim[at] = joins ? simple.dim[at] * given->dim[i] : given->dim[i];
        simple.in[at] = given->in[i];
        simple.out[at] = given->out[i];
    }
    return simple;
}

static int64_t reached(const cg_strided_attrs *attrs) {
    int64_t count = 1;
    for (uint32_t i = 0; i < attrs->rank; i++) {
        count *= attrs->dim[i];
    }
    return count;
}

/* The copy back. Elements of the input that were not read have a gradient of 0. */
static void strided_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *x = node->inputs[0], *dy = cg_grad_of(tape, node->outputs[0]);
    const cg_strided_attrs *forward = node->attrs;
    cg_strided_attrs back = *forward;
    back.from = forward->to;
    back.to = forward->from;
    memcpy(back.in, forward->out, sizeof back.in);
    memcpy(back.out, forward->in, sizeof back.out);
    bool nothing = reached(forward) == 0;
    if ((nothing || reached(forward) < cg_tensor_numel(x)) && cg_grad_of(tape, x) == NULL) {
        cg_grad_emit(tape, x, NULL, CG_OP_FILL, &(cg_fill_attrs){.value = 0}, NULL, 0);
    }
    if (!nothing) {
        cg_grad_emit(tape, x, NULL, CG_OP_STRIDED_COPY, &back, &dy, 1);
    }
}

void cg_ops_strided(cg_tape *tape, cg_tensor *x, cg_tensor *y, const cg_strided_attrs *attrs, cg_backward_fn backward) {
    cg_strided_attrs simple = simplified(attrs);
    if (reached(&simple) > 0 || cg_tensor_numel(y) == 0) { /* an empty part of more is left out */
        cg_record(tape, CG_OP_STRIDED_COPY, &simple, &x, 1, &y, 1, backward != NULL ? backward : strided_backward);
    }
}

void cg_ops_strides(const cg_shape *shape, int64_t stride[CG_MAX_RANK]) {
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape->dim[i];
    }
}

static bool is_permutation(const int *order, int rank) {
    uint32_t seen = 0;
    for (int i = 0; i < rank; i++) {
        if (order[i] < 0 || order[i] >= rank) {
            return false;
        }
        seen |= 1u << order[i];
    }
    return seen == (1u << rank) - 1u;
}

static cg_tensor *permuted(cg_tape *tape, cg_tensor *x, const int *order) {
    const cg_shape *shape = cg_tensor_shape(x);
    cg_strided_attrs attrs = {.rank = (uint32_t)shape->rank};
    cg_shape out = {.rank = shape->rank};
    int64_t stride[CG_MAX_RANK];
    cg_ops_strides(shape, stride);
    for (int i = 0; i < shape->rank; i++) {
        out.dim[i] = attrs.dim[i] = shape->dim[order[i]];
        attrs.in[i] = stride[order[i]];
    }
    cg_ops_strides(&out, attrs.out);
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &out);
    cg_ops_strided(tape, x, y, &attrs, NULL);
    return y;
}

/* Axes of one element may move without moving anything else. */
static bool moves_nothing(const cg_shape *shape, const int *order) {
    int last = -1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[order[i]] != 1) {
            if (order[i] < last) {
                return false;
            }
            last = order[i];
        }
    }
    return true;
}

cg_tensor *cg_permute(cg_tape *tape, cg_tensor *x, const int *order) {
    if (!cg_tape_accepts(tape, "permute", &x, 1) || !cg_ops_given(tape, "permute", "the order", order)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    int axes[CG_MAX_RANK];
    for (int i = 0; i < shape->rank; i++) {
        axes[i] = order[i] < 0 ? order[i] + shape->rank : order[i];
    }
    if (!is_permutation(axes, shape->rank)) {
        cg_shape given = {.rank = shape->rank};
        for (int i = 0; i < shape->rank; i++) {
            given.dim[i] = order[i];
        }
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "permute: order %s does not name each axis of shape %s once",
                            cg_shape_print(&given, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    if (moves_nothing(shape, axes)) {
        cg_shape out = {.rank = shape->rank};
        for (int i = 0; i < shape->rank; i++) {
            out.dim[i] = shape->dim[axes[i]];
        }
        return cg_reshape(tape, x, &out);
    }
    return permuted(tape, x, axes);
}

cg_tensor *cg_transpose(cg_tape *tape, cg_tensor *x, int axis, int other) {
    if (!cg_tape_accepts(tape, "transpose", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int a = cg_ops_axis(tape, "transpose", x, axis), b = cg_ops_axis(tape, "transpose", x, other);
    if (a < 0 || b < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int order[CG_MAX_RANK];
    for (int i = 0; i < CG_MAX_RANK; i++) {
        order[i] = i == a ? b : i == b ? a : i;
    }
    return cg_permute(tape, x, order);
}

cg_tensor *cg_slice(cg_tape *tape, cg_tensor *x, int axis, int64_t start, int64_t end, int64_t step) {
    if (!cg_tape_accepts(tape, "slice", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, "slice", x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape shape = *cg_tensor_shape(x);
    int64_t size = shape.dim[counted], first = start < 0 ? start + size : start, last = end < 0 ? end + size : end;
    if (first < 0 || last > size || first > last || step < 1) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT,
                            "slice: %lld to %lld by %lld along axis %d of shape %s: places 0 to %lld in order, and a "
                            "step of at least 1, are possible",
                            (long long)start, (long long)end, (long long)step, axis,
                            cg_shape_print(&shape, CG_SHAPE_TEXT), (long long)size);
    }
    if (first == 0 && last == size && step == 1) {
        return x;
    }
    cg_shape out = shape;
    out.dim[counted] = last > first ? (last - first - 1) / step + 1 : 0;
    cg_strided_attrs attrs = {.rank = (uint32_t)shape.rank};
    cg_ops_strides(&shape, attrs.in);
    cg_ops_strides(&out, attrs.out);
    memcpy(attrs.dim, out.dim, sizeof attrs.dim);
    attrs.from = first * attrs.in[counted];
    attrs.in[counted] *= out.dim[counted] > 1 ? step : 1; /* which may be any number where nothing is stepped over */
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &out);
    cg_ops_strided(tape, x, y, &attrs, NULL);
    return y;
}

cg_tensor *cg_select(cg_tape *tape, cg_tensor *x, int axis, int64_t index) {
    if (!cg_tape_accepts(tape, "select", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, "select", x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    int64_t size = shape->dim[counted], place = index < 0 ? index + size : index;
    if (place < 0 || place >= size) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "select: index %lld along axis %d of shape %s", (long long)index,
                            axis, cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    cg_shape out = cg_ops_without(shape, counted);
    return cg_reshape(tape, cg_slice(tape, x, counted, place, place + 1, 1), &out);
}

/* Whether so many sizes sum to the axis's; else the tape fails. */
static bool sizes_fit(cg_tape *tape, const cg_tensor *x, int axis, const int64_t *sizes, size_t count) {
    int64_t size = cg_tensor_shape(x)->dim[axis], left = size;
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] < 0 || sizes[i] > left) {
            cg_tape_fail(tape, CG_ERR_ARGUMENT,
                         "split_tensor: part %zu of %lld elements, where axis %d of shape %s has %lld left", i,
                         (long long)sizes[i], axis, cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT), (long long)left);
            return false;
        }
        left -= sizes[i];
    }
    if (left != 0) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "split_tensor: %zu parts that sum to %lld along axis %d of shape %s", count,
                     (long long)(size - left), axis, cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    return left == 0;
}

cg_status cg_split_tensor(cg_tape *tape, cg_tensor *x, int axis, const int64_t *sizes, size_t count,
                          cg_tensor **parts) {
    static const char op[] = "split_tensor";
    for (size_t i = 0; i < count && parts != NULL; i++) {
        parts[i] = NULL;
    }
    bool given = cg_tape_accepts(tape, op, &x, 1) && cg_ops_given(tape, op, "the list of parts", parts) &&
                 cg_ops_given(tape, op, "the list of sizes", sizes);
    int counted = given ? cg_ops_axis(tape, op, x, axis) : -1;
    bool fits = counted >= 0 && sizes_fit(tape, x, counted, sizes, count);
    int64_t start = 0;
    for (size_t i = 0; i < count && parts != NULL; i++) {
        parts[i] = fits ? cg_slice(tape, x, counted, start, start + sizes[i], 1)
                        : cg_tape_fail_status(tape, cg_tape_status(tape));
        start += fits ? sizes[i] : 0;
    }
    return cg_tape_status(tape) == CG_OK ? CG_OK : cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
}

/* Axes that broadcasting repeats are read with stride 0; their gradient is a sum. */
static void expand_backward(cg_tape *tape, const cg_node *node) {
    cg_ops_sum_to(tape, node->inputs[0], cg_grad_of(tape, node->outputs[0]), 1.0);
}

cg_tensor *cg_expand(cg_tape *tape, cg_tensor *x, const cg_shape *shape) {
    if (!cg_tape_accepts(tape, "expand", &x, 1) || !cg_ops_given(tape, "expand", "the shape", shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (shape->rank < 0 || shape->rank > CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "expand: a shape of %d axes: 0 to %d are possible", shape->rank,
                            CG_MAX_RANK);
    }
    const cg_shape *from = cg_tensor_shape(x);
    int missing = shape->rank - from->rank;
    bool fits = missing >= 0;
    cg_shape out = *shape;
    cg_strided_attrs attrs = {.rank = (uint32_t)shape->rank};
    int64_t stride[CG_MAX_RANK];
    cg_ops_strides(from, stride);
    for (int i = 0; i < shape->rank && fits; i++) {
        int64_t own = i < missing ? 1 : from->dim[i - missing];
        out.dim[i] = shape->dim[i] == -1 && i >= missing ? own : shape->dim[i];
        fits = out.dim[i] >= 0 && (own == 1 || own == out.dim[i]);
        attrs.in[i] = own == 1 ? 0 : stride[fits && i >= missing ? i - missing : 0];
    }
    if (!fits) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "expand: %s does not broadcast to %s",
                            cg_shape_print(from, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    if (!cg_ops_shape_fits(tape, "expand", &out)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_shape_numel(&out) == cg_tensor_numel(x)) {
        return cg_reshape(tape, x, &out);
    }
    memcpy(attrs.dim, out.dim, sizeof attrs.dim);
    cg_ops_strides(&out, attrs.out);
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &out);
    cg_ops_strided(tape, x, y, &attrs, expand_backward);
    return y;
}

cg_tensor *cg_repeat(cg_tape *tape, cg_tensor *x, const int64_t *times, int count) {
    if (!cg_tape_accepts(tape, "repeat", &x, 1) || !cg_ops_given(tape, "repeat", "the counts", times)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (count < shape->rank || count > CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "repeat: %d counts for a tensor of shape %s: %d to %d are possible",
                            count, cg_shape_print(shape, CG_SHAPE_TEXT), shape->rank, CG_MAX_RANK);
    }
    cg_shape out = {.rank = count};
    for (int i = 0; i < count; i++) {
        int axis = i - (count - shape->rank);
        out.dim[i] = axis >= 0 ? shape->dim[axis] : 1;
    }
    cg_shape full = out;
    for (int i = 0; i < count; i++) {
        if (times[i] < 0) {
            return cg_tape_fail(tape, CG_ERR_ARGUMENT, "repeat: count %lld of axis %d is negative", (long long)times[i],
                                i);
        }
        full.dim[i] = cg_ops_times(full.dim[i], times[i]);
    }
    if (!cg_ops_shape_fits(tape, "repeat", &full)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    for (int i = 0; i < count; i++) {
        cg_shape around = cg_ops_around(&out, i, i);
        cg_shape once = CG_SHAPE(around.dim[0], 1, around.dim[1] * around.dim[2]), several = once;
        several.dim[1] = times[i];
        x = cg_expand(tape, cg_reshape(tape, x, &once), &several);
        out.dim[i] *= times[i];
    }
    return cg_reshape(tape, x, &out);
}
