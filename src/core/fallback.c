/* An op that its device cannot run: operands go to the CPU, the op runs there, outputs come back. Counted, with the
 * reason. */
#include <string.h>

#include "alloc.h"
#include "dispatch.h"
#include "registry.h"

#define MAX_OPERANDS (CG_MAX_INPUTS + CG_MAX_OUTPUTS)

/* One piece of device memory and its copy on the host. Operands that are the same piece (updates in place) share it. */
typedef struct staged {
    void *buffer;
    size_t offset, bytes; /* on the device, in bytes */
    cg_buffer *host;
} staged;

typedef struct staging {
    cg_device *device;
    staged pieces[MAX_OPERANDS];
    size_t count;
    uint64_t moved;
} staging;

static cg_status stage(staging *all, cg_operand *operand, bool read) {
    size_t size = cg_dtype_size(operand->dtype);
    staged piece = {operand->buffer, operand->offset * size, operand->extent * size, NULL};
    size_t i = 0;
    while (i < all->count && (all->pieces[i].buffer != piece.buffer || all->pieces[i].offset != piece.offset ||
                              all->pieces[i].bytes != piece.bytes)) {
        i++;
    }
    cg_device *device = all->device;
    if (i == all->count) {
        CG_TRY(cg_pool_acquire(device->cpu, piece.bytes, &piece.host));
        all->pieces[all->count++] = piece;
        if (read) {
            CG_TRY(device->backend->read(device->handle, piece.buffer, piece.offset, piece.host->handle, piece.bytes));
            all->moved += piece.bytes;
        }
    }
    operand->buffer = all->pieces[i].host->handle; /* a buffer of the CPU is a pointer */
    operand->offset = 0;
    return CG_OK;
}

static bool output_is_read(const cg_op *op, uint32_t i) {
    bool partly = op->outputs[i].extent > (size_t)cg_shape_numel(&op->outputs[i].shape);
    return partly || (op->accumulate >> i & 1u) || (op->kind->flags & CG_KIND_UPDATES);
}

static cg_status stage_all(staging *all, cg_op *op) {
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i].buffer != NULL) {
            CG_TRY(stage(all, &op->inputs[i], true));
        }
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        if (op->outputs[i].buffer != NULL) {
            CG_TRY(stage(all, &op->outputs[i], output_is_read(op, i)));
        }
    }
    return CG_OK;
}

static cg_status write_back(staging *all, const cg_op *original, const cg_op *moved) {
    cg_device *device = all->device;
    for (uint32_t i = 0; i < original->n_outputs; i++) {
        const cg_operand *to = &original->outputs[i];
        if (to->buffer != NULL) {
            size_t size = cg_dtype_size(to->dtype);
            CG_TRY(device->backend->write(device->handle, to->buffer, to->offset * size, moved->outputs[i].buffer,
                                          to->extent * size));
            all->moved += to->extent * size;
        }
    }
    return CG_OK;
}

static cg_status count_fallback(cg_device *device, const char *op, const char *reason, uint64_t bytes) {
    device->fallback_ops++;
    for (size_t i = 0; i < device->n_fallbacks; i++) {
        cg_fallback_info *row = &device->fallbacks[i];
        if (strcmp(row->op, op) == 0 && strcmp(row->reason, reason) == 0) {
            row->count++;
            row->bytes += bytes;
            return CG_OK;
        }
    }
    if (!CG_GROW(device->fallbacks, device->n_fallbacks, device->fallbacks_capacity)) {
        return CG_ERR_MEMORY;
    }
    device->fallbacks[device->n_fallbacks++] = (cg_fallback_info){op, reason, 1, bytes};
    return CG_OK;
}

static cg_status open_cpu(cg_device *device) {
    if (device->cpu != NULL) {
        return CG_OK;
    }
    const cg_backend *cpu = cg_backend_find("cpu");
    if (cpu == NULL || cpu == device->backend) {
        return cg_fail(CG_ERR_UNSUPPORTED, "%s: there is no CPU backend to fall back to", device->info.string);
    }
    return cg_device_open_index(cpu, 0, NULL, 0, &device->cpu);
}

cg_status cg_dispatch_fallback(cg_device *device, const cg_op *op, const char *reason) {
    if (device->fallback == CG_FALLBACK_ERROR) {
        return cg_fail(CG_ERR_FALLBACK, "%s cannot run %s: %s; falling back to the CPU is not allowed",
                       device->info.string, op->kind->name, reason);
    }
    CG_TRY(open_cpu(device));
    staging all = {.device = device};
    cg_op moved = *op;
    cg_status status = stage_all(&all, &moved);
    if (status == CG_OK) {
        status = device->cpu->backend->run(device->cpu->handle, &moved);
    }
    if (status == CG_OK) {
        status = write_back(&all, op, &moved);
    }
    for (size_t i = 0; i < all.count; i++) {
        cg_pool_release(device->cpu, all.pieces[i].host);
    }
    CG_TRY(status);
    return count_fallback(device, op->kind->name, reason, all.moved);
}
