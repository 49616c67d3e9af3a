/* The values of stored tensors: f16 and bf16 to float, integers to doubles. */
#include <string.h>

#include "half.h"
#include "safetensors.h"

bool cg_stored_is_real(cg_stored_dtype dtype) {
    return dtype == CG_STORED_F64 || dtype == CG_STORED_F32 || dtype == CG_STORED_F16 || dtype == CG_STORED_BF16;
}

static double load_f64(const unsigned char *at) {
    double value;
    memcpy(&value, at, sizeof value);
    return value;
}

static float load_f32(const unsigned char *at) {
    float value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint16_t load_16(const unsigned char *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* False for a dtype that is no integer. */
static bool load_integer(cg_stored_dtype dtype, const unsigned char *at, int64_t *value) {
    int32_t i32;
    switch (dtype) {
    case CG_STORED_I64:
        memcpy(value, at, sizeof *value);
        return true;
    case CG_STORED_I32:
        memcpy(&i32, at, sizeof i32);
        *value = i32;
        return true;
    case CG_STORED_I16:
        *value = (int16_t)load_16(at);
        return true;
    case CG_STORED_I8:
        *value = (int64_t)(*at ^ 0x80) - 0x80; /* the sign bit, carried on */
        return true;
    case CG_STORED_U8:
    case CG_STORED_BOOL:
        *value = *at;
        return true;
    default:
        return false;
    }
}

static bool load_real(cg_stored_dtype dtype, const unsigned char *at, double *value) {
    int64_t integer;
    switch (dtype) {
    case CG_STORED_F64:
        *value = load_f64(at);
        return true;
    case CG_STORED_F32:
        *value = (double)load_f32(at);
        return true;
    case CG_STORED_F16:
        *value = (double)cg_f16_to_f32(load_16(at));
        return true;
    case CG_STORED_BF16:
        *value = (double)cg_bf16_to_f32(load_16(at));
        return true;
    default:
        if (!load_integer(dtype, at, &integer)) {
            return false;
        }
        *value = (double)integer;
        return true;
    }
}

static cg_status wrong_dtype(const cg_stored *tensor, const char *wanted) {
    return cg_fail(CG_ERR_DTYPE, "tensor \"%s\" has the dtype %s, %s was expected", tensor->name, tensor->dtype_name,
                   wanted);
}

cg_status cg_stored_read_f64(const cg_stored *tensor, double *values) {
    const unsigned char *at = tensor->data;
    size_t size = cg_stored_dtype_size(tensor->dtype);
    int64_t count = cg_shape_numel(&tensor->shape);
    for (int64_t i = 0; i < count; i++, at += size) {
        if (!load_real(tensor->dtype, at, &values[i])) {
            return wrong_dtype(tensor, "F64, F32, F16, BF16 or an integer type");
        }
    }
    return CG_OK;
}

cg_status cg_stored_read_f32(const cg_stored *tensor, float *values) {
    if (tensor->dtype == CG_STORED_F32) {
        if (tensor->bytes > 0) {
            memcpy(values, tensor->data, tensor->bytes);
        }
        return CG_OK;
    }
    const unsigned char *at = tensor->data;
    size_t size = cg_stored_dtype_size(tensor->dtype);
    int64_t count = cg_shape_numel(&tensor->shape);
    for (int64_t i = 0; i < count; i++, at += size) {
        double value;
        if (!load_real(tensor->dtype, at, &value)) {
            return wrong_dtype(tensor, "F64, F32, F16, BF16 or an integer type");
        }
        values[i] = (float)value;
    }
    return CG_OK;
}

cg_status cg_stored_read_i64(const cg_stored *tensor, int64_t *values) {
    const unsigned char *at = tensor->data;
    size_t size = cg_stored_dtype_size(tensor->dtype);
    int64_t count = cg_shape_numel(&tensor->shape);
    for (int64_t i = 0; i < count; i++, at += size) {
        if (!load_integer(tensor->dtype, at, &values[i])) {
            return wrong_dtype(tensor, "an integer type");
        }
    }
    return CG_OK;
}
