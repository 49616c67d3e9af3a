/* Rows and elements chosen by indices, and what flows back: sums in the order of the indices, so no atomics. */
#include "strided.h"

static bool is_index(cg_tape *tape, const char *op, const cg_tensor *index) {
    if (cg_tensor_dtype(index) == CG_I32 || cg_tensor_dtype(index) == CG_I64) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_DTYPE, "%s: indices of %s: i32 or i64 expected", op,
                 cg_dtype_name(cg_tensor_dtype(index)));
    return false;
}

/* Both tensors usable and of the right kinds; the axis counted from the front, -1 when something does not fit. */
static int check_axis(cg_tape *tape, const char *op, cg_tensor *x, cg_tensor *index, int axis) {
    cg_tensor *both[] = {x, index};
    if (!cg_tape_accepts(tape, op, both, 2) || !cg_ops_float(tape, op, x) || !is_index(tape, op, index)) {
        return -1;
    }
    return cg_ops_axis(tape, op, x, axis);
}

/* An index into nothing is out of range whatever it is: said at once, since no device has a buffer for it. */
static bool check_rows(cg_tape *tape, const char *op, const cg_tensor *x, int axis, const cg_tensor *index) {
    if (cg_tensor_shape(x)->dim[axis] > 0 || cg_tensor_numel(index) == 0) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_INDEX, "%s: axis %d of shape %s is empty: no index is in range", op, axis,
                 cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    return false;
}

/* The attribute that both ops have tells the gradient which row stays as it is. */
static void index_select_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_INDEX_ADD, node->attrs, inputs, 2);
}

/* Along a checked axis; `index` has any shape, which takes the axis's place. */
static cg_tensor *select_rows(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index, int64_t ignored) {
    const cg_shape *shape = cg_tensor_shape(x), *chosen = cg_tensor_shape(index);
    cg_shape around = cg_ops_around(shape, axis, axis), out = {.rank = shape->rank - 1 + chosen->rank};
    for (int i = 0; i < out.rank; i++) {
        bool inside = i >= axis && i < axis + chosen->rank;
        out.dim[i] = i < axis ? shape->dim[i] : inside ? chosen->dim[i - axis] : shape->dim[i - chosen->rank + 1];
    }
    int64_t count = cg_tensor_numel(index);
    cg_index_attrs attrs = {.ignored = ignored};
    cg_tensor *inputs[] = {cg_reshape(tape, x, &around), cg_tape_alias(tape, index, &CG_SHAPE(count))};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &CG_SHAPE(around.dim[0], count, around.dim[2]));
    cg_record(tape, CG_OP_INDEX_SELECT, &attrs, inputs, 2, &y, 1, index_select_backward);
    return cg_reshape(tape, y, &out);
}

cg_tensor *cg_index_select(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index) {
    int counted = check_axis(tape, "index_select", x, index, axis);
    if (counted < 0 || !check_rows(tape, "index_select", x, counted, index)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_tensor_shape(index)->rank != 1) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "index_select: the index is %s: one axis expected",
                            cg_shape_print(cg_tensor_shape(index), CG_SHAPE_TEXT));
    }
    return select_rows(tape, x, counted, index, -1);
}

cg_tensor *cg_embedding(cg_tape *tape, cg_tensor *weight, cg_tensor *index, int64_t padding_idx) {
    int axis = check_axis(tape, "embedding", weight, index, 0);
    if (axis < 0 || !check_rows(tape, "embedding", weight, axis, index)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *w = cg_tensor_shape(weight), *shape = cg_tensor_shape(index);
    if (w->rank != 2 || shape->rank == CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_SHAPE,
                            "embedding: the weight is %s, the index %s: [rows, features] and at most %d axes expected",
                            cg_shape_print(w, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT), CG_MAX_RANK - 1);
    }
    if (padding_idx < -1 || padding_idx >= w->dim[0]) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "embedding: padding_idx %lld of %lld rows (-1: none)",
                            (long long)padding_idx, (long long)w->dim[0]);
    }
    return select_rows(tape, weight, 0, index, padding_idx);
}

static void gather_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_SCATTER_ADD, NULL, inputs, 2);
}

/* The part of x that index reaches: as large as index but for the axis. Fails the tape where index is larger. */
static cg_tensor *cut_to(cg_tape *tape, const char *op, cg_tensor *x, const cg_tensor *index, int axis) {
    const cg_shape *shape = cg_tensor_shape(x), *wanted = cg_tensor_shape(index);
    bool fits = shape->rank == wanted->rank;
    for (int i = 0; fits && i < shape->rank; i++) {
        fits = i == axis || wanted->dim[i] <= shape->dim[i];
    }
    if (!fits) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the index is %s, the tensor %s: but for axis %d it must fit in",
                            op, cg_shape_print(wanted, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT), axis);
    }
    cg_shape limit = *wanted;
    for (int i = 0; i < limit.rank; i++) {
        x = i == axis ? x : cg_slice(tape, x, i, 0, limit.dim[i], 1);
    }
    return x;
}

cg_tensor *cg_gather(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index) {
    int counted = check_axis(tape, "gather", x, index, axis);
    if (counted < 0 || !check_rows(tape, "gather", x, counted, index)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    x = cut_to(tape, "gather", x, index, counted);
    if (cg_tape_status(tape) != CG_OK) {
        return x;
    }
    cg_shape from = cg_ops_around(cg_tensor_shape(x), counted, counted);
    cg_shape to = cg_ops_around(cg_tensor_shape(index), counted, counted);
    cg_tensor *inputs[] = {cg_reshape(tape, x, &from), cg_tape_alias(tape, index, &to)};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), &to);
    cg_record(tape, CG_OP_GATHER, NULL, inputs, 2, &y, 1, gather_backward);
    return cg_reshape(tape, y, cg_tensor_shape(index));
}

static void scatter_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_GATHER, NULL, inputs, 2);
}

cg_tensor *cg_scatter_add(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index, cg_tensor *source) {
    int counted = check_axis(tape, "scatter_add", x, index, axis);
    if (counted < 0 || !cg_tape_accepts(tape, "scatter_add", &source, 1) ||
        !check_rows(tape, "scatter_add", x, counted, index)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape expected = *cg_tensor_shape(x);
    expected.dim[counted] = cg_tensor_shape(index)->rank == expected.rank ? cg_tensor_shape(index)->dim[counted] : -1;
    if (!cg_shape_equal(&expected, cg_tensor_shape(index)) || !cg_shape_equal(&expected, cg_tensor_shape(source)) ||
        cg_tensor_dtype(source) != cg_tensor_dtype(x)) {
        return cg_tape_fail(
            tape, CG_ERR_SHAPE,
            "scatter_add: x is %s, the index %s, the source %s of %s: they may differ in axis %d alone",
            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT), cg_shape_print(cg_tensor_shape(index), CG_SHAPE_TEXT),
            cg_shape_print(cg_tensor_shape(source), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(source)), counted);
    }
    if (cg_tensor_numel(index) == 0) {
        return x;
    }
    cg_shape from = cg_ops_around(&expected, counted, counted);
    cg_shape to = cg_ops_around(cg_tensor_shape(x), counted, counted);
    cg_tensor *inputs[] = {cg_reshape(tape, source, &from), cg_tape_alias(tape, index, &from)};
    cg_tensor *sums = cg_tape_tensor(tape, cg_tensor_dtype(x), &to);
    cg_record(tape, CG_OP_SCATTER_ADD, NULL, inputs, 2, &sums, 1, scatter_backward);
    return cg_add(tape, x, cg_reshape(tape, sums, cg_tensor_shape(x)));
}

cg_tensor *cg_one_hot(cg_tape *tape, cg_tensor *index, int64_t classes) {
    if (!cg_tape_accepts(tape, "one_hot", &index, 1) || !is_index(tape, "one_hot", index)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape out = *cg_tensor_shape(index);
    if (classes < 1 || out.rank == CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "one_hot: %lld classes for an index of shape %s", (long long)classes,
                            cg_shape_print(&out, CG_SHAPE_TEXT));
    }
    out.dim[out.rank++] = classes;
    if (!cg_ops_shape_fits(tape, "one_hot", &out)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape rows = CG_SHAPE(cg_tensor_numel(index)), table = CG_SHAPE(rows.dim[0], classes);
    cg_tensor *input = cg_tape_alias(tape, index, &rows);
    cg_tensor *y = cg_tape_tensor(tape, cg_device_real(cg_tape_device(tape)), &table);
    cg_record(tape, CG_OP_ONE_HOT, NULL, &input, 1, &y, 1, NULL);
    return cg_reshape(tape, y, &out);
}
