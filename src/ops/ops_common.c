/* Checks and shapes that the front ends share. */
#include "ops_common.h"

bool cg_ops_float(cg_tape *tape, const char *op, const cg_tensor *tensor) {
    if (cg_tensor_dtype(tensor) == CG_F32 || cg_tensor_dtype(tensor) == CG_F64) {
        return true;
    }
    cg_tape_fail(tape, CG_ERR_DTYPE, "%s: a tensor of %s: f32 or f64 expected", op,
                 cg_dtype_name(cg_tensor_dtype(tensor)));
    return false;
}

int cg_ops_axis(cg_tape *tape, const char *op, const cg_tensor *tensor, int axis) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    int counted = axis < 0 ? axis + shape->rank : axis;
    if (counted >= 0 && counted < shape->rank) {
        return counted;
    }
    cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: axis %d of a tensor of shape %s: %d to %d are possible", op, axis,
                 cg_shape_print(shape, CG_SHAPE_TEXT), -shape->rank, shape->rank - 1);
    return -1;
}

cg_shape cg_ops_around(const cg_shape *shape, int first, int last) {
    cg_shape around = CG_SHAPE(1, 1, 1);
    for (int i = 0; i < shape->rank; i++) {
        around.dim[i < first ? 0 : i <= last ? 1 : 2] *= shape->dim[i];
    }
    return around;
}

cg_shape cg_ops_without(const cg_shape *shape, int axis) {
    cg_shape kept = {.rank = 0};
    for (int i = 0; i < shape->rank; i++) {
        if (i != axis) {
            kept.dim[kept.rank++] = shape->dim[i];
        }
    }
    return kept;
}

cg_tensor *cg_ops_filled(cg_tape *tape, cg_dtype dtype, const cg_shape *shape, double value) {
    cg_tensor *out = cg_tape_tensor(tape, dtype, shape);
    cg_fill_attrs attrs = {.value = value};
    cg_record(tape, CG_OP_FILL, &attrs, NULL, 0, &out, 1, NULL);
    return out;
}
