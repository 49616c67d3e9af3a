/*
 * Matrix products. The CPU shape packs B, and A where that pays, block of k by block of k, and computes register tiles;
 * the GPU shape computes tiles of work-groups, with CLBlast in its place on a real GPU.
 */
#include "ocl.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_BLOCK 1024            /* of k: a panel of B stays in a core's own cache */
#define PACK_LIMIT ((size_t)64 << 20) /* bytes of panels at a time */
#define ITEMS_PER_UNIT 16             /* at least, where there are so many: cores are not equally fast */
#define MOST_TILES 4
#define PACK_LEAST_RUN 64
#define FAR UINT64_MAX /* no edge: panels are filled up with zeros */

/* The next two as in cl/matmul_cpu.cl. */
typedef struct source {
    cl_ulong at, batch, outer, step, last;
} source;

typedef struct result {
    cl_ulong m, n, k;
    cl_ulong at, batch, ld, bias_at;
    cl_ulong add, has_bias, relu;
    cl_ulong row_tiles, column_tiles, columns_first;
} result;

/* As in cl/pack_cpu.cl. */
typedef struct packing {
    cl_ulong lines, k;
    cl_ulong at, batch, outer, step;
    cl_ulong to_batch;
    cl_ulong run, runs, panels, items;
} packing;

typedef struct product {
    ocl_device *device;
    const cg_matmul_attrs *attrs;
    const cg_operand *a, *b, *c, *bias; /* bias NULL: none */
    bool add, relu;
    uint64_t m, n, k, batch;
    uint64_t tile_rows, tile_columns;
    bool packs_a, packs_b;
    char defines[48];
} product;

/* A's rows or B's columns, `outer` elements apart; `step` from one k to the next. */
typedef struct side {
    const cg_operand *operand;
    uint64_t lines, outer, step, stride;
    uint64_t panel_lines;
    bool packs;
    ocl_scratch_use panels;
} side;

/* A part of a product: some matrices of the batch, some of k. */
typedef struct slice {
    uint64_t first, matrices;
    uint64_t k0, k;
} slice;

static bool has_bias(const cg_op *op) {
    return op->n_inputs > 2 && op->inputs[2].buffer != NULL;
}

static product product_of(ocl_device *device, const cg_op *op) {
    const cg_matmul_attrs *attrs = op->attrs;
    return (product){.device = device,
                     .attrs = attrs,
                     .a = &op->inputs[0],
                     .b = &op->inputs[1],
                     .c = &op->outputs[0],
                     .bias = has_bias(op) ? &op->inputs[2] : NULL,
                     .add = (op->accumulate & 1) != 0,
                     .relu = op->kind->number == CG_OP_MATMUL_RELU,
                     .m = (uint64_t)attrs->m,
                     .n = (uint64_t)attrs->n,
                     .k = (uint64_t)attrs->k,
                     .batch = (uint64_t)attrs->batch};
}

/* Panels pay when they are read often, and are needed where a matrix is smaller than a tile or lies across it. */
static void plan_tiles(product *p) {
    unsigned width = p->device->width;
    unsigned vectors = p->n <= width ? 1 : 2;
    p->tile_rows = width == 16 ? 12 : 6;
    p->tile_columns = vectors * width;
    p->packs_a = p->m < p->tile_rows || p->n > 4 * p->tile_columns;
    p->packs_b = p->attrs->transpose_b || p->n < p->tile_columns || p->m > 4 * p->tile_rows;
    snprintf(p->defines, sizeof p->defines, "-DCG_VECTORS=%u -DCG_APART=%d", vectors,
             !p->packs_a && !p->attrs->transpose_a);
}

static uint64_t panels_a(const product *p) {
    return ocl_ceil(p->m, p->tile_rows);
}

static uint64_t panels_b(const product *p) {
    return ocl_ceil(p->n, p->tile_columns);
}

static side side_a(const product *p) {
    const cg_matmul_attrs *attrs = p->attrs;
    uint64_t ld = (uint64_t)attrs->lda;
    return (side){.operand = p->a,
                  .lines = p->m,
                  .outer = attrs->transpose_a ? 1 : ld,
                  .step = attrs->transpose_a ? ld : 1,
                  .stride = (uint64_t)attrs->stride_a,
                  .panel_lines = p->tile_rows,
                  .packs = p->packs_a,
                  .panels = OCL_SCRATCH_A};
}

static side side_b(const product *p) {
    const cg_matmul_attrs *attrs = p->attrs;
    uint64_t ld = (uint64_t)attrs->ldb;
    return (side){.operand = p->b,
                  .lines = p->n,
                  .outer = attrs->transpose_b ? ld : 1,
                  .step = attrs->transpose_b ? 1 : ld,
                  .stride = (uint64_t)attrs->stride_b,
                  .panel_lines = p->tile_columns,
                  .packs = p->packs_b,
                  .panels = OCL_SCRATCH_B};
}

/* How much of k an item packs: what it reads along k comes faster the longer it goes on; but all cores want items. A
 * multiple of any device's width. */
static uint64_t pack_run(const product *p, uint64_t k, uint64_t panels) {
    uint64_t wanted = ITEMS_PER_UNIT * p->device->info.units, parts = panels < wanted ? ocl_ceil(wanted, panels) : 1;
    uint64_t run = ocl_ceil(ocl_ceil(k, parts), 16) * 16;
    return run > PACK_LEAST_RUN ? run : PACK_LEAST_RUN;
}

/* Where the tiles find a side: in place, or in panels; then `how` has items. */
static cg_status place_side(const product *p, const side *s, const slice *part, cl_mem *memory, source *from,
                            packing *how) {
    uint64_t at = s->operand->offset + part->first * s->stride + part->k0 * s->step;
    *memory = s->operand->buffer;
    *how = (packing){.items = 0};
    if (!s->packs) {
        *from = (source){at, s->stride, s->outer, s->step, s->lines - s->panel_lines};
        return CG_OK;
    }
    uint64_t panels = ocl_ceil(s->lines, s->panel_lines), matrices = s->stride == 0 ? 1 : part->matrices;
    uint64_t to_batch = panels * s->panel_lines * part->k;
    *from = (source){0, s->stride == 0 ? 0 : to_batch, part->k, s->panel_lines, FAR};
    if (part->k == 0) {
        return CG_OK;
    }
    uint64_t run = pack_run(p, part->k, panels * matrices), runs = ocl_ceil(part->k, run);
    *how = (packing){.lines = s->lines,
                     .k = part->k,
                     .at = at,
                     .batch = s->stride,
                     .outer = s->outer,
                     .step = s->step,
                     .to_batch = to_batch,
                     .run = run,
                     .runs = runs,
                     .panels = panels,
                     .items = panels * runs * matrices};
    return ocl_scratch_get(p->device, s->panels, matrices * to_batch * sizeof(cl_float), memory);
}

static cg_status pack(const product *p, cl_mem panels_a, const packing *a, cl_mem panels_b, const packing *b) {
    return ocl_launch(p->device,
                      &(ocl_call){.file = "pack_cpu.cl",
                                  .kernel = "pack",
                                  .defines = p->tile_columns > p->device->width ? "-DCG_VECTORS=2" : "-DCG_VECTORS=1",
                                  .items = {a->items + b->items},
                                  .group = 1,
                                  .args = {ocl_memory(p->a->buffer), ocl_memory(panels_a), ocl_struct(a, sizeof *a),
                                           ocl_memory(p->b->buffer), ocl_memory(panels_b), ocl_struct(b, sizeof *b)}});
}

static result result_of(const product *p, const slice *part) {
    bool last = part->k0 + part->k == p->k;
    return (result){.m = p->m,
                    .n = p->n,
                    .k = part->k,
                    .at = p->c->offset + part->first * (uint64_t)p->attrs->stride_c,
                    .batch = (uint64_t)p->attrs->stride_c,
                    .ld = (uint64_t)p->attrs->ldc,
                    .bias_at = p->bias != NULL ? p->bias->offset : 0,
                    .add = p->add || part->k0 > 0,
                    .has_bias = p->bias != NULL && last,
                    .relu = p->relu && last,
                    .row_tiles = panels_a(p),
                    .column_tiles = panels_b(p),
                    .columns_first = panels_b(p) <= 4};
}

/* How many tiles an item does: it begins once for all of them. */
static uint64_t tiles_each(const product *p, uint64_t tiles) {
    uint64_t items = ITEMS_PER_UNIT * p->device->info.units, each = tiles / items;
    return each < 1 ? 1 : each > MOST_TILES ? MOST_TILES : each;
}

static cg_status run_part(const product *p, const slice *part) {
    cl_mem a, b;
    source from_a, from_b;
    packing how_a, how_b;
    const side of_a = side_a(p), of_b = side_b(p);
    CG_TRY(place_side(p, &of_a, part, &a, &from_a, &how_a));
    CG_TRY(place_side(p, &of_b, part, &b, &from_b, &how_b));
    CG_TRY(how_a.items + how_b.items > 0 ? pack(p, a, &how_a, b, &how_b) : CG_OK);
    result to = result_of(p, part);
    const cg_operand *bias = p->bias != NULL ? p->bias : p->c;
    uint64_t tiles = to.row_tiles * to.column_tiles, each = tiles_each(p, tiles * part->matrices);
    return ocl_launch(p->device,
                      &(ocl_call){.file = "matmul_cpu.cl",
                                  .kernel = "matmul_tile",
                                  .defines = p->defines,
                                  .items = {ocl_items(tiles, each), part->matrices},
                                  .group = 1,
                                  .args = {ocl_memory(a), ocl_struct(&from_a, sizeof from_a), ocl_memory(b),
                                           ocl_struct(&from_b, sizeof from_b), ocl_memory(p->c->buffer),
                                           ocl_struct(&to, sizeof to), ocl_memory(bias->buffer), ocl_count(each)}});
}

/* The length of the blocks that k is cut into, all but the last equal. */
static uint64_t block_of(uint64_t k) {
    return k <= LONGEST_BLOCK ? k : ocl_ceil(k, ocl_ceil(k, LONGEST_BLOCK));
}

static cg_status run_tiles(product *p) {
    plan_tiles(p);
    uint64_t block = block_of(p->k);
    uint64_t panels = (panels_a(p) * p->tile_rows + panels_b(p) * p->tile_columns) * block * sizeof(cl_float);
    uint64_t at_once = panels > 0 && PACK_LIMIT / panels > 0 ? PACK_LIMIT / panels : 1;
    for (uint64_t first = 0; first < p->batch; first += at_once) {
        uint64_t matrices = p->batch - first < at_once ? p->batch - first : at_once;
        uint64_t k0 = 0;
        do {
            uint64_t k = p->k - k0 < block ? p->k - k0 : block;
            CG_TRY(run_part(p, &(slice){first, matrices, k0, k}));
            k0 += k;
        } while (k0 < p->k);
    }
    return CG_OK;
}

/* One column, both vectors without gaps: dot products need no panels. */
static bool is_dot(const product *p) {
    return p->n == 1 && !p->attrs->transpose_a && (p->attrs->transpose_b || p->attrs->ldb == 1);
}

static cg_status run_dot(product *p) {
    plan_tiles(p);
    slice whole = {0, p->batch, 0, p->k};
    source a = {p->a->offset, (cl_ulong)p->attrs->stride_a, (cl_ulong)p->attrs->lda, 1, FAR};
    source b = {p->b->offset, (cl_ulong)p->attrs->stride_b, 1, 1, FAR};
    result to = result_of(p, &whole);
    const cg_operand *bias = p->bias != NULL ? p->bias : p->c;
    uint64_t each = ocl_each(p->device, p->k);
    return ocl_launch(p->device,
                      &(ocl_call){.file = "matmul_cpu.cl",
                                  .kernel = "matmul_vector",
                                  .defines = p->defines,
                                  .items = {ocl_items(p->m, each), p->batch},
                                  .group = 1,
                                  .args = {ocl_memory(p->a->buffer), ocl_struct(&a, sizeof a), ocl_memory(p->b->buffer),
                                           ocl_struct(&b, sizeof b), ocl_memory(p->c->buffer),
                                           ocl_struct(&to, sizeof to), ocl_memory(bias->buffer), ocl_count(each)}});
}

/* What a work-group computes, in cl/FILE, and what one multiply-add costs there, beside the others. */
typedef struct gpu_tile {
    const char *name, *file, *kernel, *defines;
    uint64_t rows, columns, items, cost;
} gpu_tile;

#define GPU_TILES 3

/* Where registers are few, and elsewhere, by the number of a way. */
static const gpu_tile tiles[2][GPU_TILES] = {
    {{"16 x 16", "matmul_small.cl", "matmul_small", "", 16, 16, 64, 64},
     {"128 x 64", "matmul_gpu.cl", "matmul_gpu", "-DCG_ITEM_ROWS=8 -DCG_ITEMS=128 ", 128, 64, 128, 13},
     {"128 x 128", "matmul_gpu.cl", "matmul_gpu", "-DCG_ITEM_ROWS=8 -DCG_ITEMS=256 ", 128, 128, 256, 12}},
    {{"16 x 16", "matmul_small.cl", "matmul_small", "", 16, 16, 64, 64},
     {"128 x 64", "matmul_gpu.cl", "matmul_gpu", "-DCG_ITEM_ROWS=4 -DCG_ITEMS=256 ", 128, 64, 256, 16}},
};

#define GPU_FEW_GROUPS 128 /* below this a GPU is not full */
#define GPU_PART_K 512     /* the least of k that a work-group should have */

/* As in cl/matmul_job.cl. */
typedef struct gpu_product {
    cl_ulong m, n, k;
    cl_ulong a_at, b_at, c_at, bias_at;
    cl_ulong lda, ldb, ldc;
    cl_ulong stride_a, stride_b, stride_c;
    cl_ulong parts, part_k;
    cl_ulong add, has_bias, relu;
} gpu_product;

static uint64_t tiles_of(const product *p, const gpu_tile *tile) {
    return ocl_ceil(p->m, tile->rows) * ocl_ceil(p->n, tile->columns);
}

/* NULL: there is none. */
static const gpu_tile *tile_at(const ocl_device *device, size_t i) {
    const gpu_tile *tile = i < GPU_TILES ? &tiles[ocl_few_registers(device)][i] : NULL;
    return tile != NULL && tile->name != NULL ? tile : NULL;
}

const char *ocl_way_name(const ocl_device *device, ocl_way way) {
    if (way <= OCL_WAY_CLBLAST) {
        return way == OCL_WAY_CLBLAST ? "CLBlast" : NULL;
    }
    const gpu_tile *tile = tile_at(device, (size_t)(way - OCL_WAY_TILE));
    return tile != NULL ? tile->name : NULL;
}

static ocl_way way_of(const product *p) {
    const cg_matmul_attrs *attrs = p->attrs;
    const ocl_tuned like = {.m = p->m,
                            .n = p->n,
                            .k = p->k,
                            .transposed = (attrs->transpose_a ? OCL_A_TRANSPOSED : 0) |
                                          (attrs->transpose_b ? OCL_B_TRANSPOSED : 0)};
    ocl_way way = p->device->way != OCL_WAY_USUAL ? p->device->way : ocl_tuned_way(p->device, &like);
    return way == OCL_WAY_USUAL && p->device->usual_library ? OCL_WAY_CLBLAST : way;
}

/* The tile of this way, else the cheapest. */
static const gpu_tile *tile_for(const product *p) {
    ocl_way way = way_of(p);
    const gpu_tile *best = NULL, *tile;
    uint64_t least = UINT64_MAX;
    if (way >= OCL_WAY_TILE) {
        return tile_at(p->device, (size_t)(way - OCL_WAY_TILE));
    }
    for (size_t i = 0; (tile = tile_at(p->device, i)) != NULL; i++) {
        uint64_t cost = tiles_of(p, tile) * tile->rows * tile->columns * tile->cost;
        if (cost <= least) { /* of two the larger */
            least = cost;
            best = tile;
        }
    }
    return best;
}

/* How many parts to cut k into when there are few tiles and k is long: a weight's gradient over many rows. By shape
 * alone. */
static uint64_t parts_of(const product *p, const gpu_tile *tile) {
    uint64_t groups = tiles_of(p, tile);
    bool plain = p->batch == 1 && p->bias == NULL && !p->relu && (uint64_t)p->attrs->ldc == p->n;
    uint64_t most = p->k / GPU_PART_K, wanted = GPU_FEW_GROUPS / groups;
    uint64_t parts = most < wanted ? most : wanted;
    return plain && parts > 1 ? parts : 1;
}

static cg_status launch_gpu(const product *p, const gpu_tile *tile, cl_mem c, const gpu_product *g) {
    const cg_operand *bias = p->bias != NULL ? p->bias : p->c;
    char defines[96];
    snprintf(defines, sizeof defines, "%s-DCG_TRANSPOSE_A=%d -DCG_TRANSPOSE_B=%d -DCG_SUBGROUP=%u", tile->defines,
             p->attrs->transpose_a != 0, p->attrs->transpose_b != 0, p->device->subgroup);
    return ocl_launch(p->device, &(ocl_call){.file = tile->file,
                                             .kernel = tile->kernel,
                                             .defines = defines,
                                             .items = {ocl_ceil(p->n, tile->columns) * tile->items,
                                                       ocl_ceil(p->m, tile->rows), p->batch * g->parts},
                                             .group = tile->items,
                                             .args = {ocl_memory(p->a->buffer), ocl_memory(p->b->buffer), ocl_memory(c),
                                                      ocl_memory(bias->buffer), ocl_struct(g, sizeof *g)}});
}

static cg_status run_gpu(const product *p) {
    const cg_matmul_attrs *attrs = p->attrs;
    const gpu_tile *tile = tile_for(p);
    gpu_product g = {.m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .a_at = p->a->offset,
                     .b_at = p->b->offset,
                     .c_at = p->c->offset,
                     .bias_at = p->bias != NULL ? p->bias->offset : 0,
                     .lda = (cl_ulong)attrs->lda,
                     .ldb = (cl_ulong)attrs->ldb,
                     .ldc = (cl_ulong)attrs->ldc,
                     .stride_a = (cl_ulong)attrs->stride_a,
                     .stride_b = (cl_ulong)attrs->stride_b,
                     .stride_c = (cl_ulong)attrs->stride_c,
                     .parts = parts_of(p, tile),
                     .part_k = p->k,
                     .add = p->add,
                     .has_bias = p->bias != NULL,
                     .relu = p->relu};
    if (g.parts == 1) {
        return launch_gpu(p, tile, p->c->buffer, &g);
    }
    ocl_sum_job join = {.to = p->c->buffer, .to_at = p->c->offset, .outer = 1, .inner = p->m * p->n, .scale = 1.0};
    join.reduce = g.parts;
    join.add = p->add;
    CG_TRY(ocl_scratch_get(p->device, OCL_SCRATCH_A, g.parts * join.inner * sizeof(cl_float), &join.from));
    g.part_k = ocl_ceil(p->k, g.parts);
    g.c_at = 0;
    g.stride_c = join.inner;
    g.add = 0;
    CG_TRY(launch_gpu(p, tile, join.from, &g));
    return ocl_sum_run(p->device, &join);
}

/* Behind a product of the library. */
static cg_status relu_in_place(ocl_device *device, const cg_operand *c) {
    static const cg_op_kind relu = {.number = CG_OP_RELU, .name = "relu"};
    const cg_elementwise_attrs attrs = {.size = sizeof attrs};
    const cg_op op = {.kind = &relu, .attrs = &attrs, .n_inputs = 1, .n_outputs = 1, .inputs = {*c}, .outputs = {*c}};
    return ocl_elementwise(device, &op);
}

cg_status ocl_matmul(ocl_device *device, const cg_op *op) {
    product p = product_of(device, op);
    if (way_of(&p) == OCL_WAY_CLBLAST && ocl_blas_takes(device, op)) {
        CG_TRY(ocl_blas_matmul(device, op));
        return p.relu ? relu_in_place(device, p.c) : CG_OK;
    }
    if (!device->cpu_shape) {
        return run_gpu(&p);
    }
    return is_dot(&p) ? run_dot(&p) : run_tiles(&p);
}
