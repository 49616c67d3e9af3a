/* Elements and rows chosen by indices, their gradients, and one_hot. Indices are checked before anything is moved. */
#include "real.h"
#include "target.h"

/* CG_ERR_INDEX, naming the op, for the first index that is not one of `limit`. */
static cg_status check(const cg_op *op, const cg_operand *index, int64_t limit) {
    for (int64_t i = 0, n = cg_shape_numel(&index->shape); i < n; i++) {
        int64_t value = target_class(index, i);
        if (value < 0 || value >= limit) {
            return cg_fail(CG_ERR_INDEX, "%s: index %lld at place %lld is not in 0..%lld", op->kind->name,
                           (long long)value, (long long)i, (long long)limit - 1);
        }
    }
    return CG_OK;
}

/* What a gradient adds to is 0 at first, unless it accumulates. */
static void clear(const cg_op *op) {
    real *y = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n && !(op->accumulate & 1u); i++) {
        y[i] = R(0.0);
    }
}

cg_status REF(index_select)(const cg_op *op) {
    const int64_t *dim = op->outputs[0].shape.dim;
    int64_t rows = op->inputs[0].shape.dim[1];
    const real *x = elements(&op->inputs[0]);
    real *y = elements(&op->outputs[0]);
    CG_TRY(check(op, &op->inputs[1], rows));
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t j = 0; j < dim[1]; j++) {
            const real *from = x + (o * rows + target_class(&op->inputs[1], j)) * dim[2];
            for (int64_t i = 0; i < dim[2]; i++) {
                y[(o * dim[1] + j) * dim[2] + i] = from[i];
            }
        }
    }
    return CG_OK;
}

cg_status REF(index_add)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    int64_t rows = op->outputs[0].shape.dim[1], ignored = ((const cg_index_attrs *)op->attrs)->ignored;
    const real *dy = elements(&op->inputs[0]);
    real *dx = elements(&op->outputs[0]);
    CG_TRY(check(op, &op->inputs[1], rows));
    clear(op);
    for (int64_t o = 0; o < dim[0]; o++) {
        for (int64_t j = 0; j < dim[1]; j++) {
            int64_t row = target_class(&op->inputs[1], j);
            for (int64_t i = 0; i < dim[2] && row != ignored; i++) {
                dx[(o * rows + row) * dim[2] + i] += dy[(o * dim[1] + j) * dim[2] + i];
            }
        }
    }
    return CG_OK;
}

/* Element `flat` of the index belongs to this element of the tensor it points into. */
static int64_t chosen(const cg_operand *index, int64_t rows, int64_t flat) {
    const int64_t *dim = index->shape.dim;
    int64_t outer = flat / (dim[1] * dim[2]), inner = flat % dim[2];
    return (outer * rows + target_class(index, flat)) * dim[2] + inner;
}

cg_status REF(gather)(const cg_op *op) {
    const cg_operand *index = &op->inputs[1];
    int64_t rows = op->inputs[0].shape.dim[1];
    CG_TRY(check(op, index, rows));
    for (int64_t i = 0, n = cg_shape_numel(&index->shape); i < n; i++) {
        elements(&op->outputs[0])[i] = elements(&op->inputs[0])[chosen(index, rows, i)];
    }
    return CG_OK;
}

cg_status REF(scatter_add)(const cg_op *op) {
    const cg_operand *index = &op->inputs[1];
    int64_t rows = op->outputs[0].shape.dim[1];
    CG_TRY(check(op, index, rows));
    clear(op);
    for (int64_t i = 0, n = cg_shape_numel(&index->shape); i < n; i++) {
        elements(&op->outputs[0])[chosen(index, rows, i)] += elements(&op->inputs[0])[i];
    }
    return CG_OK;
}

cg_status REF(one_hot)(const cg_op *op) {
    const int64_t *dim = op->outputs[0].shape.dim;
    CG_TRY(check(op, &op->inputs[0], dim[1]));
    for (int64_t row = 0; row < dim[0]; row++) {
        for (int64_t class = 0; class < dim[1]; class ++) {
            bool hot = target_class(&op->inputs[0], row) == class;
            elements(&op->outputs[0])[row * dim[1] + class] = hot ? R(1.0) : R(0.0);
        }
    }
    return CG_OK;
}
