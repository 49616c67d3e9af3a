/* The GPU shape of convolution: one kernel for all three passes, cl/conv_gpu.cl, behind one that says what it takes. */
#include <stdio.h>

#include "conv.h"

#define TILE_COLUMNS 128
#define FEW_GROUPS 128 /* below this a GPU is not full */
#define PART_TERMS 512 /* the least of the sum that a work-group should have */
#define MOST_TAPS 31   /* the bits of cl/conv_sides.cl: of all axes together */

/* As in cl/conv_gpu.cl. */
typedef struct tile_product {
    cl_ulong a_at, b_at, c_at, bias_at;
    cl_ulong a_group, b_group, c_group, c_part;
    cl_ulong add, has_bias, parts;
    cl_uint rows, columns, terms, row_step, result_step, part_terms;
} tile_product;

typedef struct side {
    cl_uint reach, bits, place;
} side;

/* One convolution as a product: its operands, an item's rows of the tile, and a work-group's items. */
typedef struct tile_plan {
    const ocl_convolution *conv;
    const cg_operand *a, *b, *c;
    cl_mem sides;
    unsigned item_rows, items;
    tile_product p;
} tile_plan;

bool ocl_conv_has_tiles(const ocl_conv_sizes *s) {
    return s->kernel[0] + s->kernel[1] + s->kernel[2] <= MOST_TAPS;
}

static void set_operands(tile_plan *plan, const cg_operand *a, const cg_operand *b, const cg_operand *c) {
    plan->a = a;
    plan->b = b;
    plan->c = c;
    plan->p.a_at = a->offset;
    plan->p.b_at = b->offset;
    plan->p.c_at = c->offset;
}

static void set_sizes(tile_plan *plan) {
    const ocl_convolution *conv = plan->conv;
    const ocl_conv_sizes *s = &conv->sizes;
    cl_uint channels = (cl_uint)s->channels, filters = (cl_uint)s->filters, taps = (cl_uint)s->taps;
    cl_uint inputs = (cl_uint)s->in_plane, outputs = (cl_uint)s->out_plane, images = (cl_uint)s->images;
    cl_ulong x = (cl_ulong)channels * inputs, y = (cl_ulong)filters * outputs;
    cl_ulong weight = (cl_ulong)filters * channels * taps;
    switch (conv->pass) {
    case OCL_CONV_FORWARD:
        plan->p = (tile_product){.rows = filters,
                                 .columns = images * outputs,
                                 .terms = channels * taps,
                                 .row_step = channels * taps,
                                 .result_step = outputs,
                                 .a_group = weight,
                                 .b_group = x,
                                 .c_group = y};
        set_operands(plan, conv->weight, conv->x, conv->y);
        break;
    case OCL_CONV_INPUT:
        plan->p = (tile_product){.rows = channels,
                                 .columns = images * inputs,
                                 .terms = filters * taps,
                                 .row_step = taps,
                                 .result_step = inputs,
                                 .a_group = weight,
                                 .b_group = y,
                                 .c_group = x};
        set_operands(plan, conv->weight, conv->y, conv->x);
        break;
    default:
        plan->p = (tile_product){.rows = filters,
                                 .columns = channels * taps,
                                 .terms = images * outputs,
                                 .row_step = outputs,
                                 .result_step = channels * taps,
                                 .a_group = y,
                                 .b_group = x,
                                 .c_group = weight};
        set_operands(plan, conv->y, conv->x, conv->weight);
    }
    plan->p.bias_at = s->bias_at;
    plan->p.has_bias = (cl_ulong)s->has_bias;
}

/* Tiles of 128 rows gather less for each row; those of 64 are taken where they leave less idle, or registers are few.
 */
static void choose_tile(tile_plan *plan) {
    bool few = ocl_few_registers(plan->conv->device);
    bool high = ocl_ceil(plan->p.rows, 64) % 2 == 0;
    plan->item_rows = few ? 4 : 8;
    plan->items = few || high ? 256 : 128;
}

static uint64_t tile_rows(const tile_plan *plan) {
    return ocl_ceil(plan->p.rows, plan->item_rows * plan->items / 16);
}

/* How many parts to cut the sum into when there are few tiles and it is long: a weight's gradient. By shape alone. */
static uint64_t parts_of(const tile_plan *plan) {
    uint64_t tiles = tile_rows(plan) * ocl_ceil(plan->p.columns, TILE_COLUMNS) * (uint64_t)plan->conv->sizes.groups;
    uint64_t most = plan->p.terms / PART_TERMS, wanted = FEW_GROUPS / tiles;
    uint64_t parts = most < wanted ? most : wanted;
    return plan->conv->pass == OCL_CONV_WEIGHT && parts > 1 ? parts : 1;
}

static cg_status make_plan(const ocl_convolution *conv, tile_plan *plan) {
    plan->conv = conv;
    set_sizes(plan);
    choose_tile(plan);
    plan->p.part_terms = (cl_uint)ocl_ceil(plan->p.terms, parts_of(plan));
    plan->p.parts = ocl_ceil(plan->p.terms, plan->p.part_terms); /* none is empty */
    uint64_t sides = (uint64_t)plan->p.terms + plan->p.columns;
    return ocl_scratch_get(conv->device, OCL_SCRATCH_SIDES, sides * sizeof(side), &plan->sides);
}

static cg_status write_sides(const tile_plan *plan) {
    char defines[16];
    snprintf(defines, sizeof defines, "-DCG_PASS=%d", (int)plan->conv->pass);
    uint64_t sides = (uint64_t)plan->p.terms + plan->p.columns;
    return ocl_launch(
        plan->conv->device,
        &(ocl_call){.file = "conv_sides.cl",
                    .kernel = "conv_sides",
                    .defines = defines,
                    .items = {sides},
                    .group = ocl_group(plan->conv->device),
                    .args = {ocl_memory(plan->sides), ocl_struct(&plan->conv->sizes, sizeof plan->conv->sizes)}});
}

static cg_status multiply(const tile_plan *plan, cl_mem c) {
    char defines[64];
    ocl_device *device = plan->conv->device;
    snprintf(defines, sizeof defines, "-DCG_ITEM_ROWS=%u -DCG_ITEMS=%u -DCG_SUBGROUP=%u", plan->item_rows, plan->items,
             device->subgroup);
    const cg_operand *bias = plan->conv->bias != NULL ? plan->conv->bias : plan->a;
    return ocl_launch(
        device,
        &(ocl_call){.file = "conv_gpu.cl",
                    .kernel = "conv_tile",
                    .defines = defines,
                    .items = {ocl_ceil(plan->p.columns, TILE_COLUMNS) * plan->items, tile_rows(plan),
                              (size_t)plan->conv->sizes.groups * (size_t)plan->p.parts},
                    .group = plan->items,
                    .args = {ocl_memory(plan->a->buffer), ocl_memory(plan->b->buffer), ocl_memory(c),
                             ocl_memory(bias->buffer), ocl_memory(plan->sides), ocl_struct(&plan->p, sizeof plan->p)}});
}

static cg_status multiply_parts(tile_plan *plan) {
    ocl_device *device = plan->conv->device;
    ocl_sum_job join = {.to = plan->c->buffer,
                        .to_at = plan->c->offset,
                        .outer = 1,
                        .reduce = plan->p.parts,
                        .inner = ocl_numel(plan->c),
                        .scale = 1.0,
                        .add = plan->conv->sizes.add != 0};
    CG_TRY(ocl_scratch_get(device, OCL_SCRATCH_A, join.reduce * join.inner * sizeof(cl_float), &join.from));
    plan->p.c_at = 0;
    plan->p.c_part = join.inner;
    CG_TRY(multiply(plan, join.from));
    return ocl_sum_run(device, &join);
}

cg_status ocl_conv_tiles(const ocl_convolution *conv) {
    tile_plan plan;
    CG_TRY(make_plan(conv, &plan));
    CG_TRY(write_sides(&plan));
    if (plan.p.parts > 1) {
        return multiply_parts(&plan);
    }
    plan.p.add = conv->sizes.add;
    return multiply(&plan, plan.c->buffer);
}
