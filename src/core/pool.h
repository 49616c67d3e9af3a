/*
 * Buffers of one device, reused by life time. A released buffer waits in the list of its size class; sizes are rounded
 * so that a step that repeats finds exactly the buffers it released: after the first step of each shape nothing is
 * allocated.
 */
#ifndef CLGRAD_POOL_H
#define CLGRAD_POOL_H

#include <stdbool.h>

#include <clgrad/backend.h>

typedef struct cg_buffer {
    void *handle;           /* the backend's */
    size_t bytes;           /* rounded */
    struct cg_buffer *next; /* in a free list */
} cg_buffer;

typedef struct cg_pool_class {
    size_t bytes;
    cg_buffer *free;
} cg_pool_class;

typedef struct cg_pool {
    cg_pool_class *classes;
    size_t n_classes, capacity;
    cg_buffer *step; /* what a step that runs shares out (plan.h); NULL: there was none yet */
    bool step_busy;
    uint64_t allocations, in_use, allocated, peak;
} cg_pool;

struct cg_device;

/* A buffer of at least `bytes` (> 0), contents undefined. When the device is full, buffers that wait are given back and
 * it is tried once more. */
cg_status cg_pool_acquire(struct cg_device *device, size_t bytes, cg_buffer **buffer) CG_MUST_USE;
void cg_pool_release(struct cg_device *device, cg_buffer *buffer);

/* The one buffer for the steps of all tapes, of at least `bytes`, which only grows. A step at a time: CG_ERR_STATE when
 * it is taken. */
cg_status cg_pool_acquire_step(struct cg_device *device, size_t bytes, cg_buffer **buffer) CG_MUST_USE;
void cg_pool_release_step(struct cg_device *device);

/* Gives all waiting buffers back to the device. */
void cg_pool_trim(struct cg_device *device);
void cg_pool_destroy(struct cg_device *device);

#endif
