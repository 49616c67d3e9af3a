/* Elementwise ops: every row of elementwise.def, its gradients, and broadcasting. */
#include "ocl.h"

#include <stdio.h>

#include "broadcast.h"

typedef struct row {
    const char *name;
    bool unary;
} row;

static const row rows[] = {
#define CG_UNARY(number, NAME, name, y, dx) [number] = {#name, true},
#define CG_BINARY(number, NAME, name, z, da, db) [number] = {#name, false},
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

static const row *row_of(uint32_t number) {
    size_t index = (number - CG_OP_ADD) / 4;
    return number >= CG_OP_ADD && index < sizeof rows / sizeof rows[0] && rows[index].name != NULL ? &rows[index]
                                                                                                   : NULL;
}

bool ocl_is_elementwise(uint32_t number) {
    const row *r = row_of(number);
    return r != NULL && (number - CG_OP_ADD) % 4 < (r->unary ? 2 : 3);
}

/* A formula may not use every operand, and then it may be absent: something that is there stands in. */
static cg_operand present(const cg_operand *operand, const cg_operand *other) {
    return operand->buffer != NULL ? *operand : *other;
}

static cg_status run_unary(ocl_device *device, const cg_op *op, const char *defines) {
    const double *p = ((const cg_elementwise_attrs *)op->attrs)->p;
    const cg_operand *y = &op->outputs[0], *last = &op->inputs[op->n_inputs - 1];
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(y));
    ocl_call call = {.file = "elementwise.cl", .kernel = "unary", .defines = defines, .group = ocl_group(device)};
    call.items[0] = ocl_share_items(&part);
    ocl_arg *arg = call.args;
    if (op->n_inputs > 1) {
        call.kernel = "unary_backward";
    }
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        cg_operand x = present(&op->inputs[i], last);
        *arg++ = ocl_memory(x.buffer);
        *arg++ = ocl_count(x.offset);
    }
    const ocl_arg rest[] = {OCL_OPERAND(*y), ocl_count(part.length), ocl_count(part.run), ocl_flag(op->accumulate & 1),
                            ocl_real(p[0]),  ocl_real(p[1]),         ocl_real(p[2])};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        *arg++ = rest[i];
    }
    return ocl_launch(device, &call);
}

/* The fastest axis becomes the row, the others its place. */
static void plan_axes(const ocl_device *device, const cg_operand *a, const cg_operand *b, const cg_operand *z,
                      ocl_axes *outer, ocl_steps *part) {
    cg_broadcast plan;
    cg_broadcast_plan(&a->shape, &b->shape, &z->shape, &plan);
    int fastest = plan.rank - 1;
    uint64_t count = 1;
    *outer = (ocl_axes){.rank = (cl_ulong)fastest};
    for (int i = 0; i < fastest; i++) {
        outer->dim[i] = (cl_ulong)plan.dim[i];
        outer->a[i] = (cl_ulong)plan.stride_a[i];
        outer->b[i] = (cl_ulong)plan.stride_b[i];
        count *= (uint64_t)plan.dim[i];
    }
    part->rows = ocl_share_rows(device, count, (uint64_t)plan.dim[fastest]);
    part->step_a = (cl_ulong)plan.stride_a[fastest];
    part->step_b = (cl_ulong)plan.stride_b[fastest];
}

static cg_status run_binary(ocl_device *device, const cg_op *op, const char *defines) {
    static const char *const kernels[] = {"binary", "binary_backward_a", "binary_backward_b"};
    const double *p = ((const cg_elementwise_attrs *)op->attrs)->p;
    const cg_operand *z = &op->outputs[0], *last = &op->inputs[op->n_inputs - 1];
    cg_operand a = present(&op->inputs[0], last), b = present(&op->inputs[1], last);
    ocl_axes outer;
    ocl_steps part;
    plan_axes(device, &a, &b, z, &outer, &part);
    ocl_call call = {.file = "elementwise.cl",
                     .kernel = kernels[(op->kind->number - CG_OP_ADD) % 4],
                     .defines = defines,
                     .items = {ocl_share_items(&part.rows)},
                     .group = ocl_group(device),
                     .args = {OCL_OPERAND(a), OCL_OPERAND(b)}};
    ocl_arg *arg = call.args + 4;
    if (op->n_inputs > 2) {
        *arg++ = ocl_memory(last->buffer);
        *arg++ = ocl_count(last->offset);
    }
    const ocl_arg rest[] = {OCL_OPERAND(*z),
                            ocl_struct(&outer, sizeof outer),
                            ocl_struct(&part, sizeof part),
                            ocl_flag(op->accumulate & 1),
                            ocl_real(p[0]),
                            ocl_real(p[1]),
                            ocl_real(p[2])};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        *arg++ = rest[i];
    }
    return ocl_launch(device, &call);
}

cg_status ocl_elementwise(ocl_device *device, const cg_op *op) {
    const row *r = row_of(op->kind->number);
    char defines[96];
    snprintf(defines, sizeof defines, "-DCG_ROW=row_%s -DCG_UNARY_ROW=%d", r->name, r->unary);
    return (r->unary ? run_unary : run_binary)(device, op, defines);
}
