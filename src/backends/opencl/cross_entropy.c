/* Cross-entropy, its gradient, and the weights of classes. A class out of range sets the device's error words, which
 * the next read or wait reports. */
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

static ocl_arg ignored_class(const cg_op *op) {
    const cg_class_attrs *attrs = op->attrs;
    return ocl_struct(&attrs->ignored, sizeof attrs->ignored);
}

cg_status ocl_cross_entropy(ocl_device *device, const cg_op *op) {
    const cg_operand *logits = &op->inputs[0], *target = &op->inputs[1];
    uint64_t rows = (uint64_t)logits->shape.dim[0], classes = (uint64_t)logits->shape.dim[1];
    ocl_lanes lanes = ocl_lanes_for(device, rows, classes);
    bool has_factor;
    cg_operand factor = ocl_present(op, 2, &has_factor);
    add_target_type(&lanes, target);
    device->may_have_errors = true;
    return ocl_launch(device, &(ocl_call){.file = "cross_entropy.cl",
                                          .kernel = "cross_entropy",
                                          .defines = lanes.defines,
                                          .items = {lanes.items},
                                          .group = lanes.group,
                                          .args = {OCL_OPERAND(*logits), OCL_OPERAND(*target), OCL_OPERAND(factor),
                                                   OCL_OPERAND(op->outputs[0]), OCL_OPERAND(op->outputs[1]),
                                                   ocl_count(rows), ocl_count(classes), ocl_count(lanes.rows_each),
                                                   ignored_class(op), ocl_flag(has_factor), ocl_memory(device->errors),
                                                   ocl_flag((int)op->kind->number)}});
}

cg_status ocl_cross_entropy_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *logits = &op->inputs[0], *target = &op->inputs[1];
    uint64_t rows = (uint64_t)logits->shape.dim[0], classes = (uint64_t)logits->shape.dim[1];
    ocl_lanes lanes = ocl_lanes_for(device, rows, classes);
    bool has_factor;
    cg_operand factor = ocl_present(op, 4, &has_factor);
    add_target_type(&lanes, target);
    device->may_have_errors = true;
    return ocl_launch(device,
                      &(ocl_call){.file = "cross_entropy.cl",
                                  .kernel = "cross_entropy_backward",
                                  .defines = lanes.defines,
                                  .items = {lanes.items},
                                  .group = lanes.group,
                                  .args = {OCL_OPERAND(*logits), OCL_OPERAND(*target), OCL_OPERAND(op->inputs[2]),
                                           OCL_OPERAND(op->inputs[3]), OCL_OPERAND(factor), OCL_OPERAND(op->outputs[0]),
                                           ocl_count(rows), ocl_count(classes), ocl_count(lanes.rows_each),
                                           ignored_class(op), ocl_flag(has_factor), ocl_flag(op->accumulate & 1),
                                           ocl_memory(device->errors), ocl_flag((int)op->kind->number)}});
}

/* A mean needs the sum first: one worker does all of it, as if it were one row. */
cg_status ocl_class_weights(ocl_device *device, const cg_op *op) {
    const cg_class_attrs *attrs = op->attrs;
    const cg_operand *target = &op->inputs[0], *classes = &op->outputs[1];
    uint64_t n = ocl_numel(target), run = attrs->mean ? n : ocl_each(device, 1);
    ocl_lanes lanes = ocl_lanes_for(device, 1, attrs->mean ? n : 1);
    bool has_weight, has_classes = classes->buffer != NULL;
    cg_operand weight = ocl_present(op, 1, &has_weight);
    add_target_type(&lanes, target);
    device->may_have_errors = true;
    return ocl_launch(device,
                      &(ocl_call){.file = "cross_entropy.cl",
                                  .kernel = "class_weights",
                                  .defines = lanes.defines,
                                  .items = {attrs->mean ? lanes.items : ocl_items(n, run)},
                                  .group = lanes.group,
                                  .args = {OCL_OPERAND(*target), OCL_OPERAND(weight), OCL_OPERAND(op->outputs[0]),
                                           OCL_OPERAND(*(has_classes ? classes : target)), ocl_count(n), ocl_count(run),
                                           ocl_count((uint64_t)attrs->classes), ignored_class(op), ocl_flag(has_weight),
                                           ocl_flag(has_classes), ocl_flag(attrs->mean != 0),
                                           ocl_memory(device->errors), ocl_flag((int)op->kind->number)}});
}
