/* log_softmax over the middle axis of [outer, dim, inner] and its gradient. */
#include "ocl.h"

/* inner = 1: a row lies together; otherwise each item takes columns. */
static bool is_rows(const cg_operand *x) {
    return x->shape.dim[2] == 1;
}

cg_status ocl_log_softmax(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    uint64_t outer = (uint64_t)x->shape.dim[0], dim = (uint64_t)x->shape.dim[1], inner = (uint64_t)x->shape.dim[2];
    if (is_rows(x)) {
        ocl_lanes lanes = ocl_lanes_for(device, outer, dim);
        return ocl_launch(device, &(ocl_call){.file = "softmax.cl",
                                              .kernel = "log_softmax_rows",
                                              .defines = lanes.defines,
                                              .items = {lanes.items},
                                              .group = lanes.group,
                                              .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(outer),
                                                       ocl_count(dim), ocl_count(lanes.rows_each)}});
    }
    uint64_t each = ocl_each(device, dim);
    return ocl_launch(device, &(ocl_call){.file = "softmax.cl",
                                          .kernel = "log_softmax",
                                          .items = {ocl_items(outer * inner, each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(outer * inner),
                                                   ocl_count(dim), ocl_count(inner), ocl_count(each)}});
}

cg_status ocl_log_softmax_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *y = &op->inputs[0], *dy = &op->inputs[1], *dx = &op->outputs[0];
    uint64_t outer = (uint64_t)y->shape.dim[0], dim = (uint64_t)y->shape.dim[1], inner = (uint64_t)y->shape.dim[2];
    if (is_rows(y)) {
        ocl_lanes lanes = ocl_lanes_for(device, outer, dim);
        return ocl_launch(
            device, &(ocl_call){.file = "softmax.cl",
                                .kernel = "log_softmax_backward_rows",
                                .defines = lanes.defines,
                                .items = {lanes.items},
                                .group = lanes.group,
                                .args = {OCL_OPERAND(*y), OCL_OPERAND(*dy), OCL_OPERAND(*dx), ocl_count(outer),
                                         ocl_count(dim), ocl_count(lanes.rows_each), ocl_flag(op->accumulate & 1)}});
    }
    uint64_t each = ocl_each(device, dim);
    return ocl_launch(
        device, &(ocl_call){.file = "softmax.cl",
                            .kernel = "log_softmax_backward",
                            .items = {ocl_items(outer * inner, each)},
                            .group = ocl_group(device),
                            .args = {OCL_OPERAND(*y), OCL_OPERAND(*dy), OCL_OPERAND(*dx), ocl_count(outer * inner),
                                     ocl_count(dim), ocl_count(inner), ocl_count(each), ocl_flag(op->accumulate & 1)}});
}
