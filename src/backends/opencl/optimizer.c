/* Optimizer steps: the rows of updates.def, one program for each row and each choice of states. */
#include "ocl.h"

#include <stdio.h>

#define SEVERAL 4
#define BUFFERS (2 + CG_UPDATE_MAX_STATES)

/* The states, and which there are: where none is, something must stand. */
static unsigned states_of(const cg_op *op, const cg_operand *states[CG_UPDATE_MAX_STATES]) {
    unsigned has = 0;
    for (uint32_t k = 0; k < CG_UPDATE_MAX_STATES; k++) {
        bool present = k + 1 < op->n_outputs && op->outputs[k + 1].buffer != NULL;
        states[k] = present ? &op->outputs[k + 1] : &op->outputs[0];
        has |= (unsigned)present << k;
    }
    return has;
}

cg_status ocl_update(ocl_device *device, const cg_op *op) {
    const cg_operand *param = &op->outputs[0], *states[CG_UPDATE_MAX_STATES];
    unsigned has = states_of(op, states);
    const cg_operand *n0 = &op->inputs[op->n_inputs > 2 ? 2 : 0], *n1 = &op->inputs[op->n_inputs > 3 ? 3 : 0];
    char defines[96];
    snprintf(defines, sizeof defines, "-DCG_UPDATE_ROW=row_%s -DCG_HAS=%u", op->kind->name, has);
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(param));
    return ocl_launch(
        device,
        &(ocl_call){.file = "optimizer.cl",
                    .kernel = "update",
                    .defines = defines,
                    .items = {ocl_share_items(&part)},
                    .group = ocl_group(device),
                    .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]), OCL_OPERAND(*n0), OCL_OPERAND(*n1),
                             OCL_OPERAND(*param), OCL_OPERAND(*states[0]), OCL_OPERAND(*states[1]),
                             OCL_OPERAND(*states[2]), ocl_count(part.length), ocl_count(part.run)}});
}

/* As in cl/optimizer.cl. */
typedef struct places {
    cl_ulong hyper, run;
    cl_ulong begin[SEVERAL], n[SEVERAL];
    cl_ulong at[SEVERAL][BUFFERS];
} places;

/* The same numbers and states: one program, and one launch, can do both. */
static bool is_like(const cg_op *a, const cg_op *b) {
    const cg_operand *states[CG_UPDATE_MAX_STATES];
    return a->inputs[0].buffer == b->inputs[0].buffer && a->inputs[0].offset == b->inputs[0].offset &&
           states_of(a, states) == states_of(b, states);
}

/* Runs as long as the largest parameter wants them, since all items have the same. */
static uint64_t run_of(const ocl_device *device, const cg_op *ops, size_t count) {
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n = n > ocl_numel(&ops[i].outputs[0]) ? n : ocl_numel(&ops[i].outputs[0]);
    }
    return ocl_share_rows(device, 1, n).run;
}

/* The op's buffers in the launch, and where they begin: gradient, parameter, states. */
static void place(const cg_op *op, cl_ulong at[BUFFERS], ocl_arg args[BUFFERS]) {
    const cg_operand *states[CG_UPDATE_MAX_STATES];
    states_of(op, states);
    const cg_operand *operands[BUFFERS] = {&op->inputs[1], &op->outputs[0], states[0], states[1], states[2]};
    for (int k = 0; k < BUFFERS; k++) {
        at[k] = operands[k]->offset;
        args[k] = ocl_memory(operands[k]->buffer);
    }
}

/* Places without a parameter repeat the first one's buffers, and no item comes to them. */
static cg_status run_several(ocl_device *device, const cg_op *ops, size_t count) {
    const cg_operand *states[CG_UPDATE_MAX_STATES];
    char defines[96];
    snprintf(defines, sizeof defines, "-DCG_UPDATE_ROW=row_%s -DCG_HAS=%u", ops->kind->name, states_of(ops, states));
    places p = {.hyper = ops->inputs[0].offset, .run = run_of(device, ops, count)};
    ocl_call call = {.file = "optimizer.cl",
                     .kernel = "update_4",
                     .defines = defines,
                     .group = ocl_group(device),
                     .args = {ocl_struct(&p, sizeof p), ocl_memory(ops->inputs[0].buffer)}};
    for (size_t i = 0; i < SEVERAL; i++) {
        const cg_op *op = &ops[i < count ? i : 0];
        place(op, p.at[i], &call.args[2 + BUFFERS * i]);
        p.begin[i] = call.items[0];
        p.n[i] = i < count ? ocl_numel(&op->outputs[0]) : 0;
        call.items[0] += ocl_items(p.n[i], p.run);
    }
    return ocl_launch(device, &call);
}

cg_status ocl_run_steps(void *handle, const cg_op *ops, size_t n_ops) {
    ocl_device *device = handle;
    for (size_t i = 0, count; i < n_ops; i += count) {
        for (count = 1; count < SEVERAL && i + count < n_ops && is_like(&ops[i], &ops[i + count]);) {
            count++;
        }
        bool alone = count == 1 || ops[i].n_inputs > 2;
        count = alone ? 1 : count;
        CG_TRY(alone ? ocl_update(device, &ops[i]) : run_several(device, &ops[i], count));
    }
    return CG_OK;
}
