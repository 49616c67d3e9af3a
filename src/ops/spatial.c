/* Shapes of the ops over spatial axes. */
#include "spatial.h"

static bool any_empty(const cg_shape *five) {
    for (int i = 1; i < five->rank; i++) {
        if (five->dim[i] == 0) {
            return true;
        }
    }
    return false;
}

bool cg_spatial_read(cg_tape *tape, const char *op, const cg_tensor *tensor, int axes, cg_spatial *spatial) {
    if (!cg_ops_float(tape, op, tensor)) {
        return false;
    }
    const cg_shape *shape = cg_tensor_shape(tensor);
    if (shape->rank != axes + 1 && shape->rank != axes + 2) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the input is %s: [channels, %d spatial axes] or a batch of such expected",
                     op, cg_shape_print(shape, CG_SHAPE_TEXT), axes);
        return false;
    }
    *spatial = (cg_spatial){.five = CG_SHAPE(1, 1, 1, 1, 1), .axes = axes, .batched = shape->rank == axes + 2};
    const int64_t *dim = shape->dim;
    if (spatial->batched) {
        spatial->five.dim[0] = *dim++;
    }
    spatial->five.dim[1] = *dim++;
    for (int i = 0; i < axes; i++) {
        spatial->five.dim[5 - axes + i] = dim[i];
    }
    if (any_empty(&spatial->five)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the input is %s: only the batch may be empty", op,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
        return false;
    }
    return true;
}

cg_shape cg_spatial_shape(const cg_spatial *spatial) {
    cg_shape shape = {.rank = 0};
    if (spatial->batched) {
        shape.dim[shape.rank++] = spatial->five.dim[0];
    }
    shape.dim[shape.rank++] = spatial->five.dim[1];
    for (int i = 5 - spatial->axes; i < 5; i++) {
        shape.dim[shape.rank++] = spatial->five.dim[i];
    }
    return shape;
}

bool cg_spatial_numbers(cg_tape *tape, const char *op, const char *what, const int64_t *given, int axes,
                        int64_t fallback, int64_t least, int64_t out[CG_SPATIAL_AXES]) {
    for (int i = 0; i < CG_SPATIAL_AXES; i++) {
        int axis = i - (CG_SPATIAL_AXES - axes);
        out[i] = axis >= 0 && given[axis] != 0 ? given[axis] : fallback;
        if (out[i] < least || out[i] > CG_SPATIAL_LIMIT) {
            cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %s %lld of axis %d: %lld to %d are possible", op, what,
                         (long long)out[i], axis, (long long)least, CG_SPATIAL_LIMIT);
            return false;
        }
    }
    return true;
}
