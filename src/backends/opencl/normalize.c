/* Normalization, its gradients, and the running statistics of batch norm. */
#include "ocl.h"

/* As in cl/normalize.cl. */
typedef struct groups {
    cl_ulong count, each;
    cl_ulong blocks, length, stride, apart;
    cl_ulong weight_groups, weights, step;
    cl_ulong along, lanes_along_run;
} groups;

/* A channel over all outer places. */
static groups channels_of(const int64_t *dim) {
    return (groups){.count = (cl_ulong)dim[1],
                    .blocks = (cl_ulong)dim[0],
                    .length = (cl_ulong)dim[2],
                    .stride = (cl_ulong)(dim[1] * dim[2]),
                    .apart = (cl_ulong)dim[2],
                    .weight_groups = (cl_ulong)dim[1],
                    .weights = 1};
}

/* Some channels of one outer place; where a channel is one element they are one run. */
static groups rows_of(const int64_t *dim, int64_t parts) {
    cl_ulong each = (cl_ulong)(dim[1] / parts), inner = (cl_ulong)dim[2];
    bool along = inner == 1;
    return (groups){.count = (cl_ulong)(dim[0] * parts),
                    .blocks = along ? 1 : each,
                    .length = along ? each : inner,
                    .stride = inner,
                    .apart = each * inner,
                    .weight_groups = (cl_ulong)parts,
                    .weights = each,
                    .step = 1,
                    .along = along};
}

/* How the groups meet workers; lanes go where there is more to share. */
static ocl_lanes share_groups(const ocl_device *device, groups *all) {
    ocl_lanes lanes = ocl_lanes_for(device, all->count, all->blocks * all->length);
    all->each = lanes.rows_each;
    all->lanes_along_run = all->length >= all->blocks;
    return lanes;
}

static groups groups_of(const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    return attrs->groups > 0 ? rows_of(dim, attrs->groups) : channels_of(dim);
}

cg_status ocl_normalize(ocl_device *device, const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    groups all = groups_of(op);
    ocl_lanes lanes = share_groups(device, &all);
    bool has_weight, has_bias;
    cg_operand weight = ocl_present(op, 1, &has_weight), bias = ocl_present(op, 2, &has_bias);
    return ocl_launch(
        device,
        &(ocl_call){.file = "normalize.cl",
                    .kernel = "normalize_groups", /* normalize is a function of OpenCL */
                    .defines = lanes.defines,
                    .items = {lanes.items},
                    .group = lanes.group,
                    .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(weight), OCL_OPERAND(bias),
                             OCL_OPERAND(op->outputs[0]), OCL_OPERAND(op->outputs[1]), ocl_struct(&all, sizeof all),
                             ocl_flag(has_weight), ocl_flag(has_bias), ocl_flag((int)attrs->centered),
                             ocl_flag(op->kind->number == CG_OP_NORMALIZE_RELU), ocl_real(attrs->eps)}});
}

cg_status ocl_normalize_backward(ocl_device *device, const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    groups all = groups_of(op);
    ocl_lanes lanes = share_groups(device, &all);
    bool has_weight;
    cg_operand weight = ocl_present(op, 3, &has_weight);
    return ocl_launch(
        device,
        &(ocl_call){.file = "normalize.cl",
                    .kernel = "normalize_backward",
                    .defines = lanes.defines,
                    .items = {lanes.items},
                    .group = lanes.group,
                    .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]), OCL_OPERAND(op->inputs[2]),
                             OCL_OPERAND(weight), OCL_OPERAND(op->outputs[0]), ocl_struct(&all, sizeof all),
                             ocl_flag(has_weight), ocl_flag((int)attrs->centered), ocl_flag(op->accumulate & 1)}});
}

cg_status ocl_normalize_weight_backward(ocl_device *device, const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    groups all = channels_of(dim);
    ocl_lanes lanes = share_groups(device, &all);
    int64_t each = attrs->groups > 0 ? dim[1] / attrs->groups : 1;
    return ocl_launch(device, &(ocl_call){.file = "normalize.cl",
                                          .kernel = "normalize_weight_backward",
                                          .defines = lanes.defines,
                                          .items = {lanes.items},
                                          .group = lanes.group,
                                          .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]),
                                                   OCL_OPERAND(op->inputs[2]), OCL_OPERAND(op->outputs[0]),
                                                   ocl_struct(&all, sizeof all), ocl_count((uint64_t)attrs->groups),
                                                   ocl_count((uint64_t)each), ocl_flag(op->accumulate & 1)}});
}

cg_status ocl_batch_norm_backward(ocl_device *device, const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    groups all = channels_of(op->inputs[0].shape.dim);
    ocl_lanes lanes = share_groups(device, &all);
    return ocl_launch(device, &(ocl_call){.file = "normalize.cl",
                                          .kernel = "batch_norm_backward",
                                          .defines = lanes.defines,
                                          .items = {lanes.items},
                                          .group = lanes.group,
                                          .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->inputs[1]),
                                                   OCL_OPERAND(op->inputs[2]), OCL_OPERAND(op->inputs[3]),
                                                   OCL_OPERAND(op->outputs[0]), OCL_OPERAND(op->outputs[1]),
                                                   OCL_OPERAND(op->outputs[2]), ocl_struct(&all, sizeof all),
                                                   ocl_flag((int)attrs->centered), ocl_flag((int)op->accumulate)}});
}

cg_status ocl_running_stats(ocl_device *device, const cg_op *op) {
    const cg_running_stats_attrs *attrs = op->attrs;
    uint64_t n = ocl_numel(&op->outputs[0]);
    CG_TRY(ocl_launch(device, &(ocl_call){.file = "normalize.cl",
                                          .kernel = "count_batch",
                                          .items = {1},
                                          .group = 1,
                                          .args = {OCL_OPERAND(op->outputs[2])}}));
    return ocl_launch(device,
                      &(ocl_call){.file = "normalize.cl",
                                  .kernel = "running_stats",
                                  .items = {(size_t)n},
                                  .group = ocl_group(device),
                                  .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->outputs[0]),
                                           OCL_OPERAND(op->outputs[1]), OCL_OPERAND(op->outputs[2]), ocl_count(n),
                                           ocl_real(attrs->momentum), ocl_real(attrs->correction)}});
}
