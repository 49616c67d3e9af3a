/* Copies with strides, and casts. */
#include "half.h"
#include "ocl.h"

#include <stdio.h>

/* Bits are moved as they are: the kernel's type has the element's size. */
static const char *element_of(cg_dtype dtype) {
    size_t size = ocl_element_size(dtype);
    return size == 8 ? "-DCG_ELEMENT=ulong" : size == 1 ? "-DCG_ELEMENT=uchar" : NULL;
}

/* The last axis becomes the row, the others its place; a copy of one element is a row of one. */
static void plan(const ocl_device *device, const cg_strided_attrs *attrs, ocl_axes *outer, ocl_steps *part) {
    uint32_t fastest = attrs->rank > 0 ? attrs->rank - 1 : 0;
    uint64_t rows = 1, length = attrs->rank > 0 ? (uint64_t)attrs->dim[fastest] : 1;
    *outer = (ocl_axes){.rank = fastest};
    for (uint32_t i = 0; i < fastest; i++) {
        outer->dim[i] = (cl_ulong)attrs->dim[i];
        outer->a[i] = (cl_ulong)attrs->in[i];
        outer->b[i] = (cl_ulong)attrs->out[i];
        rows *= (uint64_t)attrs->dim[i];
    }
    part->rows = ocl_share_rows(device, rows, length);
    part->step_a = attrs->rank > 0 ? (cl_ulong)attrs->in[fastest] : 1;
    part->step_b = attrs->rank > 0 ? (cl_ulong)attrs->out[fastest] : 1;
}

cg_status ocl_strided_copy(ocl_device *device, const cg_op *op) {
    const cg_strided_attrs *attrs = op->attrs;
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    bool add = (op->accumulate & 1) != 0;
    ocl_axes outer;
    ocl_steps part;
    plan(device, attrs, &outer, &part);
    return ocl_launch(device, &(ocl_call){.file = "strided.cl",
                                          .kernel = add ? "strided_add" : "strided_copy",
                                          .defines = element_of(x->dtype),
                                          .items = {ocl_share_items(&part.rows)},
                                          .group = ocl_group(device),
                                          .args = {ocl_memory(x->buffer), ocl_count(x->offset + (size_t)attrs->from),
                                                   ocl_memory(y->buffer), ocl_count(y->offset + (size_t)attrs->to),
                                                   ocl_struct(&outer, sizeof outer), ocl_struct(&part, sizeof part)}});
}

static const char *type_of(cg_dtype dtype) {
    switch (dtype) {
    case CG_I32:
        return "int";
    case CG_I64:
        return "long";
    case CG_U8:
        return "uchar";
    default:
        return "float";
    }
}

/* NULL: no cast from or to 16 bits. */
static const char *half_kernel(cg_dtype from, cg_dtype to) {
    if (cg_is_half(from)) {
        return from == CG_F16 ? "f16_to_f32" : "bf16_to_f32";
    }
    return to == CG_F16 ? "f32_to_f16" : to == CG_BF16 ? "f32_to_bf16" : NULL;
}

cg_status ocl_cast(ocl_device *device, const cg_op *op) {
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    uint64_t n = ocl_numel(y);
    char defines[64];
    const char *half = half_kernel(x->dtype, y->dtype);
    snprintf(defines, sizeof defines, "-DCG_FROM=%s -DCG_TO=%s", type_of(x->dtype), type_of(y->dtype));
    ocl_share part = ocl_share_rows(device, 1, n);
    return ocl_launch(device,
                      &(ocl_call){.file = half != NULL ? "half.cl" : "strided.cl",
                                  .kernel = half != NULL ? half : "cast",
                                  .defines = half != NULL ? "" : defines,
                                  .items = {ocl_share_items(&part)},
                                  .group = ocl_group(device),
                                  .args = {OCL_OPERAND(*x), OCL_OPERAND(*y), ocl_count(n), ocl_count(part.run)}});
}
