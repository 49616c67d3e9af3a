/* Resizing planes and its gradient. */
#include <stdio.h>

#include "ocl.h"

/* As in cl/interpolate.cl. */
typedef struct resize {
    cl_ulong planes, each;
    cl_int in[2], out[2];
    cl_float scale[2];
    cl_int align_corners, add;
} resize;

static cg_status launch(ocl_device *device, const cg_op *op, const char *kernel, const cg_operand *x,
                        const cg_operand *y) {
    const cg_interpolate_attrs *attrs = op->attrs;
    char defines[32];
    resize r = {.planes = (cl_ulong)x->shape.dim[0],
                .each = ocl_each(device, 4),
                .align_corners = (cl_int)attrs->align_corners,
                .add = (cl_int)(op->accumulate & 1)};
    for (int i = 0; i < 2; i++) {
        r.in[i] = (cl_int)x->shape.dim[1 + i];
        r.out[i] = (cl_int)y->shape.dim[1 + i];
        r.scale[i] = (cl_float)attrs->scale[i];
    }
    snprintf(defines, sizeof defines, "-DCG_MODE=%u", (unsigned)attrs->mode);
    return ocl_launch(device, &(ocl_call){.file = "interpolate.cl",
                                          .kernel = kernel,
                                          .defines = defines,
                                          .items = {ocl_items(ocl_numel(&op->outputs[0]), r.each)},
                                          .group = ocl_group(device),
                                          .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->outputs[0]),
                                                   ocl_struct(&r, sizeof r)}});
}

cg_status ocl_interpolate(ocl_device *device, const cg_op *op) {
    return launch(device, op, "interpolate", &op->inputs[0], &op->outputs[0]);
}

cg_status ocl_interpolate_backward(ocl_device *device, const cg_op *op) {
    return launch(device, op, "interpolate_backward", &op->outputs[0], &op->inputs[0]);
}
