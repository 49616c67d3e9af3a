/* Classes as cross_entropy takes them: i32 or i64, checked. Shared with the cpu backend. */
#ifndef CLGRAD_REFERENCE_TARGET_H
#define CLGRAD_REFERENCE_TARGET_H

#include <clgrad/op_kinds.h>

static inline int64_t target_class(const cg_operand *target, int64_t row) {
    return target->dtype == CG_I32 ? ((const int32_t *)target->buffer)[target->offset + (size_t)row]
                                   : ((const int64_t *)target->buffer)[target->offset + (size_t)row];
}

/* CG_ERR_INDEX for the first class that is not one of `classes`, nor the one that the op ignores. */
static inline cg_status target_check(const cg_op *op, const cg_operand *target, int64_t classes) {
    int64_t ignored = ((const cg_class_attrs *)op->attrs)->ignored;
    for (int64_t row = 0, rows = cg_shape_numel(&target->shape); row < rows; row++) {
        int64_t label = target_class(target, row);
        if (label != ignored && (label < 0 || label >= classes)) {
            return cg_fail(CG_ERR_INDEX, "%s: class %lld of row %lld is not in 0..%lld", op->kind->name,
                           (long long)label, (long long)row, (long long)classes - 1);
        }
    }
    return CG_OK;
}

#endif
