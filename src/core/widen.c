#include "widen.h"

#include "dispatch.h"
#include "half.h"
#include "op_text.h"
#include "record.h"

/* The copies of one op. */
typedef struct copies {
    cg_device *device;
    cg_buffer *buffers[CG_MAX_INPUTS + CG_MAX_OUTPUTS];
    uint32_t count;
} copies;

static uint32_t count_halves(const cg_operand *operands, uint32_t count) {
    uint32_t halves = 0;
    for (uint32_t i = 0; i < count; i++) {
        halves += operands[i].buffer != NULL && cg_is_half(operands[i].dtype);
    }
    return halves;
}

bool cg_op_wants_widening(const cg_op *op) {
    uint32_t halves = count_halves(op->inputs, op->n_inputs) + count_halves(op->outputs, op->n_outputs);
    if (halves == 0) {
        return false;
    }
    cg_dtype from = op->inputs[0].dtype, to = op->outputs[0].dtype;
    switch (op->kind->number) {
    case CG_OP_CAST:
        return from != CG_F32 && to != CG_F32;
    case CG_OP_COPY:
        return from != to || op->accumulate != 0;
    default:
        return true;
    }
}

static cg_operand flat(const cg_operand *operand) {
    cg_operand all = *operand;
    all.shape = CG_SHAPE((int64_t)operand->extent);
    return all;
}

cg_status cg_dispatch_cast(cg_device *device, const cg_operand *from, const cg_operand *to) {
    const cg_no_attrs attrs = {.size = sizeof attrs};
    cg_op op = {.kind = cg_kind(CG_OP_CAST), .attrs = &attrs, .n_inputs = 1, .n_outputs = 1};
    op.inputs[0] = flat(from);
    op.outputs[0] = flat(to);
    return from->extent > 0 ? cg_dispatch_run(device, &op) : CG_OK;
}

/* Puts a copy in f32 in the operand's place. */
static cg_status widen(copies *made, cg_operand *operand, bool read) {
    if (operand->buffer == NULL || !cg_is_half(operand->dtype)) {
        return CG_OK;
    }
    cg_operand wide = *operand;
    size_t bytes = operand->extent * sizeof(float);
    CG_TRY(cg_pool_acquire(made->device, bytes > 0 ? bytes : 1, &made->buffers[made->count]));
    wide.buffer = made->buffers[made->count++]->handle;
    wide.offset = 0;
    wide.dtype = CG_F32;
    CG_TRY(read ? cg_dispatch_cast(made->device, operand, &wide) : CG_OK);
    *operand = wide;
    return CG_OK;
}

static cg_status run_on_copies(copies *made, const cg_op *op) {
    cg_op wide = *op;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        CG_TRY(widen(made, &wide.inputs[i], true));
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        CG_TRY(widen(made, &wide.outputs[i], cg_op_reads_output(op, i)));
    }
    CG_TRY(cg_dispatch_run(made->device, &wide));
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        bool half = op->outputs[i].buffer != NULL && cg_is_half(op->outputs[i].dtype);
        CG_TRY(half ? cg_dispatch_cast(made->device, &wide.outputs[i], &op->outputs[i]) : CG_OK);
    }
    return CG_OK;
}

cg_status cg_dispatch_widened(cg_device *device, const cg_op *op) {
    copies made = {.device = device};
    cg_status status = run_on_copies(&made, op);
    for (uint32_t i = 0; i < made.count; i++) {
        cg_pool_release(device, made.buffers[i]);
    }
    return status;
}
