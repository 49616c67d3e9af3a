/* Runs ops: on the device where it can, on the CPU where it cannot. */
#include "dispatch.h"

#include <string.h>

#include "alloc.h"
#include "op_text.h"
#include "widen.h"

#define SUPPORT_LIMIT 8192 /* answers kept; a program of ever new shapes starts the table again */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

static uint64_t hash_bytes(uint64_t hash, const unsigned char *bytes, size_t count) {
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mix(hash, word);
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, count);
    return mix(hash, rest);
}

static uint64_t hash_operands(uint64_t hash, const cg_operand *operands, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const cg_shape *shape = &operands[i].shape;
        hash = mix(hash, (uint64_t)operands[i].dtype << 32 | (uint64_t)shape->rank << 1 | (operands[i].buffer != NULL));
        for (int j = 0; j < shape->rank; j++) {
            hash = mix(hash, (uint64_t)shape->dim[j]);
        }
    }
    return hash;
}

/* All that supports() may look at; never 0, which marks a free slot. */
static uint64_t hash_op(const cg_op *op) {
    uint64_t hash = mix(op->kind->number, op->accumulate);
    hash = hash_bytes(hash, op->attrs, op->kind->attrs_size);
    hash = hash_operands(hash, op->inputs, op->n_inputs);
    hash = hash_operands(hash, op->outputs, op->n_outputs);
    return hash != 0 ? hash : 1;
}

static cg_support *slot_of(cg_support *table, size_t size, uint64_t hash) {
    size_t i = (size_t)hash & (size - 1);
    while (table[i].hash != 0 && table[i].hash != hash) {
        i = (i + 1) & (size - 1);
    }
    return &table[i];
}

/* Keeps the table at most half full; false when memory is out: then the answer is not kept. */
static bool room_for_answer(cg_device *device) {
    if (device->support_count >= SUPPORT_LIMIT) {
        memset(device->support, 0, device->support_size * sizeof *device->support);
        device->support_count = 0;
    }
    if (device->support_count * 2 < device->support_size) {
        return true;
    }
    size_t size = device->support_size == 0 ? 64 : device->support_size * 2;
    cg_support *larger = cg_alloc_zero(size, sizeof *larger);
    if (larger == NULL) {
        return false;
    }
    for (size_t i = 0; i < device->support_size; i++) {
        if (device->support[i].hash != 0) {
            *slot_of(larger, size, device->support[i].hash) = device->support[i];
        }
    }
    cg_free(device->support);
    device->support = larger;
    device->support_size = size;
    return true;
}

bool cg_dispatch_supports(cg_device *device, const cg_op *op, const char **reason) {
    if (device->backend->supports == NULL) {
        return true;
    }
    uint64_t hash = hash_op(op);
    if (device->support_size > 0) {
        const cg_support *known = slot_of(device->support, device->support_size, hash);
        if (known->hash == hash) {
            *reason = known->reason;
            return known->supported;
        }
    }
    *reason = "no reason given";
    cg_support answer = {.hash = hash, .supported = device->backend->supports(device->handle, op, reason)};
    answer.reason = *reason;
    if (room_for_answer(device)) {
        *slot_of(device->support, device->support_size, hash) = answer;
        device->support_count++;
    }
    return answer.supported;
}

/* What ops that fell back have left on the CPU and this one needs on the device. */
static cg_status settle_mirror(cg_device *device, const cg_op *op) {
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        const cg_operand *input = &op->inputs[i];
        size_t size = cg_dtype_size(input->dtype);
        CG_TRY(cg_mirror_sync(device, input->buffer, input->offset * size, input->extent * size));
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        const cg_operand *output = &op->outputs[i];
        size_t size = cg_dtype_size(output->dtype), start = output->offset * size, bytes = output->extent * size;
        CG_TRY(cg_op_reads_output(op, i) ? cg_mirror_sync(device, output->buffer, start, bytes) : CG_OK);
        CG_TRY(cg_mirror_overwrite(device, output->buffer, start, bytes));
    }
    return CG_OK;
}

cg_status cg_dispatch_run(cg_device *device, const cg_op *op) {
    const char *reason = "";
    if (cg_op_wants_widening(op)) {
        return cg_dispatch_widened(device, op);
    }
    if (!cg_dispatch_supports(device, op, &reason)) {
        return cg_dispatch_fallback(device, op, reason);
    }
    if (device->mirror.count > 0) {
        CG_TRY(settle_mirror(device, op));
    }
    device->ops++;
    cg_status status = device->backend->run(device->handle, op);
    if (status != CG_OK && strcmp(cg_status_name(status), "CG_ERR_?") ==
                               0) { /* a driver of somebody else's: the message would be an older failure's */
        return cg_fail(CG_ERR_DEVICE, "%s: %s failed with %d, which is no status, and no message", device->info.string,
                       op->kind->name, (int)status);
    }
    return status;
}

cg_status cg_dispatch_chain(cg_device *device, const cg_chain *chain) {
    for (size_t i = 0; i < chain->n_ops && device->mirror.count > 0; i++) {
        CG_TRY(settle_mirror(device, &chain->ops[i]));
    }
    device->ops += chain->n_ops;
    return device->backend->run_chain(device->handle, chain);
}

cg_status cg_dispatch_steps(cg_device *device, const cg_op *ops, size_t n_ops) {
    for (size_t i = 0; i < n_ops && device->mirror.count > 0; i++) {
        CG_TRY(settle_mirror(device, &ops[i]));
    }
    device->ops += n_ops;
    return device->backend->run_steps(device->handle, ops, n_ops);
}

cg_status cg_dispatch_write(cg_device *device, cg_buffer *buffer, size_t offset, const void *source, size_t bytes) {
    CG_TRY(cg_mirror_overwrite(device, buffer->handle, offset, bytes));
    return device->backend->write(device->handle, buffer->handle, offset, source, bytes);
}

cg_status cg_dispatch_read(cg_device *device, cg_buffer *buffer, size_t offset, void *destination, size_t bytes) {
    CG_TRY(cg_mirror_sync(device, buffer->handle, offset, bytes));
    return device->backend->read(device->handle, buffer->handle, offset, destination, bytes);
}
