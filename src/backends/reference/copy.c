/* copy and fill, for every dtype. */
#include "real.h"

#include <string.h>

static void *address(const cg_operand *operand) {
    return (char *)operand->buffer + operand->offset * cg_dtype_size(operand->dtype);
}

#define FOR_EACH_DTYPE(operand, X)                                                                                     \
    switch ((operand)->dtype) {                                                                                        \
    case CG_F32:                                                                                                       \
        X(float) break;                                                                                                \
    case CG_F64:                                                                                                       \
        X(double) break;                                                                                               \
    case CG_I32:                                                                                                       \
        X(int32_t) break;                                                                                              \
    case CG_I64:                                                                                                       \
        X(int64_t) break;                                                                                              \
    case CG_U8:                                                                                                        \
        X(uint8_t) break;                                                                                              \
    case CG_F16: /* dispatch casts to f32 first */                                                                     \
    case CG_BF16:                                                                                                      \
        break;                                                                                                         \
    }

#define ADD(type)                                                                                                      \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        ((type *)to)[i] = (type)(((type *)to)[i] + ((const type *)from)[i]);                                           \
    }

cg_status REF(copy)(const cg_op *op) {
    const cg_operand *source = &op->inputs[0], *destination = &op->outputs[0];
    int64_t n = cg_shape_numel(&destination->shape);
    const void *from = address(source);
    void *to = address(destination);
    if (op->accumulate & 1u) {
        FOR_EACH_DTYPE(destination, ADD)
    } else {
        memmove(to, from, (size_t)n * cg_dtype_size(destination->dtype));
    }
    return CG_OK;
}

#define FILL(type)                                                                                                     \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        ((type *)to)[i] = (type)value;                                                                                 \
    }

cg_status REF(fill)(const cg_op *op) {
    double value = ((const cg_fill_attrs *)op->attrs)->value;
    const cg_operand *destination = &op->outputs[0];
    int64_t n = cg_shape_numel(&destination->shape);
    void *to = address(destination);
    FOR_EACH_DTYPE(destination, FILL)
    return CG_OK;
}
