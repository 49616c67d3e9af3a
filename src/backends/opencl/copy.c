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

/* By a kernel, where the driver's own command will not do. */
cg_status ocl_copy_bytes(ocl_device *device, cl_mem source, size_t source_offset, cl_mem destination, size_t offset,
                         size_t bytes) {
    ocl_share part = ocl_share_rows(device, 1, bytes);
    return ocl_launch(device,
                      &(ocl_call){.file = "copy.cl",
                                  .kernel = "copy_bytes",
                                  .items = {ocl_share_items(&part)},
                                  .group = ocl_group(device),
                                  .args = {ocl_memory(source), ocl_count(source_offset), ocl_memory(destination),
                                           ocl_count(offset), ocl_count(bytes), ocl_count(part.run)}});
}

/* What the kernel is to write, by its size, and its bits. */
typedef struct pattern {
    const char *defines;
    uint64_t bits;
} pattern;

static pattern pattern_of(cg_dtype dtype, double value) {
    union {
        cl_float real;
        cl_uint bits;
    } word = {.real = (cl_float)value};
    switch (dtype) {
    case CG_I32:
        return (pattern){"-DCG_ELEMENT=uint", (cl_uint)(cl_int)value};
    case CG_I64:
        return (pattern){"-DCG_ELEMENT=ulong", (cl_ulong)(cl_long)value};
    case CG_U8:
        return (pattern){"-DCG_ELEMENT=uchar", (cl_uchar)value};
    default:
        return (pattern){"-DCG_ELEMENT=uint", word.bits};
    }
}

/* A kernel works on all units; not every driver's own command does. */
cg_status ocl_fill(ocl_device *device, const cg_op *op) {
    const cg_operand *y = &op->outputs[0];
    uint64_t n = ocl_numel(y);
    pattern value = pattern_of(y->dtype, ((const cg_fill_attrs *)op->attrs)->value);
    ocl_share part = ocl_share_rows(device, 1, n);
    return ocl_launch(device,
                      &(ocl_call){.file = "copy.cl",
                                  .kernel = "fill",
                                  .defines = value.defines,
                                  .items = {ocl_share_items(&part)},
                                  .group = ocl_group(device),
                                  .args = {OCL_OPERAND(*y), ocl_count(n), ocl_count(part.run), ocl_count(value.bits)}});
}
