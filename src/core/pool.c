/* The pool of device buffers by size class. */
#include "pool.h"

#include "alloc.h"
#include "device.h"

#define SMALLEST 256

/* Rounded up to an eighth of its power of two: at most 12.5 % is wasted, and few classes exist. */
static size_t rounded(size_t bytes) {
    if (bytes <= SMALLEST) {
        return SMALLEST;
    }
    size_t step = SMALLEST / 8;
    while (step * 16 < bytes) {
        step *= 2;
    }
    return (bytes + step - 1) / step * step;
}

static cg_pool_class *class_of(cg_pool *pool, size_t bytes) {
    for (size_t i = 0; i < pool->n_classes; i++) {
        if (pool->classes[i].bytes == bytes) {
            return &pool->classes[i];
        }
    }
    if (!CG_GROW(pool->classes, pool->n_classes, pool->capacity)) {
        return NULL;
    }
    pool->classes[pool->n_classes] = (cg_pool_class){.bytes = bytes};
    return &pool->classes[pool->n_classes++];
}

/* What cannot fit is refused before the driver is asked: some abort the whole process. 0: the device does not say. */
static cg_status ask(cg_device *device, size_t bytes, void **handle) {
    const cg_device_info *info = &device->info;
    if (info->max_allocation_bytes > 0 && bytes > info->max_allocation_bytes) {
        return cg_fail(CG_ERR_DEVICE_MEMORY, "at most %llu can be had in one piece",
                       (unsigned long long)info->max_allocation_bytes);
    }
    if (info->memory_bytes > 0 && (bytes > info->memory_bytes || device->pool.allocated > info->memory_bytes - bytes)) {
        return cg_fail(CG_ERR_DEVICE_MEMORY, "%llu are taken", (unsigned long long)device->pool.allocated);
    }
    return device->backend->buffer_create(device->handle, bytes, handle);
}

static cg_status create(cg_device *device, size_t bytes, cg_buffer **out) {
    cg_buffer *buffer = cg_alloc_zero(1, sizeof *buffer);
    if (buffer == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_pool *pool = &device->pool;
    buffer->bytes = bytes;
    cg_status status = ask(device, bytes, &buffer->handle);
    if (status == CG_ERR_DEVICE_MEMORY && pool->allocated > pool->in_use) {
        cg_pool_trim(device);
        status = ask(device, bytes, &buffer->handle);
    }
    if (status != CG_OK) {
        cg_free(buffer);
        return status == CG_ERR_DEVICE_MEMORY
                   ? cg_fail_context(status,
                                     "%s: out of memory: %zu bytes asked for, %llu in use, the device has %llu: ",
                                     device->info.string, bytes, (unsigned long long)pool->in_use,
                                     (unsigned long long)device->info.memory_bytes)
                   : status;
    }
    pool->allocations++;
    pool->allocated += bytes;
    pool->peak = pool->allocated > pool->peak ? pool->allocated : pool->peak;
    *out = buffer;
    return CG_OK;
}

cg_status cg_pool_acquire(cg_device *device, size_t bytes, cg_buffer **out) {
    cg_pool_class *size_class = class_of(&device->pool, rounded(bytes));
    if (size_class == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_buffer *buffer = size_class->free;
    if (buffer != NULL) {
        size_class->free = buffer->next;
    } else {
        CG_TRY(create(device, rounded(bytes), &buffer));
    }
    device->pool.in_use += buffer->bytes;
    *out = buffer;
    return CG_OK;
}

void cg_pool_release(cg_device *device, cg_buffer *buffer) {
    cg_mirror_forget(device, buffer->handle, 0, SIZE_MAX);
    cg_pool_class *size_class = class_of(&device->pool, buffer->bytes); /* it exists since acquire */
    buffer->next = size_class->free;
    size_class->free = buffer;
    device->pool.in_use -= buffer->bytes;
}

static void destroy(cg_device *device, cg_buffer *buffer) {
    device->pool.allocated -= buffer->bytes;
    device->backend->buffer_destroy(device->handle, buffer->handle);
    cg_free(buffer);
}

static void destroy_step(cg_device *device) {
    cg_pool *pool = &device->pool;
    if (pool->step != NULL && !pool->step_busy) {
        destroy(device, pool->step);
        pool->step = NULL;
    }
}

cg_status cg_pool_acquire_step(cg_device *device, size_t bytes, cg_buffer **out) {
    cg_pool *pool = &device->pool;
    if (pool->step_busy) {
        return CG_ERR_STATE;
    }
    if (pool->step == NULL || pool->step->bytes < bytes) {
        destroy_step(device);
        CG_TRY(create(device, bytes, &pool->step));
    }
    pool->step_busy = true;
    pool->in_use += pool->step->bytes;
    *out = pool->step;
    return CG_OK;
}

void cg_pool_release_step(cg_device *device) {
    cg_pool *pool = &device->pool;
    cg_mirror_forget(device, pool->step->handle, 0, SIZE_MAX);
    pool->step_busy = false;
    pool->in_use -= pool->step->bytes;
}

void cg_pool_trim(cg_device *device) {
    cg_pool *pool = &device->pool;
    for (size_t i = 0; i < pool->n_classes; i++) {
        for (cg_buffer *buffer = pool->classes[i].free, *next; buffer != NULL; buffer = next) {
            next = buffer->next;
            destroy(device, buffer);
        }
        pool->classes[i].free = NULL;
    }
    destroy_step(device);
}

void cg_pool_destroy(cg_device *device) {
    cg_pool_trim(device);
    cg_free(device->pool.classes);
    device->pool = (cg_pool){0};
}
