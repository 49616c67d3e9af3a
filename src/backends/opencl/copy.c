/* copy, by the driver's own command, or by a kernel that adds; fill. */
#include "ocl.h"

cg_status ocl_copy_op(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    uint64_t n = ocl_numel(y);
    if ((op->accumulate & 1) == 0) {
        size_t size = ocl_element_size(y->dtype);
        return ocl_copy(device, x->buffer, x->offset * size, y->buffer, y->offset * size, (size_t)n * size);
    }
    ocl_share part = ocl_share_rows(device, 1, n);
    return ocl_launch(device,
                      &(ocl_call){.file = "copy.cl",
                                  .kernel = "copy_add",
                                  .items = {ocl_share_items(&part)},
                                  .group = ocl_group(device),
                                  .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(n), ocl_count(part.run)}});
}

typedef union element {
    cl_float f32;
    cl_int i32;
    cl_long i64;
    cl_uchar u8;
} element;

static element convert(cg_dtype dtype, double value) {
    switch (dtype) {
    case CG_I32:
        return (element){.i32 = (cl_int)value};
    case CG_I64:
        return (element){.i64 = (cl_long)value};
    case CG_U8:
        return (element){.u8 = (cl_uchar)value};
    default:
        return (element){.f32 = (cl_float)value};
    }
}

/* Words are filled by a kernel, on all units; other sizes, of little data, by the driver. */
cg_status ocl_fill(ocl_device *device, const cg_op *op) {
    const cg_operand *y = &op->outputs[0];
    size_t size = ocl_element_size(y->dtype);
    uint64_t n = ocl_numel(y);
    element value = convert(y->dtype, ((const cg_fill_attrs *)op->attrs)->value);
    if (size == sizeof value.i32) {
        ocl_share part = ocl_share_rows(device, 1, n);
        return ocl_launch(
            device, &(ocl_call){.file = "copy.cl",
                                .kernel = "fill",
                                .items = {ocl_share_items(&part)},
                                .group = ocl_group(device),
                                .args = {OCL_OPERAND(*y), ocl_count(n), ocl_count(part.run), ocl_flag(value.i32)}});
    }
    cl_int code =
        clEnqueueFillBuffer(device->queue, y->buffer, &value, size, y->offset * size, (size_t)n * size, 0, NULL, NULL);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueFillBuffer", "fill");
}
