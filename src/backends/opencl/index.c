/* Rows and elements chosen by indices, their gradients, and one_hot: each item does a run of the output's elements. */
#include "ocl.h"

static const char *target_of(const cg_operand *index) {
    return index->dtype == CG_I32 ? "-DCG_TARGET=int" : "-DCG_TARGET=long";
}

/* The call that all share: a kernel of index.cl over the elements of the output, its operands in front. */
static ocl_call call_of(ocl_device *device, const cg_op *op, const char *kernel, const cg_operand *index) {
    const cg_operand *y = &op->outputs[0];
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(y));
    if (!ocl_nests_loops(device)) {
        part.run = device->width;
        part.pieces = ocl_ceil(part.length, part.run);
    }
    ocl_call call = {.file = "index.cl",
                     .kernel = kernel,
                     .defines = target_of(index),
                     .items = {ocl_share_items(&part)},
                     .group = ocl_group(device)};
    ocl_arg *arg = call.args;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        *arg++ = ocl_memory(op->inputs[i].buffer);
        *arg++ = ocl_count(op->inputs[i].offset);
    }
    const ocl_arg rest[] = {OCL_OPERAND(*y), ocl_count(part.length), ocl_count(part.run)};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        *arg++ = rest[i];
    }
    return call;
}

/* Arguments behind those of two operands and the output. */
#define SHARED_ARGS 8

static void add_args(ocl_call *call, size_t at, const ocl_arg *args, size_t count) {
    for (size_t i = 0; i < count; i++) {
        call->args[at + i] = args[i];
    }
}

#define ADD_ARGS(call, at, ...)                                                                                        \
    add_args(call, at, (const ocl_arg[]){__VA_ARGS__}, sizeof((const ocl_arg[]){__VA_ARGS__}) / sizeof(ocl_arg))

/* Rows of x, places of the index, and what lies inside. */
#define SIZES(large, small)                                                                                            \
    ocl_count((uint64_t)(large)->shape.dim[1]), ocl_count((uint64_t)(small)->shape.dim[1]),                            \
        ocl_count((uint64_t)(large)->shape.dim[2])

/* Where an index out of range is reported, and by which op. */
#define ERRORS(device, op) ocl_memory((device)->errors), ocl_flag((int)(op)->kind->number)

cg_status ocl_index_select(ocl_device *device, const cg_op *op) {
    ocl_call call = call_of(device, op, "index_select", &op->inputs[1]);
    ADD_ARGS(&call, SHARED_ARGS, SIZES(&op->inputs[0], &op->outputs[0]), ERRORS(device, op));
    device->may_have_errors = true;
    return ocl_launch(device, &call);
}

cg_status ocl_index_add(ocl_device *device, const cg_op *op) {
    cl_long ignored = ((const cg_index_attrs *)op->attrs)->ignored;
    ocl_call call = call_of(device, op, "index_add", &op->inputs[1]);
    ADD_ARGS(&call, SHARED_ARGS, SIZES(&op->outputs[0], &op->inputs[0]), ocl_struct(&ignored, sizeof ignored),
             ocl_flag(op->accumulate & 1));
    return ocl_launch(device, &call);
}

cg_status ocl_gather(ocl_device *device, const cg_op *op) {
    ocl_call call = call_of(device, op, "gather", &op->inputs[1]);
    ADD_ARGS(&call, SHARED_ARGS, SIZES(&op->inputs[0], &op->outputs[0]), ERRORS(device, op));
    device->may_have_errors = true;
    return ocl_launch(device, &call);
}

cg_status ocl_scatter_add(ocl_device *device, const cg_op *op) {
    ocl_call call = call_of(device, op, "scatter_add", &op->inputs[1]);
    ADD_ARGS(&call, SHARED_ARGS, SIZES(&op->outputs[0], &op->inputs[0]), ocl_flag(op->accumulate & 1),
             ERRORS(device, op));
    device->may_have_errors = true;
    return ocl_launch(device, &call);
}

cg_status ocl_one_hot(ocl_device *device, const cg_op *op) {
    ocl_call call = call_of(device, op, "one_hot", &op->inputs[0]);
    ADD_ARGS(&call, SHARED_ARGS - 2, ocl_count((uint64_t)op->outputs[0].shape.dim[1]), ERRORS(device, op));
    device->may_have_errors = true;
    return ocl_launch(device, &call);
}
