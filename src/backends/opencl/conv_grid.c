/* Convolution with a stride of 1 on a CPU: grids of some images at a time, and the kernels of conv_grid.cl. */
#include "conv.h"

#include <stdio.h>

#define BLOCK_FLOATS 1048576u /* of a grid at a time: it should stay in the last cache */
#define FEW_ITEMS 256         /* below this a gradient of the weights is cut by images, too: by shape alone */
#define FILTERS 4             /* as in cl/conv_grid.cl */
#define MOST_TAPS 3

/* The next two as in cl/conv_grid.cl. */
typedef struct grid_conv {
    cl_int groups, rows, channels;
    cl_int kernel[3], step[3];
    cl_int grid_h, grid_w, out[3];
    cl_int run, grid_plane, out_plane, taps;
    cl_int add, has_bias;
} grid_conv;

typedef struct grid_copy {
    cl_int dim[3], grid[3], at[3];
    cl_int grid_plane, planes, behind;
} grid_copy;

/* Planes that lie in a tensor, and the grids they are copied into. */
typedef struct planes {
    const cg_operand *tensor;
    grid_copy copy;
    uint64_t plane; /* elements */
    uint64_t each;  /* planes of an image, over all groups */
} planes;

static cl_int volume(const cl_int *dim) {
    return dim[0] * dim[1] * dim[2];
}

/* A tensor's planes of `dim` elements, `at` from the edges of a grid, which has `slack` zeros behind it. */
static planes planes_of(const cg_operand *tensor, uint64_t each, const cl_int *dim, const cl_int *grid,
                        const cl_int *at, size_t slack) {
    planes p = {.tensor = tensor, .each = each, .plane = (uint64_t)volume(dim)};
    p.copy.grid_plane = volume(grid) + (cl_int)slack;
    for (int i = 0; i < 3; i++) {
        p.copy.dim[i] = dim[i];
        p.copy.grid[i] = grid[i];
        p.copy.at[i] = at[i];
    }
    return p;
}

/* Copies some images' planes. `behind`: what may be read beyond the last grid. */
static cg_status copy_planes(const ocl_convolution *conv, planes *p, uint64_t image, uint64_t images, uint64_t behind,
                             ocl_scratch_use kind, cl_mem *grid) {
    uint64_t count = images * p->each, at = p->tensor->offset + image * p->each * p->plane;
    p->copy.planes = (cl_int)count;
    p->copy.behind = (cl_int)behind;
    CG_TRY(
        ocl_scratch_get(conv->device, kind, (count * (uint64_t)p->copy.grid_plane + behind) * sizeof(cl_float), grid));
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_grid.cl",
                                                .kernel = "to_grid",
                                                .defines = "-DCG_VECTORS=2",
                                                .items = {count},
                                                .group = 1,
                                                .args = {ocl_memory(p->tensor->buffer), ocl_count(at),
                                                         ocl_memory(*grid), ocl_struct(&p->copy, sizeof p->copy)}});
}

/* Of outputs `out` from grids `grid`: what lies between neighbours along an axis, and the run of all outputs. */
static grid_conv grid_of(const ocl_conv_sizes *s, const cl_int *grid, const cl_int *out) {
    cl_int apart[3] = {grid[1] * grid[2], grid[2], 1};
    grid_conv g = {.groups = s->groups,
                   .grid_h = grid[1],
                   .grid_w = grid[2],
                   .grid_plane = volume(grid),
                   .out_plane = volume(out),
                   .taps = s->taps,
                   .add = s->add,
                   .has_bias = s->has_bias};
    for (int i = 0; i < 3; i++) {
        g.kernel[i] = s->kernel[i];
        g.step[i] = s->dilation[i] * apart[i];
        g.out[i] = out[i];
        g.run += (out[i] - 1) * apart[i];
    }
    g.run++;
    return g;
}

/* How far behind its first element the last one is that a tap reads. */
static uint64_t reach_of(const grid_conv *g) {
    uint64_t reach = 0;
    for (int i = 0; i < 3; i++) {
        reach += (uint64_t)(g->kernel[i] - 1) * (uint64_t)g->step[i];
    }
    return reach;
}

static uint64_t images_at_once(const ocl_convolution *conv, uint64_t floats) {
    uint64_t fit = floats > 0 ? BLOCK_FLOATS / floats : 1, images = (uint64_t)conv->sizes.images;
    fit = fit > 0 ? fit : 1;
    return fit < images ? fit : images;
}

/* A convolution of the grids of `from` whose result is `to`. */
typedef struct tiles {
    planes from;
    const cg_operand *to;
    grid_conv grid;
    uint64_t tile_rows, tile_columns, row_tiles;
    const char *defines;
    cl_mem panels;
} tiles;

static void plan_tiles(const ocl_convolution *conv, tiles *t) {
    uint64_t width = conv->device->width, vectors = (uint64_t)t->grid.run <= width ? 1 : 2;
    t->tile_rows = width == 16 ? 12 : 6;
    t->tile_columns = vectors * width;
    t->row_tiles = ocl_ceil((uint64_t)t->grid.rows, t->tile_rows);
    t->defines = vectors == 1 ? "-DCG_VECTORS=1" : "-DCG_VECTORS=2";
}

static cg_status pack_weights(const ocl_convolution *conv, tiles *t) {
    uint64_t depth = (uint64_t)t->grid.channels * (uint64_t)t->grid.taps, groups = (uint64_t)t->grid.groups;
    CG_TRY(ocl_scratch_get(conv->device, OCL_SCRATCH_A, groups * t->row_tiles * t->tile_rows * depth * sizeof(cl_float),
                           &t->panels));
    return ocl_launch(
        conv->device,
        &(ocl_call){.file = "conv_grid.cl",
                    .kernel = "pack_weights",
                    .defines = t->defines,
                    .items = {t->row_tiles, groups},
                    .group = 1,
                    .args = {ocl_memory(conv->weight->buffer), ocl_count(conv->weight->offset), ocl_memory(t->panels),
                             ocl_struct(&t->grid, sizeof t->grid), ocl_flag(conv->pass == OCL_CONV_INPUT)}});
}

static cg_status run_images(const ocl_convolution *conv, tiles *t, uint64_t image, uint64_t images) {
    cl_mem grid;
    const grid_conv *g = &t->grid;
    uint64_t groups = (uint64_t)g->groups, each = groups * (uint64_t)g->rows * (uint64_t)g->out_plane;
    CG_TRY(copy_planes(conv, &t->from, image, images, t->tile_columns + reach_of(g), OCL_SCRATCH_COLUMNS, &grid));
    const cg_operand *bias = conv->bias != NULL ? conv->bias : t->to;
    return ocl_launch(
        conv->device,
        &(ocl_call){.file = "conv_grid.cl",
                    .kernel = "conv_grid",
                    .defines = t->defines,
                    .items = {t->row_tiles * ocl_ceil((uint64_t)g->run, t->tile_columns), images * groups},
                    .group = 1,
                    .args = {ocl_memory(t->panels), ocl_memory(grid), ocl_memory(t->to->buffer),
                             ocl_count(t->to->offset + image * each), ocl_memory(bias->buffer), ocl_count(bias->offset),
                             ocl_struct(g, sizeof *g)}});
}

static cg_status run_tiles(const ocl_convolution *conv, tiles *t) {
    uint64_t images = (uint64_t)conv->sizes.images;
    uint64_t at_once = images_at_once(conv, t->from.each * (uint64_t)t->from.copy.grid_plane);
    plan_tiles(conv, t);
    CG_TRY(pack_weights(conv, t));
    for (uint64_t image = 0; image < images; image += at_once) {
        CG_TRY(run_images(conv, t, image, images - image < at_once ? images - image : at_once));
    }
    return CG_OK;
}

static uint64_t in_planes(const ocl_conv_sizes *s) {
    return (uint64_t)s->groups * (uint64_t)s->channels;
}

static uint64_t out_planes(const ocl_conv_sizes *s) {
    return (uint64_t)s->groups * (uint64_t)s->filters;
}

static void padded(const ocl_conv_sizes *s, cl_int *grid) {
    for (int i = 0; i < 3; i++) {
        grid[i] = s->in[i] + 2 * s->padding[i];
    }
}

static cg_status forward(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    cl_int grid[3];
    padded(s, grid);
    tiles t = {.from = planes_of(conv->x, in_planes(s), s->in, grid, s->padding, 0),
               .to = conv->y,
               .grid = grid_of(s, grid, s->out)};
    t.grid.rows = s->filters;
    t.grid.channels = s->channels;
    return run_tiles(conv, &t);
}

/* dx is dy, with as much padding as lets each input meet all taps, convolved with the weights turned round. */
static cg_status input(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    cl_int grid[3], at[3];
    for (int i = 0; i < 3; i++) {
        cl_int reach = (s->kernel[i] - 1) * s->dilation[i];
        grid[i] = s->in[i] + reach;
        at[i] = reach - s->padding[i];
    }
    tiles t = {
        .from = planes_of(conv->y, out_planes(s), s->out, grid, at, 0), .to = conv->x, .grid = grid_of(s, grid, s->in)};
    t.grid.rows = s->channels;
    t.grid.channels = s->filters;
    return run_tiles(conv, &t);
}

/* A gradient of the weights: sums of dy in a grid times x in a grid. */
typedef struct sums {
    planes x, dy;
    grid_conv grid;
    uint64_t items, parts;
    char defines[24];
} sums;

static sums sums_of(const ocl_convolution *conv) {
    static const cl_int edge[3] = {0, 0, 0};
    const ocl_conv_sizes *s = &conv->sizes;
    cl_int grid[3];
    padded(s, grid);
    cl_int dy_grid[3] = {s->out[0], grid[1], grid[2]};
    size_t slack = conv->device->width; /* a run's last vector reads so far */
    sums w = {.x = planes_of(conv->x, in_planes(s), s->in, grid, s->padding, slack),
              .dy = planes_of(conv->y, out_planes(s), s->out, dy_grid, edge, slack),
              .grid = grid_of(s, grid, s->out)};
    w.grid.rows = s->filters;
    w.grid.channels = s->channels;
    w.grid.grid_plane = w.x.copy.grid_plane;
    w.items = (uint64_t)(s->kernel[0] * s->kernel[1] * s->channels) * ocl_ceil((uint64_t)s->filters, FILTERS);
    snprintf(w.defines, sizeof w.defines, "-DCG_TAPS=%d", s->kernel[2] < MOST_TAPS ? s->kernel[2] : MOST_TAPS);
    return w;
}

static cg_status launch_sums(const ocl_convolution *conv, const sums *w, cl_mem x, cl_mem dy, cl_mem to, uint64_t to_at,
                             uint64_t images) {
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_grid.cl",
                                                .kernel = "conv_grid_weight",
                                                .defines = w->defines,
                                                .items = {w->items, (size_t)w->grid.groups, w->parts},
                                                .group = 1,
                                                .args = {ocl_memory(x), ocl_memory(dy), ocl_flag(w->dy.copy.grid_plane),
                                                         ocl_memory(to), ocl_count(to_at), ocl_flag((int)images),
                                                         ocl_struct(&w->grid, sizeof w->grid)}});
}

/* Where there are few weights some images each have sums of their own, which are added. */
static cg_status sum_images(const ocl_convolution *conv, sums *w, uint64_t image, uint64_t images) {
    cl_mem x, dy, products;
    const cg_operand *to = conv->weight;
    bool add = conv->sizes.add || image > 0;
    uint64_t wanted = FEW_ITEMS / w->items;
    w->parts = wanted < 1 ? 1 : wanted < images ? wanted : images;
    CG_TRY(copy_planes(conv, &w->x, image, images, reach_of(&w->grid), OCL_SCRATCH_COLUMNS, &x));
    CG_TRY(copy_planes(conv, &w->dy, image, images, 0, OCL_SCRATCH_B, &dy));
    w->grid.add = add && w->parts == 1;
    if (w->parts == 1) {
        return launch_sums(conv, w, x, dy, to->buffer, to->offset, images);
    }
    uint64_t weights = out_planes(&conv->sizes) * (uint64_t)w->grid.channels * (uint64_t)w->grid.taps;
    CG_TRY(ocl_scratch_get(conv->device, OCL_SCRATCH_PRODUCTS, w->parts * weights * sizeof(cl_float), &products));
    CG_TRY(launch_sums(conv, w, x, dy, products, 0, images));
    ocl_sum_job join = {.from = products,
                        .to = to->buffer,
                        .to_at = to->offset,
                        .outer = 1,
                        .reduce = w->parts,
                        .inner = weights,
                        .scale = 1.0,
                        .add = add};
    return ocl_sum_run(conv->device, &join);
}

static cg_status weight(const ocl_convolution *conv) {
    sums w = sums_of(conv);
    uint64_t images = (uint64_t)conv->sizes.images;
    uint64_t at_once =
        images_at_once(conv, w.x.each * (uint64_t)w.x.copy.grid_plane + w.dy.each * (uint64_t)w.dy.copy.grid_plane);
    for (uint64_t image = 0; image < images; image += at_once) {
        CG_TRY(sum_images(conv, &w, image, images - image < at_once ? images - image : at_once));
    }
    return CG_OK;
}

cg_status ocl_conv_grid(const ocl_convolution *conv) {
    static cg_status (*const passes[])(const ocl_convolution *) = {forward, input, weight};
    return passes[conv->pass](conv);
}
