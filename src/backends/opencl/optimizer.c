/* Optimizer steps: the rows of updates.def, one program for each row and each choice of states. */
#include "ocl.h"

#include <stdio.h>

cg_status ocl_update(ocl_device *device, const cg_op *op) {
    const cg_operand *param = &op->outputs[0], *states[CG_UPDATE_MAX_STATES];
    unsigned has = 0;
    for (uint32_t k = 0; k < CG_UPDATE_MAX_STATES; k++) {
        bool present = k + 1 < op->n_outputs && op->outputs[k + 1].buffer != NULL;
        states[k] = present ? &op->outputs[k + 1] : param; /* something must stand there */
        has |= (unsigned)present << k;
    }
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
