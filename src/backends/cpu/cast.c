/* cast between f32 and 16 bits by all threads; the reference's loop does the others. */
#include "cpu.h"
#include "half.h"
#include "host_memory.h"

#define GRAIN 65536

typedef struct cast_job {
    const void *from;
    void *to;
} cast_job;

CPU_CLONES static void widen_f16(void *context, int64_t begin, int64_t end) {
    const cast_job *work = context;
    const uint16_t *restrict from = work->from;
    float *restrict to = work->to;
    for (int64_t i = begin; i < end; i++) {
        to[i] = cg_f16_to_f32(from[i]);
    }
}

CPU_CLONES static void widen_bf16(void *context, int64_t begin, int64_t end) {
    const cast_job *work = context;
    const uint16_t *restrict from = work->from;
    float *restrict to = work->to;
    for (int64_t i = begin; i < end; i++) {
        to[i] = cg_bf16_to_f32(from[i]);
    }
}

CPU_CLONES static void round_to_f16(void *context, int64_t begin, int64_t end) {
    const cast_job *work = context;
    const float *restrict from = work->from;
    uint16_t *restrict to = work->to;
    for (int64_t i = begin; i < end; i++) {
        to[i] = cg_f32_to_f16(from[i]);
    }
}

CPU_CLONES static void round_to_bf16(void *context, int64_t begin, int64_t end) {
    const cast_job *work = context;
    const float *restrict from = work->from;
    uint16_t *restrict to = work->to;
    for (int64_t i = begin; i < end; i++) {
        to[i] = cg_f32_to_bf16(from[i]);
    }
}

static const char *start_of(const cg_operand *operand) {
    return (const char *)operand->buffer + operand->offset * cg_dtype_size(operand->dtype);
}

cg_status cpu_cast(cpu_device *device, const cg_op *op) {
    cg_dtype from = op->inputs[0].dtype, to = op->outputs[0].dtype;
    int64_t n = cg_shape_numel(&op->outputs[0].shape);
    cast_job work = {.from = start_of(&op->inputs[0]), .to = (void *)start_of(&op->outputs[0])};
    if (to == CG_F32 && cg_is_half(from)) {
        cpu_parallel(device, n, GRAIN, from == CG_F16 ? widen_f16 : widen_bf16, &work);
    } else if (from == CG_F32 && cg_is_half(to)) {
        cpu_parallel(device, n, GRAIN, to == CG_F16 ? round_to_f16 : round_to_bf16, &work);
    } else {
        return ref_run(op);
    }
    return CG_OK;
}
