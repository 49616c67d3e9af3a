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

static cg_status launch(ocl_device *device, const char *kernel, const cg_operand *const *operands, pool *p) {
    const cg_operand *written = operands[0];
    p->each = ocl_each(device, window_of(p));
    ocl_call call = {.file = "pool.cl",
                     .kernel = kernel,
                     .items = {ocl_items(ocl_numel(written), p->each)},
                     .group = ocl_group(device)};
    ocl_arg *arg = call.args;
    for (size_t i = 1; operands[i] != NULL; i++) {
        *arg++ = ocl_memory(operands[i]->buffer);
        *arg++ = ocl_count(operands[i]->offset);
    }
    *arg = ocl_struct(p, sizeof *p);
    return ocl_launch(device, &call);
}

cg_status ocl_max_pool(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0], *index = &op->outputs[1];
    pool p = pool_of(op, x, y);
    return launch(device, "max_pool", (const cg_operand *[]){y, x, y, index, NULL}, &p);
}

cg_status ocl_max_pool_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *dy = &op->inputs[0], *index = &op->inputs[1], *dx = &op->outputs[0];
    pool p = pool_of(op, dx, dy);
    return launch(device, "max_pool_backward", (const cg_operand *[]){dx, dy, index, dx, NULL}, &p);
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
