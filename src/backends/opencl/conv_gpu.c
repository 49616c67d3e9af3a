/* The GPU shape of convolution: one kernel for all three passes, cl/conv_gpu.cl. */
#include <stdio.h>

#include "conv.h"

#define TILE 64
#define ITEMS 128
#define FEW_GROUPS 128 /* below this a GPU is not full */
#define PART_TERMS 512 /* the least of the sum that a work-group should have */

/* The product's sizes: rows and columns of the result, terms of each sum. */
typedef struct product {
    uint64_t rows, columns, terms;
    uint64_t a_group, b_group, c_group; /* elements from one group of channels to the next */
    const cg_operand *a, *b, *c;
} product;

static product product_of(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    uint64_t channels = (uint64_t)s->channels, filters = (uint64_t)s->filters, taps = (uint64_t)s->taps;
    uint64_t inputs = (uint64_t)s->in_plane, outputs = (uint64_t)s->out_plane, images = (uint64_t)s->images;
    uint64_t x_group = channels * inputs, y_group = filters * outputs, weight_group = filters * channels * taps;
    switch (conv->pass) {
    case OCL_CONV_FORWARD:
        return (product){filters, images * outputs, channels * taps, weight_group, x_group,
                         y_group, conv->weight,     conv->x,         conv->y};
    case OCL_CONV_INPUT:
        return (product){channels, images * inputs, filters * taps, weight_group, y_group,
                         x_group,  conv->weight,    conv->y,        conv->x};
    default:
        return (product){filters,      channels * taps, images * outputs, y_group,     x_group,
                         weight_group, conv->y,         conv->x,          conv->weight};
    }
}

/* How many parts to cut the sum into when there are few tiles and it is long: a weight's gradient. By shape alone. */
static uint64_t parts_of(const ocl_convolution *conv, const product *p) {
    uint64_t tiles = ocl_ceil(p->rows, TILE) * ocl_ceil(p->columns, TILE) * (uint64_t)conv->sizes.groups;
    uint64_t most = p->terms / PART_TERMS, wanted = FEW_GROUPS / tiles;
    uint64_t parts = most < wanted ? most : wanted;
    return conv->pass == OCL_CONV_WEIGHT && parts > 1 ? parts : 1;
}

static cg_status launch(const ocl_convolution *conv, const product *p, const ocl_conv_sizes *s, cl_mem c,
                        uint64_t c_at) {
    char defines[48];
    snprintf(defines, sizeof defines, "-DCG_PASS=%d -DCG_SUBGROUP=%u", (int)conv->pass, conv->device->subgroup);
    const cg_operand *bias = conv->bias != NULL ? conv->bias : p->a;
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_gpu.cl",
                                                .kernel = "conv_tile",
                                                .defines = defines,
                                                .items = {ocl_ceil(p->columns, TILE) * ITEMS, ocl_ceil(p->rows, TILE),
                                                          (size_t)s->groups * (size_t)s->parts},
                                                .group = ITEMS,
                                                .args = {OCL_OPERAND(*p->a), ocl_count(p->a_group), OCL_OPERAND(*p->b),
                                                         ocl_count(p->b_group), ocl_memory(c), ocl_count(c_at),
                                                         ocl_count(p->c_group), ocl_count(ocl_numel(p->c)),
                                                         ocl_memory(bias->buffer), ocl_struct(s, sizeof *s)}});
}

cg_status ocl_conv_tiles(const ocl_convolution *conv) {
    product p = product_of(conv);
    ocl_conv_sizes s = conv->sizes;
    s.parts = (cl_int)parts_of(conv, &p);
    if (s.parts == 1) {
        return launch(conv, &p, &s, p.c->buffer, p.c->offset);
    }
    ocl_sum_job join = {.to = p.c->buffer,
                        .to_at = p.c->offset,
                        .outer = 1,
                        .reduce = (uint64_t)s.parts,
                        .inner = ocl_numel(p.c),
                        .scale = 1.0,
                        .add = s.add != 0};
    CG_TRY(ocl_scratch_get(conv->device, OCL_SCRATCH_A, join.reduce * join.inner * sizeof(cl_float), &join.from));
    s.add = 0;
    CG_TRY(launch(conv, &p, &s, join.from, 0));
    return ocl_sum_run(conv->device, &join);
}
