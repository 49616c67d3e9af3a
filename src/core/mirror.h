/*
 * Copies on the CPU of pieces of a device's memory, for ops that fall back. A piece stays as long as it is true, so
 * that ops that fall back one after another move nothing between them: what they wrote goes to the device when it is
 * needed there, or never.
 */
#ifndef CLGRAD_MIRROR_H
#define CLGRAD_MIRROR_H

#include "pool.h"

struct cg_device;

typedef struct cg_mirrored {
    void *buffer; /* the device's */
    size_t offset, bytes;
    cg_buffer *host;
    bool newer;   /* than the device's memory */
    uint64_t use; /* the op that used it last */
    size_t blame; /* the row of device->fallbacks that its transfers count for */
} cg_mirrored;

typedef struct cg_mirror {
    cg_mirrored *pieces;
    size_t count, capacity;
    uint64_t op; /* number of the op that falls back now: its pieces stay */
} cg_mirror;

/* The device is about to read these bytes of the buffer: what is newer on the CPU is written there. */
cg_status cg_mirror_sync(struct cg_device *device, void *buffer, size_t offset, size_t bytes) CG_MUST_USE;

/* These bytes of the buffer are about to be written on the device: what is known of them is true no longer. */
cg_status cg_mirror_overwrite(struct cg_device *device, void *buffer, size_t offset, size_t bytes) CG_MUST_USE;

/* These bytes of the buffer matter no more. */
void cg_mirror_forget(struct cg_device *device, void *buffer, size_t offset, size_t bytes);

/* The piece's memory on the CPU, `read` from the device unless it is there already. Counts bytes for the row `blame`.
 */
cg_status cg_mirror_get(struct cg_device *device, const cg_operand *operand, bool read, size_t blame, void **memory);

/* What cg_mirror_get gave was written to, and other views of that memory are true no longer. */
cg_status cg_mirror_written(struct cg_device *device, const cg_operand *operand) CG_MUST_USE;

/* What cg_mirror_get gave was to be written to, and was not. */
void cg_mirror_abandon(struct cg_device *device, const cg_operand *operand);

void cg_mirror_destroy(struct cg_device *device);

#endif
