/* copy and fill by all threads: any dtype for a plain copy, floats for the rest. */
#include "cpu.h"
#include "host_memory.h"

#include <string.h>

#define GRAIN_BYTES 262144
#define GRAIN 65536

typedef struct copy_job {
    const char *from;
    char *to;
    float value;
} copy_job;

static void copy_bytes(void *context, int64_t begin, int64_t end) {
    const copy_job *work = context;
    memmove(work->to + begin, work->from + begin, (size_t)(end - begin));
}

CPU_CLONES static void add_floats(void *context, int64_t begin, int64_t end) {
    const copy_job *work = context;
    const float *from = (const float *)(const void *)work->from;
    float *to = (float *)(void *)work->to;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        to[i] += from[i];
    }
}

static void fill_floats(void *context, int64_t begin, int64_t end) {
    const copy_job *work = context;
    float *to = (float *)(void *)work->to, value = work->value;
    for (int64_t i = begin; i < end; i++) {
        to[i] = value;
    }
}

cg_status cpu_copy(cpu_device *device, const cg_op *op) {
    const cg_operand *source = &op->inputs[0], *destination = &op->outputs[0];
    size_t size = cg_dtype_size(destination->dtype);
    copy_job work = {.from = (const char *)source->buffer + source->offset * size,
                     .to = (char *)destination->buffer + destination->offset * size};
    int64_t n = cg_shape_numel(&destination->shape);
    if (!cpu_adds(op)) {
        cpu_parallel(device, n * (int64_t)size, GRAIN_BYTES, copy_bytes, &work);
        return CG_OK;
    }
    if (destination->dtype != CG_F32) {
        return ref_run(op);
    }
    cpu_parallel(device, n, GRAIN, add_floats, &work);
    return CG_OK;
}

cg_status cpu_fill(cpu_device *device, const cg_op *op) {
    if (op->outputs[0].dtype != CG_F32) {
        return ref_run(op);
    }
    copy_job work = {.to = (char *)cpu_floats(&op->outputs[0]),
                     .value = (float)((const cg_fill_attrs *)op->attrs)->value};
    cpu_parallel(device, cg_shape_numel(&op->outputs[0].shape), GRAIN, fill_floats, &work);
    return CG_OK;
}
