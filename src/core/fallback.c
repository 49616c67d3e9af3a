/* An op that its device cannot run: operands go to the CPU, the op runs there; outputs go back when the device needs
 * them. Counted, with the reason. */
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "decorator.h"
#include "dispatch.h"
#include "op_text.h"
#include "registry.h"

static double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The row that counts this kind and reason. */
static cg_status row_of(cg_device *device, const char *op, const char *reason, size_t *row) {
    for (*row = 0; *row < device->n_fallbacks; (*row)++) {
        const cg_fallback_info *known = &device->fallbacks[*row];
        if (strcmp(known->op, op) == 0 && strcmp(known->reason, reason) == 0) {
            return CG_OK;
        }
    }
    if (!CG_GROW(device->fallbacks, device->n_fallbacks, device->fallbacks_capacity)) {
        return CG_ERR_MEMORY;
    }
    device->fallbacks[device->n_fallbacks++] = (cg_fallback_info){op, reason, 0, 0};
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

/* Puts the operand's copy on the CPU in its place. */
static cg_status move_operand(cg_device *device, cg_operand *operand, bool read, size_t row) {
    if (operand->buffer == NULL) {
        return CG_OK;
    }
    void *memory;
    CG_TRY(cg_mirror_get(device, operand, read, row, &memory));
    operand->buffer = memory;
    operand->offset = 0;
    return CG_OK;
}

static cg_status move_all(cg_device *device, cg_op *op, size_t row) {
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        CG_TRY(move_operand(device, &op->inputs[i], true, row));
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        CG_TRY(move_operand(device, &op->outputs[i], cg_op_reads_output(op, i), row));
    }
    return CG_OK;
}

static cg_status run_on_cpu(cg_device *device, const cg_op *op, size_t row) {
    cg_op moved = *op;
    CG_TRY(move_all(device, &moved, row));
    double start = seconds_now();
    CG_TRY(device->cpu->backend->run(device->cpu->handle, &moved));
    double seconds = seconds_now() - start;
    for (size_t i = 0; i < device->n_decorators; i++) {
        if (device->decorators[i]->fell_back != NULL) {
            device->decorators[i]->fell_back(device->layers[i], op, seconds);
        }
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        CG_TRY(op->outputs[i].buffer != NULL ? cg_mirror_written(device, &op->outputs[i]) : CG_OK);
    }
    return CG_OK;
}

cg_status cg_dispatch_fallback(cg_device *device, const cg_op *op, const char *reason) {
    if (device->fallback == CG_FALLBACK_ERROR) {
        return cg_fail(CG_ERR_FALLBACK, "%s cannot run %s: %s; falling back to the CPU is not allowed",
                       device->info.string, op->kind->name, reason);
    }
    size_t row;
    CG_TRY(open_cpu(device));
    CG_TRY(row_of(device, op->kind->name, reason, &row));
    device->mirror.op++;
    cg_status status = run_on_cpu(device, op, row);
    for (uint32_t i = 0; i < op->n_outputs && status != CG_OK; i++) {
        cg_mirror_abandon(device, &op->outputs[i]);
    }
    CG_TRY(status);
    device->fallbacks[row].count++;
    device->last_fallback = row;
    device->fallback_ops++;
    return CG_OK;
}
