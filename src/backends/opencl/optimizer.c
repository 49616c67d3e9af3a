/* Optimizer steps. */
#include "ocl.h"

cg_status ocl_sgd_step(ocl_device *device, const cg_op *op) {
    const cg_sgd_attrs *attrs = op->attrs;
    const cg_operand *param = &op->outputs[0];
    bool has_momentum = op->n_outputs > 1 && op->outputs[1].buffer != NULL;
    const cg_operand *buffer = has_momentum ? &op->outputs[1] : param; /* something must stand there */
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(param));
    return ocl_launch(
        device, &(ocl_call){.file = "optimizer.cl",
                            .kernel = "sgd_step",
                            .items = {ocl_share_items(&part)},
                            .group = ocl_group(device),
                            .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]), OCL_OPERAND(*param),
                                     OCL_OPERAND(*buffer), ocl_count(part.length), ocl_count(part.run),
                                     ocl_flag(has_momentum), ocl_flag(attrs->nesterov != 0), ocl_real(attrs->momentum),
                                     ocl_real(1.0 - attrs->dampening), ocl_real(attrs->weight_decay)}});
}

cg_status ocl_adam_step(ocl_device *device, const cg_op *op) {
    const cg_adam_attrs *attrs = op->attrs;
    const cg_operand *param = &op->outputs[0];
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(param));
    return ocl_launch(
        device, &(ocl_call){.file = "optimizer.cl",
                            .kernel = "adam_step",
                            .items = {ocl_share_items(&part)},
                            .group = ocl_group(device),
                            .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]), OCL_OPERAND(*param),
                                     OCL_OPERAND(op->outputs[1]), OCL_OPERAND(op->outputs[2]), ocl_count(part.length),
                                     ocl_count(part.run), ocl_flag(attrs->decoupled != 0), ocl_real(1.0 - attrs->beta1),
                                     ocl_real(attrs->beta2), ocl_real(1.0 - attrs->beta2), ocl_real(attrs->eps),
                                     ocl_real(attrs->weight_decay)}});
}
