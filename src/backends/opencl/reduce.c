/* Sums over the middle axis, expand and argmax. */
#include "ocl.h"

/* Elements that one worker adds before its sum joins the others'. By shape alone: the order of additions never depends
 * on the device's size. */
#define ROW_CHUNK 16384
#define COLUMN_CHUNK 512

/* At least one: the sum of nothing is 0. */
static uint64_t chunks_of(uint64_t reduce, uint64_t chunk) {
    return reduce > chunk ? ocl_ceil(reduce, chunk) : 1;
}

static cg_status sum_rows(ocl_device *device, const ocl_sum_job *job, uint64_t chunk) {
    uint64_t chunks = chunks_of(job->reduce, chunk), rows = job->outer * chunks;
    uint64_t length = job->reduce < chunk ? job->reduce : chunk;
    ocl_lanes lanes = ocl_lanes_for(device, rows, length);
    return ocl_launch(device, &(ocl_call){.file = "reduce.cl",
                                          .kernel = "sum_rows",
                                          .defines = lanes.defines,
                                          .items = {lanes.items},
                                          .group = lanes.group,
                                          .args = {ocl_memory(job->from), ocl_count(job->from_at), ocl_memory(job->to),
                                                   ocl_count(job->to_at), ocl_count(rows), ocl_count(job->reduce),
                                                   ocl_count(chunk), ocl_count(chunks), ocl_count(lanes.rows_each),
                                                   ocl_real(job->scale), ocl_flag(job->add)}});
}

static cg_status sum_columns(ocl_device *device, const ocl_sum_job *job, uint64_t chunk) {
    uint64_t chunks = chunks_of(job->reduce, chunk);
    uint64_t units = job->outer * chunks * ocl_ceil(job->inner, device->width);
    uint64_t each = ocl_each(device, device->width * (job->reduce < chunk ? job->reduce : chunk));
    return ocl_launch(device, &(ocl_call){.file = "reduce.cl",
                                          .kernel = "sum_columns",
                                          .items = {ocl_items(units, each)},
                                          .group = ocl_group(device),
                                          .args = {ocl_memory(job->from), ocl_count(job->from_at), ocl_memory(job->to),
                                                   ocl_count(job->to_at), ocl_count(units), ocl_count(job->reduce),
                                                   ocl_count(job->inner), ocl_count(chunk), ocl_count(chunks),
                                                   ocl_count(each), ocl_real(job->scale), ocl_flag(job->add)}});
}

static cg_status sum_stage(ocl_device *device, const ocl_sum_job *job, uint64_t chunk) {
    return (job->inner == 1 ? sum_rows : sum_columns)(device, job, chunk);
}

cg_status ocl_sum_run(ocl_device *device, const ocl_sum_job *job) {
    uint64_t chunk = job->inner == 1 ? ROW_CHUNK : COLUMN_CHUNK;
    if (job->reduce <= chunk) {
        return sum_stage(device, job, chunk);
    }
    uint64_t chunks = ocl_ceil(job->reduce, chunk);
    ocl_sum_job first = *job, second = *job;
    CG_TRY(ocl_scratch_get(device, OCL_SCRATCH_PARTS, (size_t)(job->outer * chunks * job->inner) * sizeof(cl_float),
                           &first.to));
    first.to_at = 0;
    first.scale = 1.0;
    first.add = false;
    second.from = first.to;
    second.from_at = 0;
    second.reduce = chunks;
    CG_TRY(sum_stage(device, &first, chunk));
    return sum_stage(device, &second, chunks);
}

cg_status ocl_sum(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    ocl_sum_job job = {.from = x->buffer,
                       .from_at = x->offset,
                       .to = y->buffer,
                       .to_at = y->offset,
                       .outer = (uint64_t)x->shape.dim[0],
                       .reduce = (uint64_t)x->shape.dim[1],
                       .inner = (uint64_t)x->shape.dim[2],
                       .scale = ((const cg_scale_attrs *)op->attrs)->scale,
                       .add = (op->accumulate & 1) != 0};
    return ocl_sum_run(device, &job);
}

cg_status ocl_expand_run(ocl_device *device, const cg_operand *x, const cg_operand *y, const ocl_expand_job *job) {
    bool repeat_row = job->inner > 1; /* else one element fills a row of `reduce` */
    ocl_share part = repeat_row ? ocl_share_rows(device, job->outer * job->reduce, job->inner)
                                : ocl_share_rows(device, job->outer, job->reduce);
    return ocl_launch(device, &(ocl_call){.file = "reduce.cl",
                                          .kernel = "expand",
                                          .items = {ocl_share_items(&part)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(part.rows),
                                                   ocl_count(part.length), ocl_count(part.run), ocl_count(part.pieces),
                                                   ocl_count(part.rows_each), ocl_count(repeat_row ? job->reduce : 1),
                                                   ocl_flag(repeat_row), ocl_real(job->scale), ocl_flag(job->add)}});
}

cg_status ocl_expand(ocl_device *device, const cg_op *op) {
    const cg_shape *shape = &op->outputs[0].shape;
    return ocl_expand_run(device, &op->inputs[0], &op->outputs[0],
                          &(ocl_expand_job){.outer = (uint64_t)shape->dim[0],
                                            .reduce = (uint64_t)shape->dim[1],
                                            .inner = (uint64_t)shape->dim[2],
                                            .scale = ((const cg_scale_attrs *)op->attrs)->scale,
                                            .add = (op->accumulate & 1) != 0});
}

cg_status ocl_argmax(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    uint64_t reduce = (uint64_t)x->shape.dim[1], inner = (uint64_t)x->shape.dim[2];
    uint64_t n = (uint64_t)x->shape.dim[0] * inner, each = ocl_each(device, reduce);
    return ocl_launch(device, &(ocl_call){.file = "reduce.cl",
                                          .kernel = "argmax",
                                          .items = {ocl_items(n, each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(n), ocl_count(reduce),
                                                   ocl_count(inner), ocl_count(each)}});
}

cg_status ocl_cumsum(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0];
    uint64_t reduce = (uint64_t)x->shape.dim[1], inner = (uint64_t)x->shape.dim[2];
    uint64_t n = (uint64_t)x->shape.dim[0] * inner, each = ocl_each(device, reduce);
    bool reverse = ((const cg_cumsum_attrs *)op->attrs)->reverse != 0;
    return ocl_launch(device, &(ocl_call){.file = "reduce.cl",
                                          .kernel = "cumsum",
                                          .items = {ocl_items(n, each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*x), OCL_OPERAND(op->outputs[0]), ocl_count(n),
                                                   ocl_count(reduce), ocl_count(inner), ocl_count(each),
                                                   ocl_flag(reverse), ocl_flag(op->accumulate & 1)}});
}
