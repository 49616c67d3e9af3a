/* Ops that the program registered, by their own kernels: see include/clgrad/custom.h for the arguments. */
#include "ocl.h"

#define GROUP 64

bool ocl_custom_supports(const cg_op *op, const char **reason) {
    if (op->n_inputs < op->kind->max_inputs) {
        *reason = "an input is absent: its kernel takes all";
        return false;
    }
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i].buffer == NULL) {
            *reason = "an input is absent: its kernel takes all";
            return false;
        }
    }
    return true;
}

cg_status ocl_custom(ocl_device *device, const cg_op *op) {
    ocl_call call = {.file = op->kind->name,
                     .source = op->kind->opencl_source,
                     .kernel = op->kind->name,
                     .items = {(size_t)ocl_numel(&op->outputs[0])},
                     .group = GROUP};
    ocl_arg *arg = call.args;
    for (uint32_t i = 0; i < op->n_inputs + op->n_outputs; i++) {
        const cg_operand *operand = i < op->n_inputs ? &op->inputs[i] : &op->outputs[i - op->n_inputs];
        *arg++ = ocl_memory(operand->buffer);
        *arg++ = ocl_count(operand->offset);
    }
    *arg++ = ocl_count(ocl_numel(&op->outputs[0]));
    *arg++ = ocl_flag((int)op->accumulate);
    if (op->kind->attrs_size > sizeof(cg_no_attrs)) {
        *arg = ocl_struct(op->attrs, op->kind->attrs_size);
    }
    return ocl_launch(device, &call);
}
