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

cg_status cg_tensor_to(cg_tensor *tensor, cg_device *device, cg_tensor **copy) {
    *copy = NULL;
    CG_TRY(cg_tensor_check(tensor));
    if (tensor->storage->tape != NULL) {
        CG_TRY(cg_tape_flush(tensor->storage->tape));
    }
    CG_TRY(cg_storage_materialize(tensor->storage));
    CG_TRY(cg_tensor_create(device, tensor->dtype, &tensor->shape, copy));
    size_t total = cg_tensor_bytes(tensor), chunk_bytes = total < CHUNK ? total : CHUNK;
    void *chunk = cg_alloc(chunk_bytes + 1);
    cg_status status = chunk != NULL ? move(tensor, *copy, chunk, chunk_bytes) : CG_ERR_MEMORY;
    cg_free(chunk);
    if (status != CG_OK) {
        cg_tensor_destroy(*copy);
        *copy = NULL;
    }
    return status;
}
