/* Transfers that convert between a tensor's dtype and the host's floats and doubles. */
#include "alloc.h"
#include "dispatch.h"
#include "half.h"
#include "tensor.h"
#include "widen.h"

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
        case CG_F16:
            destination[i] = cg_f16_to_f32(((const uint16_t *)source)[i]);
            break;
        case CG_BF16:
            destination[i] = cg_bf16_to_f32(((const uint16_t *)source)[i]);
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
        case CG_F16:
            ((uint16_t *)destination)[i] = cg_f32_to_f16((float)source[i]);
            break;
        case CG_BF16:
            ((uint16_t *)destination)[i] = cg_f32_to_bf16((float)source[i]);
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

cg_status cg_half_write(cg_tensor *tensor, const float *source) {
    size_t n = (size_t)cg_tensor_numel(tensor);
    bool bf16 = cg_tensor_stored(tensor) == CG_BF16;
    uint16_t *halves = cg_alloc(n * sizeof *halves);
    if (halves == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        halves[i] = bf16 ? cg_f32_to_bf16(source[i]) : cg_f32_to_f16(source[i]);
    }
    cg_status status = cg_dispatch_write(tensor->storage->device, tensor->storage->buffer, cg_tensor_start(tensor),
                                         halves, n * sizeof *halves);
    cg_free(halves);
    return status;
}

cg_status cg_half_read(cg_tensor *tensor, float *destination) {
    size_t n = (size_t)cg_tensor_numel(tensor);
    bool bf16 = cg_tensor_stored(tensor) == CG_BF16;
    uint16_t *halves = cg_alloc(n * sizeof *halves);
    if (halves == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = cg_dispatch_read(tensor->storage->device, tensor->storage->buffer, cg_tensor_start(tensor),
                                        halves, n * sizeof *halves);
    for (size_t i = 0; i < n && status == CG_OK; i++) {
        destination[i] = bf16 ? cg_bf16_to_f32(halves[i]) : cg_f16_to_f32(halves[i]);
    }
    cg_free(halves);
    return status;
}

/* The whole memory of a storage. */
static cg_operand whole(const cg_storage *storage, const cg_buffer *buffer, cg_dtype dtype, size_t count) {
    return (cg_operand){.buffer = buffer->handle,
                        .offset = storage->start / cg_dtype_size(dtype),
                        .extent = count,
                        .shape = CG_SHAPE((int64_t)count),
                        .dtype = dtype};
}

cg_status cg_tensor_keep_as(cg_tensor *tensor, cg_dtype precision) {
    CG_TRY(cg_tensor_check(tensor));
    if (tensor->dtype != CG_F32 || tensor->tape != NULL || !(precision == CG_F32 || cg_is_half(precision))) {
        return cg_fail(CG_ERR_DTYPE,
                       "cg_tensor_keep_as: %s of %s as %s: a program's tensor of f32 can be f32, f16 or bf16",
                       tensor->tape != NULL ? "a tape's tensor" : "a tensor", cg_dtype_name(tensor->dtype),
                       cg_dtype_name(precision));
    }
    cg_storage *storage = tensor->storage;
    cg_dtype now = cg_tensor_stored(tensor);
    if (now == precision) {
        return CG_OK;
    }
    CG_TRY(storage->tape != NULL ? cg_tape_flush(storage->tape) : CG_OK);
    if (now != CG_F32 && precision != CG_F32) {
        CG_TRY(cg_tensor_keep_as(tensor, CG_F32));
        now = CG_F32;
    }
    size_t count = storage->bytes / cg_dtype_size(now), bytes = count * cg_dtype_size(precision);
    cg_buffer *buffer;
    CG_TRY(cg_pool_acquire(storage->device, bytes > 0 ? bytes : 1, &buffer));
    cg_operand from = whole(storage, storage->buffer, now, count), to = whole(storage, buffer, precision, count);
    cg_status status = cg_dispatch_cast(storage->device, &from, &to);
    cg_pool_release(storage->device, status == CG_OK ? storage->buffer : buffer);
    if (status == CG_OK) {
        storage->buffer = buffer;
        storage->bytes = bytes;
        storage->half = precision == CG_F32 ? 0 : precision;
    }
    return status;
}
