/* Padding and its gradient. */
#include <stdio.h>

#include "ocl.h"

/* As in cl/pad.cl. */
typedef struct pad {
    cl_ulong outer, each;
    cl_int in[3], out[3], front[3], add;
} pad;

static pad pad_of(const ocl_device *device, const cg_op *op, const cg_operand *x, const cg_operand *y) {
    const cg_pad_attrs *attrs = op->attrs;
    pad p = {.outer = (cl_ulong)x->shape.dim[0],
             .each = ocl_nests_loops(device) ? ocl_each(device, 1) : 1,
             .add = (cl_int)(op->accumulate & 1)};
    for (int i = 0; i < 3; i++) {
        p.in[i] = (cl_int)x->shape.dim[1 + i];
        p.out[i] = (cl_int)y->shape.dim[1 + i];
        p.front[i] = (cl_int)attrs->front[i];
    }
    return p;
}

static const char *mode_of(const cg_op *op, char *defines, size_t size) {
    snprintf(defines, size, "-DCG_MODE=%u", (unsigned)((const cg_pad_attrs *)op->attrs)->mode);
    return defines;
}

cg_status ocl_pad(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    char defines[32];
    pad p = pad_of(device, op, x, y);
    return ocl_launch(device, &(ocl_call){.file = "pad.cl",
                                          .kernel = "pad_forward",
                                          .defines = mode_of(op, defines, sizeof defines),
                                          .items = {ocl_items(ocl_numel(y), p.each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_struct(&p, sizeof p),
                                                   ocl_real(((const cg_pad_attrs *)op->attrs)->value)}});
}

cg_status ocl_pad_backward(ocl_device *device, const cg_op *op) {
    const cg_operand *dy = &op->inputs[0], *dx = &op->outputs[0];
    char defines[32];
    pad p = pad_of(device, op, dx, dy);
    return ocl_launch(device, &(ocl_call){.file = "pad.cl",
                                          .kernel = "pad_backward",
                                          .defines = mode_of(op, defines, sizeof defines),
                                          .items = {ocl_items(ocl_numel(dx), p.each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(*dy), OCL_OPERAND(*dx), ocl_struct(&p, sizeof p)}});
}
