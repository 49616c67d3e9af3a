/* Elementwise ops: every row of elementwise.def, its gradients, and broadcasting. */
#include "ocl.h"

#include "broadcast.h"

typedef struct row {
    const char *defines; /* of its program; NULL: there is no such number */
    const char *name;
    bool unary;
} row;

static const row rows[] = {
#define CG_UNARY(number, NAME, name, y, dx) [number] = {"-DCG_ROW=row_" #name " -DCG_UNARY_ROW=1", #name, true},
#define CG_BINARY(number, NAME, name, z, da, db) [number] = {"-DCG_ROW=row_" #name " -DCG_UNARY_ROW=0", #name, false},
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

static const row *row_of(uint32_t number) {
    size_t index = (number - CG_OP_ADD) / 4;
    return number >= CG_OP_ADD && index < sizeof rows / sizeof rows[0] && rows[index].defines != NULL ? &rows[index]
                                                                                                      : NULL;
}

bool ocl_is_elementwise(uint32_t number) {
    const row *r = row_of(number);
    return r != NULL && (number - CG_OP_ADD) % 4 < (r->unary ? 2 : 3);
}

const char *ocl_elementwise_row(uint32_t number, bool *unary) {
    const row *r = row_of(number);
    *unary = r->unary;
    return r->name;
}

/* A formula may not use every operand, and then it may be absent: something that is there stands in. */
static cg_operand present(const cg_operand *operand, const cg_operand *other) {
    return operand->buffer != NULL ? *operand : *other;
}

/* As in cl/elementwise.cl. One argument for all: a driver may copy each by itself at every launch. */
typedef struct unary_place {
    cl_ulong x_at, y_at, dy_at, dx_at, n, run;
    cl_float p0, p1, p2;
    cl_int add;
} unary_place;

static cg_status run_unary(ocl_device *device, const cg_op *op, const char *defines) {
    const double *p = ((const cg_elementwise_attrs *)op->attrs)->p;
    const cg_operand *out = &op->outputs[0], *last = &op->inputs[op->n_inputs - 1];
    bool backward = op->n_inputs > 1;
    cg_operand x = present(&op->inputs[0], last), y = backward ? present(&op->inputs[1], last) : *out;
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(out));
    unary_place place = {.x_at = x.offset,
                         .y_at = y.offset,
                         .n = part.length,
                         .run = part.run,
                         .p0 = (cl_float)p[0],
                         .p1 = (cl_float)p[1],
                         .p2 = (cl_float)p[2],
                         .add = op->accumulate & 1};
    ocl_call call = {.file = "elementwise.cl",
                     .kernel = "unary",
                     .defines = defines,
                     .group = ocl_group(device),
                     .items = {ocl_share_items(&part)},
                     .args = {ocl_struct(&place, sizeof place), ocl_memory(x.buffer), ocl_memory(y.buffer)}};
    if (backward) {
        call.kernel = "unary_backward";
        place.dy_at = last->offset;
        place.dx_at = out->offset;
        call.args[3] = ocl_memory(last->buffer);
        call.args[4] = ocl_memory(out->buffer);
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

/* As in cl/elementwise.cl. */
typedef struct binary_place {
    ocl_axes outer;
    ocl_steps part;
    cl_ulong a_at, b_at, dz_at, z_at;
    cl_float p0, p1, p2;
    cl_int add;
} binary_place;

static cg_status run_binary(ocl_device *device, const cg_op *op, const char *defines) {
    static const char *const kernels[] = {"binary", "binary_backward_a", "binary_backward_b"};
    const double *p = ((const cg_elementwise_attrs *)op->attrs)->p;
    const cg_operand *z = &op->outputs[0], *last = &op->inputs[op->n_inputs - 1];
    cg_operand a = present(&op->inputs[0], last), b = present(&op->inputs[1], last);
    binary_place place = {.a_at = a.offset,
                          .b_at = b.offset,
                          .z_at = z->offset,
                          .p0 = (cl_float)p[0],
                          .p1 = (cl_float)p[1],
                          .p2 = (cl_float)p[2],
                          .add = op->accumulate & 1};
    plan_axes(device, &a, &b, z, &place.outer, &place.part);
    ocl_call call = {
        .file = "elementwise.cl",
        .kernel = kernels[(op->kind->number - CG_OP_ADD) % 4],
        .defines = defines,
        .items = {ocl_share_items(&place.part.rows)},
        .group = ocl_group(device),
        .args = {ocl_struct(&place, sizeof place), ocl_memory(a.buffer), ocl_memory(b.buffer), ocl_memory(z->buffer)}};
    if (op->n_inputs > 2) {
        place.dz_at = last->offset;
        call.args[4] = ocl_memory(last->buffer);
    }
    return ocl_launch(device, &call);
}

cg_status ocl_elementwise(ocl_device *device, const cg_op *op) {
    const row *r = row_of(op->kind->number);
    return (r->unary ? run_unary : run_binary)(device, op, r->defines);
}
