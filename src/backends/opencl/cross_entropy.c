/* Cross-entropy and its gradient. A class out of range sets the device's error words, which the next read or wait
 * reports. */
#include "ocl.h"

#include <stdio.h>

static void add_target_type(ocl_lanes *lanes, const cg_operand *target) {
    size_t used = 0;
    while (lanes->defines[used] != '\0') {
        used++;
    }
    snprintf(lanes->defines + used, sizeof lanes->defines - used, " -DCG_TARGET=%s",
             target->dtype == CG_I32 ? "int" : "long");
}

cg_status ocl_cross_entropy(ocl_device *device, const cg_op *op) {
    const cg_operand *logits = &op->inputs[0], *target = &op->inputs[1];
    uint64_t rows = (uint64_t)logits->shape.dim[0], classes = (uint64_t)logits->shape.dim[1];
    ocl_lanes lanes = ocl_lanes_for(device, rows, classes);
    add_target_type(&lanes, target);
    device->may_have_errors = true;
    return ocl_launch(device, &(ocl_call){.file = "cross_entropy.cl",
                                          .kernel = "cross_entropy",
                                          .defines = lanes.defines,
                                          .items = {lanes.items},
                                          .group = lanes.group,
                                          .args = {OCL_OPERAND(*logits), OCL_OPERAND(*target),
                                                   OCL_OPERAND(op->outputs[0]), OCL_OPERAND(op->outputs[1]),
                                                   ocl_count(rows), ocl_count(classes), ocl_count(lanes.rows_each),
                                                   ocl_memory(device->errors), ocl_flag((int)op->kind->number)}});
}

cg_status ocl_cross_entropy_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *logits = &op->inputs[0], *target = &op->inputs[1];
    uint64_t rows = (uint64_t)logits->shape.dim[0], classes = (uint64_t)logits->shape.dim[1];
    ocl_lanes lanes = ocl_lanes_for(device, rows, classes);
    add_target_type(&lanes, target);
    device->may_have_errors = true;
    return ocl_launch(device,
                      &(ocl_call){.file = "cross_entropy.cl",
                                  .kernel = "cross_entropy_backward",
                                  .defines = lanes.defines,
                                  .items = {lanes.items},
                                  .group = lanes.group,
                                  .args = {OCL_OPERAND(*logits), OCL_OPERAND(*target), OCL_OPERAND(op->inputs[2]),
                                           OCL_OPERAND(op->inputs[3]), OCL_OPERAND(op->outputs[0]), ocl_count(rows),
                                           ocl_count(classes), ocl_count(lanes.rows_each), ocl_flag(op->accumulate & 1),
                                           ocl_memory(device->errors), ocl_flag((int)op->kind->number)}});
}
