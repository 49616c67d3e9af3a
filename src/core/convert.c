/* Transfers that convert between a tensor's dtype and the host's floats and doubles. */
#include "alloc.h"
#include "tensor.h"

static void to_double(const void *source, cg_dtype dtype, double *destination, size_t count) {
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case CG_F32:
            destination[i] = ((const float *)source)[i];
            break;
        case CG_F64:
            destination[i] = ((const double *)source)[i];
            break;
        case CG_I32:
            destination[i] = ((const int32_t *)source)[i];
            break;
        case CG_I64:
            destination[i] = (double)((const int64_t *)source)[i];
            break;
        case CG_U8:
            destination[i] = ((const uint8_t *)source)[i];
            break;
        }
    }
}

static void from_double(const double *source, void *destination, cg_dtype dtype, size_t count) {
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case CG_F32:
            ((float *)destination)[i] = (float)source[i];
            break;
        case CG_F64:
            ((double *)destination)[i] = source[i];
            break;
        case CG_I32:
            ((int32_t *)destination)[i] = (int32_t)source[i];
            break;
        case CG_I64:
            ((int64_t *)destination)[i] = (int64_t)source[i];
            break;
        case CG_U8:
            ((uint8_t *)destination)[i] = (uint8_t)source[i];
            break;
        }
    }
}

static cg_status check_count(const cg_tensor *tensor, int64_t count) {
    CG_TRY(cg_tensor_check(tensor));
    if (count != cg_tensor_numel(tensor)) {
        return cg_fail(CG_ERR_SHAPE, "%lld elements given, a tensor of shape %s has %lld", (long long)count,
                       cg_shape_print(&tensor->shape, CG_SHAPE_TEXT), (long long)cg_tensor_numel(tensor));
    }
    return CG_OK;
}

cg_status cg_tensor_write_f64(cg_tensor *tensor, const double *source, int64_t count) {
    CG_TRY(check_count(tensor, count));
    double few[8]; /* learning rates and the like: without a visit to the heap */
    size_t bytes = cg_tensor_bytes(tensor);
    void *raw = bytes <= sizeof few ? few : cg_alloc(bytes);
    if (raw == NULL) {
        return CG_ERR_MEMORY;
    }
    from_double(source, raw, tensor->dtype, (size_t)count);
    cg_status status = cg_tensor_write(tensor, raw, bytes);
    if (raw != few) {
        cg_free(raw);
    }
    return status;
}

cg_status cg_tensor_read_f64(cg_tensor *tensor, double *destination, int64_t count) {
    CG_TRY(check_count(tensor, count));
    double few[8];
    size_t bytes = cg_tensor_bytes(tensor);
    void *raw = bytes <= sizeof few ? few : cg_alloc(bytes);
    if (raw == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = cg_tensor_read(tensor, raw, bytes);
    if (status == CG_OK) {
        to_double(raw, tensor->dtype, destination, (size_t)count);
    }
    if (raw != few) {
        cg_free(raw);
    }
    return status;
}

cg_status cg_tensor_write_f32(cg_tensor *tensor, const float *source, int64_t count) {
    CG_TRY(check_count(tensor, count));
    if (tensor->dtype == CG_F32) {
        return cg_tensor_write(tensor, source, (size_t)count * sizeof *source);
    }
    double *wide = cg_alloc((size_t)count * sizeof *wide);
    if (wide == NULL) {
        return CG_ERR_MEMORY;
    }
    to_double(source, CG_F32, wide, (size_t)count);
    cg_status status = cg_tensor_write_f64(tensor, wide, count);
    cg_free(wide);
    return status;
}

cg_status cg_tensor_read_f32(cg_tensor *tensor, float *destination, int64_t count) {
    CG_TRY(check_count(tensor, count));
    if (tensor->dtype == CG_F32) {
        return cg_tensor_read(tensor, destination, (size_t)count * sizeof *destination);
    }
    double *wide = cg_alloc((size_t)count * sizeof *wide);
    if (wide == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = cg_tensor_read_f64(tensor, wide, count);
    if (status == CG_OK) {
        from_double(wide, destination, CG_F32, (size_t)count);
    }
    cg_free(wide);
    return status;
}
