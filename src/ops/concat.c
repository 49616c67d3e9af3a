/* Tensors put together: concat along an axis that is there, stack along a new one. Each input is one copy. */
#include "strided.h"

#include <string.h>

static bool fits_beside(const cg_tensor *first, const cg_tensor *x, int axis) {
    const cg_shape *a = cg_tensor_shape(first), *b = cg_tensor_shape(x);
    bool fits = a->rank == b->rank && cg_tensor_dtype(first) == cg_tensor_dtype(x);
    for (int i = 0; fits && i < a->rank; i++) {
        fits = i == axis || a->dim[i] == b->dim[i];
    }
    return fits;
}

static void place(cg_tape *tape, cg_tensor *x, cg_tensor *y, int axis, int64_t start) {
    const cg_shape *from = cg_tensor_shape(x);
    cg_strided_attrs attrs = {.rank = (uint32_t)from->rank};
    memcpy(attrs.dim, from->dim, sizeof attrs.dim);
    cg_ops_strides(from, attrs.in);
    cg_ops_strides(cg_tensor_shape(y), attrs.out);
    attrs.to = start * attrs.out[axis];
    cg_ops_strided(tape, x, y, &attrs, NULL);
}

cg_tensor *cg_concat(cg_tape *tape, cg_tensor *const *inputs, size_t count, int axis) {
    if (count == 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "concat: no tensors");
    }
    int counted = cg_tape_accepts(tape, "concat", inputs, count) ? cg_ops_axis(tape, "concat", inputs[0], axis) : -1;
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape out = *cg_tensor_shape(inputs[0]);
    for (size_t i = 1; i < count; i++) {
        const cg_shape *shape = cg_tensor_shape(inputs[i]);
        if (!fits_beside(inputs[0], inputs[i], counted)) {
            return cg_tape_fail(
                tape, CG_ERR_SHAPE,
                "concat: tensor 0 is %s of %s, tensor %zu is %s of %s: they may differ in axis %d alone",
                cg_shape_print(cg_tensor_shape(inputs[0]), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(inputs[0])), i,
                cg_shape_print(shape, CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(inputs[i])), counted);
        }
        out.dim[counted] += shape->dim[counted];
    }
    if (count == 1) {
        return inputs[0];
    }
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(inputs[0]), &out);
    int64_t start = 0;
    for (size_t i = 0; i < count; i++) {
        place(tape, inputs[i], y, counted, start);
        start += cg_tensor_shape(inputs[i])->dim[counted];
    }
    return y;
}

cg_tensor *cg_stack(cg_tape *tape, cg_tensor *const *inputs, size_t count, int axis) {
    if (count == 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "stack: no tensors");
    }
    if (!cg_tape_accepts(tape, "stack", inputs, count)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *each = cg_tensor_shape(inputs[0]);
    int counted = axis < 0 ? axis + each->rank + 1 : axis;
    if (counted < 0 || counted > each->rank || each->rank == CG_MAX_RANK) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "stack: a new axis %d for tensors of shape %s", axis,
                            cg_shape_print(each, CG_SHAPE_TEXT));
    }
    cg_shape out = {.rank = each->rank + 1};
    for (int i = 0; i < out.rank; i++) {
        out.dim[i] = i < counted ? each->dim[i] : i == counted ? 1 : each->dim[i - 1];
    }
    out.dim[counted] = (int64_t)count;
    cg_shape one = out;
    one.dim[counted] = 1;
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(inputs[0]), &out);
    for (size_t i = 0; i < count; i++) {
        if (!cg_shape_equal(each, cg_tensor_shape(inputs[i])) ||
            cg_tensor_dtype(inputs[i]) != cg_tensor_dtype(inputs[0])) {
            return cg_tape_fail(tape, CG_ERR_SHAPE, "stack: tensor 0 is %s of %s, tensor %zu is %s of %s",
                                cg_shape_print(each, CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(inputs[0])), i,
                                cg_shape_print(cg_tensor_shape(inputs[i]), CG_SHAPE_TEXT),
                                cg_dtype_name(cg_tensor_dtype(inputs[i])));
        }
        place(tape, cg_reshape(tape, inputs[i], &one), y, counted, (int64_t)i);
    }
    return y;
}
