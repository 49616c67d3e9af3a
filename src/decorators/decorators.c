/* The decorators there are, and what they share: handing on. */
#include "decorators.h"

#include <string.h>

#include "alloc.h"

static const cg_decorator *const decorators[] = {&cg_decorator_check, &cg_decorator_trace, &cg_decorator_fault};

const cg_decorator *cg_decorator_find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof decorators / sizeof decorators[0]; i++) {
        if (strlen(decorators[i]->name) == length && strncmp(decorators[i]->name, name, length) == 0) {
            return decorators[i];
        }
    }
    return NULL;
}

cg_status cg_inner_buffer_create(void *device, size_t bytes, void **buffer) {
    const cg_inner *inner = device;
    return inner->backend->buffer_create(inner->handle, bytes, buffer);
}

void cg_inner_buffer_destroy(void *device, void *buffer) {
    const cg_inner *inner = device;
    inner->backend->buffer_destroy(inner->handle, buffer);
}

cg_status cg_inner_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    const cg_inner *inner = device;
    return inner->backend->write(inner->handle, buffer, offset, source, bytes);
}

cg_status cg_inner_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    const cg_inner *inner = device;
    return inner->backend->read(inner->handle, buffer, offset, destination, bytes);
}

bool cg_inner_supports(void *device, const cg_op *op, const char **reason) {
    const cg_inner *inner = device;
    return inner->backend->supports == NULL || inner->backend->supports(inner->handle, op, reason);
}

cg_status cg_inner_run(void *device, const cg_op *op) {
    const cg_inner *inner = device;
    return inner->backend->run(inner->handle, op);
}

cg_status cg_inner_flush(void *device) {
    const cg_inner *inner = device;
    return inner->backend->flush != NULL ? inner->backend->flush(inner->handle) : CG_OK;
}

cg_status cg_inner_wait(void *device) {
    const cg_inner *inner = device;
    return inner->backend->wait(inner->handle);
}

void cg_inner_close(void *device) {
    const cg_inner *inner = device;
    inner->backend->close(inner->handle);
    cg_free(device);
}
