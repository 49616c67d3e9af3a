/* Maxima and means of windows, and their gradients. */
#include "ocl.h"

/* As in cl/pool.cl. */
typedef struct pool {
    cl_ulong planes, each;
    cl_ulong in[2], out[2];
    cl_int kernel[2], stride[2], padding[2], dilation[2];
    cl_int adaptive, include_pad, divisor, add;
} pool;

static pool pool_of(const cg_op *op, const cg_operand *x, const cg_operand *y) {
    const cg_pool_attrs *attrs = op->attrs;
    pool p = {.planes = (cl_ulong)x->shape.dim[0],
              .adaptive = (cl_int)attrs->adaptive,
              .include_pad = (cl_int)attrs->count_include_pad,
              .divisor = (cl_int)attrs->divisor,
              .add = (cl_int)(op->accumulate & 1)};
    for (int i = 0; i < 2; i++) {
        p.in[i] = (cl_ulong)x->shape.dim[1 + i];
        p.out[i] = (cl_ulong)y->shape.dim[1 + i];
        p.kernel[i] = (cl_int)attrs->kernel[i];
        p.stride[i] = (cl_int)attrs->stride[i];
        p.padding[i] = (cl_int)attrs->padding[i];
        p.dilation[i] = (cl_int)attrs->dilation[i];
    }
    return p;
}

/* Elements that one of what is written is made of, about. */
static uint64_t window_of(const pool *p) {
    uint64_t in = p->in[0] * p->in[1], out = p->out[0] * p->out[1];
    return p->adaptive ? in / out + 1 : (uint64_t)p->kernel[0] * (uint64_t)p->kernel[1];
}

/* Runs over `things`, p->each of them an item. operands: the kernel's, then NULL. */
static cg_status launch_items(ocl_device *device, const char *kernel, const cg_operand *const *operands, const pool *p,
                              uint64_t things) {
    ocl_call call = {
        .file = "pool.cl", .kernel = kernel, .items = {ocl_items(things, p->each)}, .group = ocl_group(device)};
    ocl_arg *arg = call.args;
    for (size_t i = 0; operands[i] != NULL; i++) {
        *arg++ = ocl_memory(operands[i]->buffer);
        *arg++ = ocl_count(operands[i]->offset);
    }
    *arg = ocl_struct(p, sizeof *p);
    return ocl_launch(device, &call);
}

/* Over the elements of operands[0], what is written; behind it the kernel's. */
static cg_status launch(ocl_device *device, const char *kernel, const cg_operand *const *operands, pool *p) {
    p->each = ocl_each(device, window_of(p));
    return launch_items(device, kernel, operands + 1, p, ocl_numel(operands[0]));
}

/* The kernel that does whole planes, for a CPU: as many to an item as make it worth its while. */
static cg_status launch_planes(ocl_device *device, const char *kernel, const cg_operand *const *operands, pool *p) {
    uint64_t plane = p->in[0] * p->in[1] + p->out[0] * p->out[1] * window_of(p);
    p->each = ocl_each(device, plane);
    return launch_items(device, kernel, operands, p, p->planes);
}

cg_status ocl_max_pool(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0], *index = &op->outputs[1];
    pool p = pool_of(op, x, y);
    const cg_operand *operands[] = {y, x, y, index, NULL};
    return device->cpu_shape ? launch_planes(device, "max_pool_planes", operands + 1, &p)
                             : launch(device, "max_pool", operands, &p);
}

cg_status ocl_max_pool_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *dy = &op->inputs[0], *index = &op->inputs[1], *dx = &op->outputs[0];
    pool p = pool_of(op, dx, dy);
    const cg_operand *operands[] = {dx, dy, index, dx, NULL};
    return device->cpu_shape ? launch_planes(device, "max_pool_backward_planes", operands + 1, &p)
                             : launch(device, "max_pool_backward", operands, &p);
}

cg_status ocl_avg_pool(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    pool p = pool_of(op, x, y);
    return launch(device, "avg_pool", (const cg_operand *[]){y, x, y, NULL}, &p);
}

cg_status ocl_avg_pool_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *dy = &op->inputs[0], *dx = &op->outputs[0];
    pool p = pool_of(op, dx, dy);
    return launch(device, "avg_pool_backward", (const cg_operand *[]){dx, dy, dx, NULL}, &p);
}
