/* Tensors of the program's: life, transfer, conversion. */
#include "tensor.h"

#include <string.h>

#include "alloc.h"
#include "dispatch.h"
#include "record.h"

cg_status cg_storage_materialize(cg_storage *storage) {
    if (storage->buffer != NULL) {
        return CG_OK;
    }
    return cg_pool_acquire(storage->device, storage->bytes > 0 ? storage->bytes : 1, &storage->buffer);
}

void cg_storage_release(cg_storage *storage) {
    if (storage->buffer == NULL) {
        return;
    }
    if (storage->planned) {
        cg_mirror_forget(storage->device, storage->buffer->handle, storage->start, storage->bytes);
    } else {
        cg_pool_release(storage->device, storage->buffer);
    }
    storage->buffer = NULL;
}

cg_dtype cg_tensor_stored(const cg_tensor *tensor) {
    return tensor->dtype == CG_F32 && tensor->storage->half != 0 ? tensor->storage->half : tensor->dtype;
}

size_t cg_tensor_start(const cg_tensor *tensor) {
    return tensor->storage->start + tensor->offset * cg_dtype_size(cg_tensor_stored(tensor));
}

size_t cg_record_room(const cg_tensor *tensor) {
    return tensor->storage->bytes / cg_dtype_size(cg_tensor_stored(tensor)) - tensor->offset;
}

bool cg_record_overlap(const cg_tensor *a, const cg_tensor *b) {
    size_t a_size = cg_dtype_size(a->dtype), b_size = cg_dtype_size(b->dtype);
    size_t a_start = a->offset * a_size, b_start = b->offset * b_size;
    return a->storage == b->storage && a_start < b_start + cg_tensor_bytes(b) && b_start < a_start + cg_tensor_bytes(a);
}

cg_status cg_tensor_size(cg_dtype dtype, const cg_shape *shape, size_t *bytes) {
    if (shape->rank < 0 || shape->rank > CG_MAX_RANK) {
        return cg_fail(CG_ERR_SHAPE, "a tensor of rank %d: 0 to %d are possible", shape->rank, CG_MAX_RANK);
    }
    if (cg_dtype_size(dtype) == 0) {
        return cg_fail(CG_ERR_DTYPE, "%d is no data type", (int)dtype);
    }
    size_t counted =
        cg_dtype_size(dtype); /* as if empty axes had one element: sums over the others must not overflow */
    *bytes = counted;
    for (int i = 0; i < shape->rank; i++) {
        size_t dim = (size_t)shape->dim[i];
        if (shape->dim[i] < 0) {
            return cg_fail(CG_ERR_SHAPE, "shape %s: axis %d is negative", cg_shape_print(shape, CG_SHAPE_TEXT), i);
        }
        if (dim > 0 && counted > (SIZE_MAX >> 1) / dim) {
            return cg_fail(CG_ERR_SHAPE, "shape %s of %s: more bytes than can be counted",
                           cg_shape_print(shape, CG_SHAPE_TEXT), cg_dtype_name(dtype));
        }
        counted *= dim > 0 ? dim : 1;
        *bytes *= dim;
    }
    return CG_OK;
}

static cg_status new_storage(cg_device *device, size_t bytes, cg_storage **out) {
    cg_storage *storage = cg_alloc_zero(1, sizeof *storage);
    if (storage == NULL) {
        return CG_ERR_MEMORY;
    }
    *storage = (cg_storage){.device = device, .bytes = bytes};
    cg_status status = cg_storage_materialize(storage);
    if (status != CG_OK) {
        cg_free(storage);
        return status;
    }
    *out = storage;
    return CG_OK;
}

static cg_status new_tensor(cg_storage *storage, cg_dtype dtype, const cg_shape *shape, size_t offset,
                            cg_tensor **out) {
    cg_tensor *tensor = cg_alloc_zero(1, sizeof *tensor);
    if (tensor == NULL) {
        return CG_ERR_MEMORY;
    }
    *tensor = (cg_tensor){.storage = storage, .offset = offset, .shape = *shape, .dtype = dtype};
    storage->references++;
    *out = tensor;
    return CG_OK;
}

cg_status cg_tensor_create(cg_device *device, cg_dtype dtype, const cg_shape *shape, cg_tensor **tensor) {
    *tensor = NULL;
    size_t bytes;
    CG_TRY(cg_tensor_size(dtype, shape, &bytes));
    cg_storage *storage = NULL;
    CG_TRY(new_storage(device, bytes, &storage));
    cg_status status = new_tensor(storage, dtype, shape, 0, tensor);
    if (status != CG_OK) {
        cg_storage_release(storage);
        cg_free(storage);
        return status;
    }
    status = cg_tensor_fill(*tensor, 0.0);
    if (status != CG_OK) {
        cg_tensor_destroy(*tensor);
        *tensor = NULL;
    }
    return status;
}

cg_status cg_tensor_view(cg_tensor *base, size_t offset, const cg_shape *shape, cg_tensor **view) {
    *view = NULL;
    size_t bytes;
    CG_TRY(cg_tensor_size(base->dtype, shape, &bytes));
    if (base->tape != NULL) {
        return cg_fail(CG_ERR_STATE, "cg_tensor_view: the tensor belongs to a tape; use cg_reshape");
    }
    size_t count = (size_t)cg_shape_numel(shape), room = (size_t)cg_tensor_numel(base);
    if (offset > room || count > room - offset) {
        return cg_fail(CG_ERR_SHAPE, "a view of %s from element %zu on does not fit into %s",
                       cg_shape_print(shape, CG_SHAPE_TEXT), offset, cg_shape_print(&base->shape, CG_SHAPE_TEXT));
    }
    return new_tensor(base->storage, base->dtype, shape, base->offset + offset, view);
}

/* What is recorded and uses the tensor runs before anybody looks at its memory or takes it away. */
static cg_status settle(const cg_tensor *tensor) {
    return tensor->storage->tape != NULL ? cg_tape_flush(tensor->storage->tape) : CG_OK;
}

void cg_tensor_destroy(cg_tensor *tensor) {
    if (tensor == NULL || tensor->tape != NULL) {
        return;
    }
    cg_tensor_destroy(tensor->grad);
    cg_storage *storage = tensor->storage;
    cg_status ignored = settle(tensor); /* the tape keeps the failure */
    (void)ignored;
    cg_free(tensor);
    if (--storage->references == 0) {
        cg_storage_release(storage);
        cg_free(storage);
    }
}

cg_dtype cg_tensor_dtype(const cg_tensor *tensor) {
    return tensor->dtype;
}

const cg_shape *cg_tensor_shape(const cg_tensor *tensor) {
    return &tensor->shape;
}

int64_t cg_tensor_numel(const cg_tensor *tensor) {
    return cg_shape_numel(&tensor->shape);
}

size_t cg_tensor_bytes(const cg_tensor *tensor) {
    return (size_t)cg_tensor_numel(tensor) * cg_dtype_size(tensor->dtype);
}

cg_device *cg_tensor_device(const cg_tensor *tensor) {
    return tensor->storage != NULL ? tensor->storage->device : cg_tape_device(tensor->tape);
}

void cg_tensor_set_requires_grad(cg_tensor *tensor, bool requires_grad) {
    tensor->requires_grad = requires_grad;
}

bool cg_tensor_requires_grad(const cg_tensor *tensor) {
    return tensor->requires_grad;
}

cg_tensor *cg_tensor_grad(const cg_tensor *tensor) {
    return tensor->grad;
}

void cg_tensor_zero_grad(cg_tensor *tensor) {
    tensor->has_grad = false;
}

bool cg_tensor_has_grad(const cg_tensor *tensor) {
    return tensor->has_grad;
}

cg_status cg_tensor_set_grad(cg_tensor *tensor, const float *values, int64_t count) {
    if (tensor->grad == NULL) {
        CG_TRY(cg_tensor_create(cg_tensor_device(tensor), tensor->dtype, &tensor->shape, &tensor->grad));
    }
    CG_TRY(cg_tensor_write_f32(tensor->grad, values, count));
    tensor->has_grad = true;
    return CG_OK;
}

cg_status cg_tensor_check(const cg_tensor *tensor) {
    if (tensor->storage != NULL) {
        return CG_OK;
    }
    return cg_fail(cg_tape_status(tensor->tape), "%s", cg_tape_error(tensor->tape));
}

/* Ready for a transfer of `bytes`: nothing pending, memory there. */
static cg_status prepare(cg_tensor *tensor, size_t bytes, const char *call) {
    CG_TRY(cg_tensor_check(tensor));
    if (bytes != cg_tensor_bytes(tensor)) {
        return cg_fail(CG_ERR_SHAPE, "%s: %zu bytes given, the tensor %s of %s has %zu", call, bytes,
                       cg_shape_print(&tensor->shape, CG_SHAPE_TEXT), cg_dtype_name(tensor->dtype),
                       cg_tensor_bytes(tensor));
    }
    CG_TRY(settle(tensor));
    return cg_storage_materialize(tensor->storage);
}

cg_status cg_tensor_write(cg_tensor *tensor, const void *source, size_t bytes) {
    CG_TRY(prepare(tensor, bytes, "cg_tensor_write"));
    if (bytes == 0) {
        return CG_OK;
    }
    if (cg_tensor_stored(tensor) != tensor->dtype) {
        return cg_half_write(tensor, source);
    }
    return cg_dispatch_write(tensor->storage->device, tensor->storage->buffer, cg_tensor_start(tensor), source, bytes);
}

cg_status cg_tensor_read(cg_tensor *tensor, void *destination, size_t bytes) {
    CG_TRY(prepare(tensor, bytes, "cg_tensor_read"));
    if (bytes == 0) {
        return CG_OK;
    }
    if (cg_tensor_stored(tensor) != tensor->dtype) {
        return cg_half_read(tensor, destination);
    }
    return cg_dispatch_read(tensor->storage->device, tensor->storage->buffer, cg_tensor_start(tensor), destination,
                            bytes);
}

cg_status cg_tensor_fill(cg_tensor *tensor, double value) {
    size_t bytes = cg_tensor_bytes(tensor);
    CG_TRY(prepare(tensor, bytes, "cg_tensor_fill"));
    if (bytes == 0) {
        return CG_OK;
    }
    cg_fill_attrs attrs = {.size = sizeof attrs, .value = value};
    cg_op op = {.kind = cg_kind(CG_OP_FILL), .attrs = &attrs, .n_outputs = 1};
    op.outputs[0] = (cg_operand){
        .buffer = tensor->storage->buffer->handle,
        .offset = cg_tensor_start(tensor) / cg_dtype_size(cg_tensor_stored(tensor)),
        .extent = (size_t)cg_tensor_numel(tensor),
        .shape = tensor->shape,
        .dtype = cg_tensor_stored(tensor),
    };
    return cg_dispatch_run(tensor->storage->device, &op);
}

cg_status cg_tensor_item(cg_tensor *tensor, double *value) {
    CG_TRY(cg_tensor_check(tensor));
    if (cg_tensor_numel(tensor) != 1) {
        return cg_fail(CG_ERR_SHAPE, "cg_tensor_item: a tensor of shape %s has not one element",
                       cg_shape_print(&tensor->shape, CG_SHAPE_TEXT));
    }
    return cg_tensor_read_f64(tensor, value, 1);
}
