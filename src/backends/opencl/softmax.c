/* log_softmax and softmax over the middle axis of [outer, dim, inner] and their gradients. */
#include "ocl.h"

/* The kernels of an op: `rows` where a row lies together (inner = 1), else `columns`, of which each item takes some. */
typedef struct kernels {
    const char *rows, *columns;
} kernels;

/* Arguments are operands, counts and, of a gradient, whether to add. */
static cg_status run(ocl_device *device, const cg_op *op, kernels names) {
    const cg_shape *shape = &op->inputs[0].shape;
    uint64_t outer = (uint64_t)shape->dim[0], dim = (uint64_t)shape->dim[1], inner = (uint64_t)shape->dim[2];
    bool rows = inner == 1;
    ocl_lanes lanes = ocl_lanes_for(device, outer, dim);
    uint64_t each = rows ? lanes.rows_each : ocl_each(device, dim);
    ocl_call call = {.file = "softmax.cl",
                     .kernel = rows ? names.rows : names.columns,
                     .defines = rows ? lanes.defines : NULL,
                     .items = {rows ? lanes.items : ocl_items(outer * inner, each)},
                     .group = rows ? lanes.group : ocl_group(device)};
    ocl_arg *arg = call.args;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        *arg++ = ocl_memory(op->inputs[i].buffer);
        *arg++ = ocl_count(op->inputs[i].offset);
    }
    *arg++ = ocl_memory(op->outputs[0].buffer);
    *arg++ = ocl_count(op->outputs[0].offset);
    *arg++ = ocl_count(outer * inner);
    *arg++ = ocl_count(dim);
    if (!rows) {
        *arg++ = ocl_count(inner);
    }
    *arg++ = ocl_count(each);
    if (op->n_inputs > 1) {
        *arg++ = ocl_flag(op->accumulate & 1);
    }
    return ocl_launch(device, &call);
}

cg_status ocl_log_softmax(ocl_device *device, const cg_op *op) {
    return run(device, op, (kernels){"log_softmax_rows", "log_softmax"});
}

cg_status ocl_log_softmax_backward(ocl_device *device, const cg_op *op) {
    return run(device, op, (kernels){"log_softmax_backward_rows", "log_softmax_backward"});
}

cg_status ocl_softmax(ocl_device *device, const cg_op *op) {
    return run(device, op, (kernels){"softmax_rows", "softmax"});
}

cg_status ocl_softmax_backward(ocl_device *device, const cg_op *op) {
    return run(device, op, (kernels){"softmax_backward_rows", "softmax_backward"});
}
