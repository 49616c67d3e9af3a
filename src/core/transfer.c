/* Tensors from device to device. */
#include "alloc.h"
#include "dispatch.h"
#include "tensor.h"

#define CHUNK ((size_t)4 << 20)

/* Both buffers are there. */
static cg_status move(cg_tensor *from, cg_tensor *to, void *chunk, size_t chunk_bytes) {
    size_t total = cg_tensor_bytes(from), start = cg_tensor_start(from);
    for (size_t done = 0; done < total; done += chunk_bytes) {
        size_t bytes = total - done < chunk_bytes ? total - done : chunk_bytes;
        CG_TRY(cg_dispatch_read(from->storage->device, from->storage->buffer, start + done, chunk, bytes));
        CG_TRY(cg_dispatch_write(to->storage->device, to->storage->buffer, done, chunk, bytes));
    }
    return CG_OK;
}

static cg_status move_in_parts(cg_tensor *from, cg_tensor *to) {
    size_t total = cg_tensor_bytes(from), chunk_bytes = total < CHUNK ? total : CHUNK;
    void *chunk = cg_alloc(chunk_bytes + 1);
    cg_status status = chunk != NULL ? move(from, to, chunk, chunk_bytes) : CG_ERR_MEMORY;
    cg_free(chunk);
    return status;
}

/* One of them is kept in 16 bits. */
static cg_status convert(cg_tensor *from, cg_tensor *to) {
    size_t bytes = cg_tensor_bytes(from);
    void *all = cg_alloc(bytes + 1);
    cg_status status = all != NULL ? cg_tensor_read(from, all, bytes) : CG_ERR_MEMORY;
    status = status == CG_OK ? cg_tensor_write(to, all, bytes) : status;
    cg_free(all);
    return status;
}

cg_status cg_tensor_to(cg_tensor *tensor, cg_device *device, cg_tensor **copy) {
    *copy = NULL;
    CG_TRY(cg_tensor_check(tensor));
    if (tensor->storage->tape != NULL) {
        CG_TRY(cg_tape_flush(tensor->storage->tape));
    }
    CG_TRY(cg_storage_materialize(tensor->storage));
    CG_TRY(cg_tensor_create(device, tensor->dtype, &tensor->shape, copy));
    cg_status status = tensor->storage->half != 0 ? convert(tensor, *copy) : move_in_parts(tensor, *copy);
    if (status != CG_OK) {
        cg_tensor_destroy(*copy);
        *copy = NULL;
    }
    return status;
}
