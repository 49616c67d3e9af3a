/* The CPU shape of convolution: columns of some images at a time, and the backend's own matrix products. */
#include "conv.h"

#define BLOCK_FLOATS 1048576u /* of columns at a time: they should stay in the last cache */
#define LEAST_POSITIONS 64u

/* Some images' part of the work: `count` positions of y's plane from `first` on, of one group of channels. */
typedef struct block {
    uint64_t group;
    uint64_t image, images;
    uint64_t first, count;
} block;

typedef struct plan {
    const ocl_convolution *conv;
    bool plain;                 /* the columns of an image are the image itself */
    uint64_t depth;             /* rows of columns */
    uint64_t filters;           /* of a group */
    uint64_t x_image, y_image;  /* elements from one image to the next */
    uint64_t images, positions; /* of a block */
    cl_mem columns, products;
} plan;

static uint64_t at_least(uint64_t value, uint64_t least) {
    return value < least ? least : value;
}

static uint64_t at_most(uint64_t value, uint64_t most) {
    return value > most ? most : value;
}

static bool is_plain(const ocl_conv_sizes *s) {
    bool plain = s->taps == 1;
    for (int i = 0; i < 3; i++) {
        plain = plain && s->stride[i] == 1 && s->padding[i] == 0 && s->in[i] == s->out[i];
    }
    return plain;
}

static cg_status make_plan(const ocl_convolution *conv, plan *p) {
    const ocl_conv_sizes *s = &conv->sizes;
    uint64_t outputs = (uint64_t)s->out_plane, groups = (uint64_t)s->groups, images = (uint64_t)s->images;
    *p = (plan){.conv = conv,
                .plain = is_plain(s),
                .depth = (uint64_t)s->channels * (uint64_t)s->taps,
                .filters = (uint64_t)s->filters,
                .x_image = groups * (uint64_t)s->channels * (uint64_t)s->in_plane,
                .y_image = groups * (uint64_t)s->filters * outputs,
                .images = images,
                .positions = outputs};
    if (!p->plain) {
        p->positions = at_most(at_least(BLOCK_FLOATS / p->depth, LEAST_POSITIONS), outputs);
        p->images = at_most(at_least(BLOCK_FLOATS / (p->depth * outputs), 1), images);
        CG_TRY(ocl_scratch_get(conv->device, OCL_SCRATCH_COLUMNS,
                               p->images * p->depth * p->positions * sizeof(cl_float), &p->columns));
    }
    if (conv->pass == OCL_CONV_WEIGHT) {
        p->images = at_most(at_least(BLOCK_FLOATS / (p->filters * p->depth), 1), p->images);
        CG_TRY(ocl_scratch_get(conv->device, OCL_SCRATCH_PRODUCTS, p->images * p->filters * p->depth * sizeof(cl_float),
                               &p->products));
    }
    return CG_OK;
}

static cg_status unfold(const plan *p, const block *b) {
    const ocl_conv_sizes *s = &p->conv->sizes;
    uint64_t at = s->x_at + b->image * p->x_image + b->group * (uint64_t)s->channels * (uint64_t)s->in_plane;
    return ocl_launch(p->conv->device,
                      &(ocl_call){.file = "conv_cpu.cl",
                                  .kernel = "unfold",
                                  .items = {p->depth, b->images},
                                  .group = 1,
                                  .args = {ocl_memory(p->conv->x->buffer), ocl_count(at), ocl_count(p->x_image),
                                           ocl_memory(p->columns), ocl_flag((int)b->first), ocl_flag((int)b->count),
                                           ocl_struct(s, sizeof *s)}});
}

static cg_status fold(const plan *p, const block *b) {
    const ocl_conv_sizes *s = &p->conv->sizes;
    uint64_t at = s->x_at + b->image * p->x_image + b->group * (uint64_t)s->channels * (uint64_t)s->in_plane;
    uint64_t rows = (uint64_t)s->channels * (uint64_t)s->in[0] * (uint64_t)s->in[1];
    return ocl_launch(p->conv->device,
                      &(ocl_call){.file = "conv_cpu.cl",
                                  .kernel = "fold",
                                  .items = {rows, b->images},
                                  .group = 1,
                                  .args = {ocl_memory(p->columns), ocl_memory(p->conv->x->buffer), ocl_count(at),
                                           ocl_count(p->x_image), ocl_flag((int)b->first), ocl_flag((int)b->count),
                                           ocl_flag(b->first == 0 && !s->add), ocl_struct(s, sizeof *s)}});
}

/* One product for each image of the block: c [m, n] = a' b'. */
static cg_status multiply(const plan *p, const block *b, cg_matmul_attrs attrs, cg_operand first, cg_operand second,
                          cg_operand result, bool add) {
    attrs.size = sizeof attrs;
    attrs.batch = (int64_t)b->images;
    static const cg_op_kind matmul = {.number = CG_OP_MATMUL, .name = "matmul"};
    cg_op op = {.kind = &matmul, .attrs = &attrs, .n_inputs = 2, .n_outputs = 1, .accumulate = add};
    op.inputs[0] = first;
    op.inputs[1] = second;
    op.outputs[0] = result;
    return ocl_matmul(p->conv->device, &op);
}

/* Where the block's part of the operands begins. */
static cg_operand weight_of(const plan *p, const block *b) {
    const cg_operand *weight = p->conv->weight;
    return (cg_operand){.buffer = weight->buffer, .offset = weight->offset + b->group * p->filters * p->depth};
}

static cg_operand y_of(const plan *p, const block *b) {
    const cg_operand *y = p->conv->y;
    uint64_t group = p->filters * (uint64_t)p->conv->sizes.out_plane;
    return (cg_operand){.buffer = y->buffer, .offset = y->offset + b->image * p->y_image + b->group * group + b->first};
}

/* The columns, and how they are stored: rows `ld` apart, images `stride` apart. */
static cg_operand columns_of(const plan *p, const block *b, int64_t *ld, int64_t *stride) {
    *ld = (int64_t)b->count;
    *stride = (int64_t)(p->depth * b->count);
    if (!p->plain) {
        return (cg_operand){.buffer = p->columns};
    }
    const cg_operand *x = p->conv->x;
    *stride = (int64_t)p->x_image;
    return (cg_operand){.buffer = x->buffer,
                        .offset = x->offset + b->image * p->x_image + b->group * p->depth * b->count};
}

static cg_status forward_block(const plan *p, const block *b) {
    cg_matmul_attrs attrs = {.m = (int64_t)p->filters,
                             .n = (int64_t)b->count,
                             .k = (int64_t)p->depth,
                             .lda = (int64_t)p->depth,
                             .ldc = p->conv->sizes.out_plane,
                             .stride_c = (int64_t)p->y_image};
    cg_operand columns = columns_of(p, b, &attrs.ldb, &attrs.stride_b);
    CG_TRY(p->plain ? CG_OK : unfold(p, b));
    bool add = p->conv->sizes.add || p->conv->sizes.has_bias;
    return multiply(p, b, attrs, weight_of(p, b), columns, y_of(p, b), add);
}

static cg_status input_block(const plan *p, const block *b) {
    cg_matmul_attrs attrs = {.transpose_a = 1,
                             .m = (int64_t)p->depth,
                             .n = (int64_t)b->count,
                             .k = (int64_t)p->filters,
                             .lda = (int64_t)p->depth,
                             .ldb = p->conv->sizes.out_plane,
                             .stride_b = (int64_t)p->y_image};
    cg_operand columns = columns_of(p, b, &attrs.ldc, &attrs.stride_c);
    CG_TRY(multiply(p, b, attrs, weight_of(p, b), y_of(p, b), columns, p->plain && p->conv->sizes.add));
    return p->plain ? CG_OK : fold(p, b);
}

/* Each image's product by itself, and their sum. */
static cg_status weight_block(const plan *p, const block *b) {
    cg_matmul_attrs attrs = {.transpose_b = 1,
                             .m = (int64_t)p->filters,
                             .n = (int64_t)p->depth,
                             .k = (int64_t)b->count,
                             .lda = p->conv->sizes.out_plane,
                             .ldc = (int64_t)p->depth,
                             .stride_a = (int64_t)p->y_image,
                             .stride_c = (int64_t)(p->filters * p->depth)};
    cg_operand columns = columns_of(p, b, &attrs.ldb, &attrs.stride_b), to = weight_of(p, b);
    bool add = p->conv->sizes.add || b->image > 0 || b->first > 0;
    CG_TRY(p->plain ? CG_OK : unfold(p, b));
    if (b->images == 1) {
        return multiply(p, b, attrs, y_of(p, b), columns, to, add);
    }
    CG_TRY(multiply(p, b, attrs, y_of(p, b), columns, (cg_operand){.buffer = p->products}, false));
    ocl_sum_job join = {.from = p->products,
                        .to = to.buffer,
                        .to_at = to.offset,
                        .outer = 1,
                        .reduce = b->images,
                        .inner = p->filters * p->depth,
                        .scale = 1.0,
                        .add = add};
    return ocl_sum_run(p->conv->device, &join);
}

static cg_status add_bias(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_cpu.cl",
                                                .kernel = "add_bias",
                                                .items = {(size_t)s->images * (size_t)s->groups * (size_t)s->filters},
                                                .group = 1,
                                                .args = {ocl_memory(conv->bias->buffer), ocl_memory(conv->y->buffer),
                                                         ocl_struct(s, sizeof *s)}});
}

cg_status ocl_conv_columns(const ocl_convolution *conv) {
    static cg_status (*const passes[])(const plan *, const block *) = {forward_block, input_block, weight_block};
    plan p;
    CG_TRY(make_plan(conv, &p));
    CG_TRY(conv->bias != NULL ? add_bias(conv) : CG_OK);
    uint64_t images = (uint64_t)conv->sizes.images, outputs = (uint64_t)conv->sizes.out_plane;
    for (uint64_t group = 0; group < (uint64_t)conv->sizes.groups; group++) {
        for (uint64_t image = 0; image < images; image += p.images) {
            for (uint64_t first = 0; first < outputs; first += p.positions) {
                block b = {group, image, at_most(p.images, images - image), first,
                           at_most(p.positions, outputs - first)};
                CG_TRY(passes[conv->pass](&p, &b));
            }
        }
    }
    return CG_OK;
}
