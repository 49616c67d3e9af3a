/* strided_copy and cast, for every dtype. */
#include "half.h"
#include "real.h"

#include <string.h>

/* Where element `flat` of the copy lies on one side. */
static int64_t place(const cg_strided_attrs *attrs, const int64_t *stride, int64_t flat) {
    int64_t at = 0;
    for (uint32_t i = attrs->rank; i > 0; i--) {
        at += flat % attrs->dim[i - 1] * stride[i - 1];
        flat /= attrs->dim[i - 1];
    }
    return at;
}

cg_status REF(strided_copy)(const cg_op *op) {
    const cg_strided_attrs *attrs = op->attrs;
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    size_t size = cg_dtype_size(x->dtype);
    int64_t count = 1;
    for (uint32_t i = 0; i < attrs->rank; i++) {
        count *= attrs->dim[i];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t from = (int64_t)x->offset + attrs->from + place(attrs, attrs->in, i);
        int64_t to = (int64_t)y->offset + attrs->to + place(attrs, attrs->out, i);
        if (op->accumulate & 1u) {
            ((real *)y->buffer)[to] += ((const real *)x->buffer)[from];
        } else {
            memcpy((char *)y->buffer + (size_t)to * size, (const char *)x->buffer + (size_t)from * size, size);
        }
    }
    return CG_OK;
}

/* Integers go by int64_t, so that a large one keeps its digits. */
static int64_t integer_at(const cg_operand *operand, int64_t i) {
    size_t at = operand->offset + (size_t)i;
    switch (operand->dtype) {
    case CG_I64:
        return ((const int64_t *)operand->buffer)[at];
    case CG_I32:
        return ((const int32_t *)operand->buffer)[at];
    default:
        return ((const uint8_t *)operand->buffer)[at];
    }
}

static bool is_real(cg_dtype dtype) {
    return dtype == CG_F32 || dtype == CG_F64 || cg_is_half(dtype);
}

static double real_at(const cg_operand *operand, int64_t i) {
    size_t at = operand->offset + (size_t)i;
    switch (operand->dtype) {
    case CG_F32:
        return ((const float *)operand->buffer)[at];
    case CG_F16:
        return cg_f16_to_f32(((const uint16_t *)operand->buffer)[at]);
    case CG_BF16:
        return cg_bf16_to_f32(((const uint16_t *)operand->buffer)[at]);
    default:
        return ((const double *)operand->buffer)[at];
    }
}

static void store_integer(const cg_operand *operand, int64_t i, int64_t value) {
    size_t at = operand->offset + (size_t)i;
    switch (operand->dtype) {
    case CG_I64:
        ((int64_t *)operand->buffer)[at] = value;
        break;
    case CG_I32:
        ((int32_t *)operand->buffer)[at] = (int32_t)value;
        break;
    case CG_U8:
        ((uint8_t *)operand->buffer)[at] = (uint8_t)value;
        break;
    case CG_F32:
        ((float *)operand->buffer)[at] = (float)value;
        break;
    case CG_F64:
        ((double *)operand->buffer)[at] = (double)value;
        break;
    case CG_F16: /* dispatch casts to f32 first */
    case CG_BF16:
        break;
    }
}

static void store_real(const cg_operand *operand, int64_t i, double value) {
    size_t at = operand->offset + (size_t)i;
    if (operand->dtype == CG_F32) {
        ((float *)operand->buffer)[at] = (float)value;
    } else if (operand->dtype == CG_F64) {
        ((double *)operand->buffer)[at] = value;
    } else if (operand->dtype == CG_F16) {
        ((uint16_t *)operand->buffer)[at] = cg_f32_to_f16((float)value);
    } else if (operand->dtype == CG_BF16) {
        ((uint16_t *)operand->buffer)[at] = cg_f32_to_bf16((float)value);
    } else {
        store_integer(operand, i, (int64_t)value);
    }
}

cg_status REF(cast)(const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    for (int64_t i = 0, n = cg_shape_numel(&y->shape); i < n; i++) {
        if (is_real(x->dtype)) {
            store_real(y, i, real_at(x, i));
        } else {
            store_integer(y, i, integer_at(x, i));
        }
    }
    return CG_OK;
}
