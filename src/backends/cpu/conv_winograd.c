/*
 * Convolutions of 3 x 3 by Winograd's filtering (winograd.h), which takes 16 multiplications where 36 are asked for.
 * The result is cut into tiles of 2 x 2, each from a patch of 4 x 4. Some lines of tiles are done at a time, so that
 * what was transformed is still in a core's cache: 16 matrix products of filters and patches, one for each point.
 */
#include "conv_winograd.h"

#include <string.h>

#include "matmul.h"
#include "winograd.h"

#define CACHED 131072 /* floats of transformed patches that are done at a time */
#define LEAST_LINES 4
/* Below, the transforms take longer than what they save. */
#define LEAST_CHANNELS 32
#define LEAST_WIDTH_WEIGHT 6

#define LARGEST 1e18f /* beyond, sums of a patch could overflow where the convolution's do not */

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

bool cpu_winograd_takes(const cpu_convolution *v, cpu_conv_operand pass) {
    bool plane = v->in[0] == 1 && v->out[0] == 1 && v->kernel[0] == 1 && v->padding[0] == 0, taken = true;
    for (int i = 1; i < 3; i++) {
        taken = taken && v->kernel[i] == 3 && v->stride[i] == 1 && v->dilation[i] == 1 && v->padding[i] <= 2;
    }
    bool weight = pass == CPU_CONV_WEIGHT;
    int64_t lines = v->images * ceil_div((pass == CPU_CONV_X ? v->in : v->out)[1], 2);
    return plane && taken && v->groups == 1 && cpu_smaller(v->channels, v->filters) >= LEAST_CHANNELS &&
           lines >= LEAST_LINES && (!weight || v->out[2] >= LEAST_WIDTH_WEIGHT);
}

/* Without a way out of the loop, so that it becomes vector code. */
CPU_CLONES static bool is_in_range(const float *x, int64_t n) {
    int outside = 0;
    for (int64_t i = 0; i < n; i++) {
        outside |= !(x[i] >= -LARGEST && x[i] <= LARGEST); /* NaN is outside, too */
    }
    return outside == 0;
}

#define PIECES 64

typedef struct scan {
    const float *x;
    int64_t n;
    bool in_range[PIECES];
} scan;

static void scan_pieces(void *context, int64_t begin, int64_t end) {
    scan *s = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t first = s->n / PIECES * i, behind = i + 1 < PIECES ? s->n / PIECES * (i + 1) : s->n;
        s->in_range[i] = is_in_range(s->x + first, behind - first);
    }
}

bool cpu_winograd_range(const cpu_device *device, const float *x, int64_t n) {
    scan s = {.x = x, .n = n};
    bool all = true;
    cpu_parallel(device, PIECES, 8, scan_pieces, &s);
    for (int i = 0; i < PIECES; i++) {
        all = all && s.in_range[i];
    }
    return all;
}

typedef struct job {
    const cpu_tile *tile;
    const float *from, *weight, *bias;
    float *to;
    bool turned; /* the gradient of x: with the filters turned round, and channels for filters */
    bool add;
    int64_t depth, rows;   /* channels that are read and written */
    cpu_tiling in, out;    /* of the same tiles */
    int64_t edge[2];       /* rows and columns of the patches before the image */
    int64_t lines_each;    /* of a block */
    int64_t panels;        /* of a block: as many tiles as the register tile has columns */
    int64_t blocks, parts; /* parts: the threads' */
    float *filters;        /* [row panels][16][depth][tile rows] */
    float *memory;         /* of each part */
} job;

/* What a part works in. */
typedef struct part_memory {
    float *patches;  /* [panels][16][depth][tile columns] */
    float *points;   /* [16][tiles of the panels, and room]: of one channel */
    float *products; /* [panels][16][tile rows][tile columns] */
    float *results;  /* [4][tiles of the panels]: of one row */
    float *rows;     /* as of cpu_tiling_memory */
} part_memory;

/* From one point of a channel's patches to the next. */
static int64_t step_of(const job *w) {
    return w->panels * w->tile->columns + CPU_TILING_ROOM;
}

static int64_t floats_of_part(const job *w) {
    int64_t tiles = w->panels * w->tile->columns, all = tiles * (WINOGRAD_POINTS * (w->depth + w->tile->rows) + 4);
    all += WINOGRAD_POINTS * step_of(w);
    return ceil_div(all + (int64_t)cpu_tiling_memory(&w->in), 16) * 16;
}

static part_memory memory_of(const job *w, int64_t part) {
    int64_t tiles = w->panels * w->tile->columns;
    part_memory m = {.patches = w->memory + part * floats_of_part(w)};
    m.points = m.patches + WINOGRAD_POINTS * w->depth * tiles;
    m.products = m.points + WINOGRAD_POINTS * step_of(w);
    m.results = m.products + WINOGRAD_POINTS * w->tile->rows * tiles;
    m.rows = m.results + 4 * tiles;
    return m;
}

/* The taps of one row and channel of the result's filter: a weight is [filters, channels, 9]. */
static void load_filter(const job *w, int64_t row, int64_t channel, float taps[9]) {
    const float *from = w->weight + (w->turned ? channel * w->rows + row : row * w->depth + channel) * 9;
    for (int i = 0; i < 9; i++) {
        taps[i] = from[w->turned ? 8 - i : i];
    }
}

/* Transforms the filters of some panels of rows; zeros behind the last row. */
static void pack_filters(void *context, int64_t begin, int64_t end) {
    const job *w = context;
    int height = w->tile->rows;
    for (int64_t row = begin * height; row < end * height; row++) {
        for (int64_t channel = 0; channel < w->depth; channel++) {
            float taps[9] = {0}, factors[WINOGRAD_POINTS];
            if (row < w->rows) {
                load_filter(w, row, channel, taps);
            }
            winograd_filter(taps, factors);
            for (int p = 0; p < WINOGRAD_POINTS; p++) {
                int64_t line = (row / height * WINOGRAD_POINTS + p) * w->depth + channel;
                w->filters[line * height + row % height] = factors[p];
            }
        }
    }
}

typedef float eight_floats __attribute__((vector_size(32), aligned(4), may_alias));

/* A channel's transformed patches to its line in each panel. */
CPU_CLONES static void pack_points(const job *w, int64_t channel, const part_memory *m) {
    int columns = w->tile->columns;
    for (int64_t i = 0; i < w->panels * WINOGRAD_POINTS; i++) {
        const float *from = m->points + i % WINOGRAD_POINTS * step_of(w) + i / WINOGRAD_POINTS * columns;
        float *to = m->patches + (i * w->depth + channel) * columns;
        for (int lane = 0; lane < columns; lane += 8) {
            *(eight_floats *)(to + lane) = *(const eight_floats *)(from + lane);
        }
    }
}

/* Transforms the patches of a block. Behind its last tile is what lay there: those results are not stored. */
static void pack_patches(const job *w, int64_t first, int64_t count, const part_memory *m) {
    for (int64_t channel = 0; channel < w->depth; channel++) {
        cpu_tiling_patches(&w->in, w->from, channel, w->edge, first, count, m->points, step_of(w), m->rows);
        pack_points(w, channel, m);
    }
}

/* One row of a block's products to results. */
CPU_CLONES static void transform_row(const job *w, int row, const part_memory *m) {
    int columns = w->tile->columns, step = w->tile->rows * columns;
    int64_t tiles = w->panels * columns;
    for (int64_t panel = 0; panel < w->panels; panel++) {
        const float *points[WINOGRAD_POINTS];
        float *results = m->results + panel * columns;
        float *const y[] = {results, results + tiles, results + 2 * tiles, results + 3 * tiles};
        for (int p = 0; p < WINOGRAD_POINTS; p++) {
            points[p] = m->products + (panel * WINOGRAD_POINTS + p) * step + row * columns;
        }
        winograd_output(points, y, columns);
    }
}

/* The rows of one panel of filters for a block. */
static void run_rows(const job *w, int64_t row, int64_t first, int64_t count, const part_memory *m) {
    int height = w->tile->rows, columns = w->tile->columns;
    int64_t tiles = w->panels * columns;
    const float *filters = w->filters + row * WINOGRAD_POINTS * w->depth;
    for (int64_t i = 0; i < w->panels * WINOGRAD_POINTS; i++) {
        w->tile->run(w->depth, filters + i % WINOGRAD_POINTS * w->depth * height, m->patches + i * w->depth * columns,
                     m->products + i * height * columns, columns, false);
    }
    for (int r = 0; r < height && row + r < w->rows; r++) {
        float *const y[] = {m->results, m->results + tiles, m->results + 2 * tiles, m->results + 3 * tiles};
        transform_row(w, r, m);
        cpu_tiling_store(&w->out, y, w->bias != NULL ? w->bias[row + r] : 0.0f, w->add, w->to, row + r, first, count);
    }
}

static void run_parts(void *context, int64_t begin, int64_t end) {
    const job *w = context;
    for (int64_t part = begin; part < end; part++) {
        const part_memory m = memory_of(w, part);
        memset(m.points, 0, (size_t)(WINOGRAD_POINTS * step_of(w)) * sizeof *m.points);
        for (int64_t i = w->blocks * part / w->parts; i < w->blocks * (part + 1) / w->parts; i++) {
            int64_t first = i * w->lines_each, count = cpu_smaller(w->lines_each, w->out.lines - first);
            pack_patches(w, first, count, &m);
            for (int64_t row = 0; row < w->rows; row += w->tile->rows) {
                run_rows(w, row, first, count, &m);
            }
        }
    }
}

static job job_of(const cpu_convolution *v, cpu_conv_operand pass) {
    bool turned = pass == CPU_CONV_X;
    const int64_t *in = turned ? v->out : v->in, *out = turned ? v->in : v->out;
    int64_t high = ceil_div(out[1], 2), wide = ceil_div(out[2], 2);
    job w = {.from = turned ? v->dy : v->x,
             .weight = v->weight,
             .bias = v->bias,
             .to = v->result,
             .turned = turned,
             .add = v->add,
             .depth = turned ? v->filters : v->channels,
             .rows = turned ? v->channels : v->filters};
    w.in = cpu_tiling_of(v->images, w.depth, in[1], in[2], high, wide);
    w.out = cpu_tiling_of(v->images, w.rows, out[1], out[2], high, wide);
    for (int i = 0; i < 2; i++) {
        w.edge[i] = turned ? 2 - v->padding[1 + i] : v->padding[1 + i];
    }
    return w;
}

cg_status cpu_winograd(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass) {
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    job w = job_of(v, pass);
    w.tile = tiles[0];
    w.lines_each = cpu_tiling_lines(&w.out, CACHED / (WINOGRAD_POINTS * w.depth), w.tile->columns);
    w.panels = ceil_div(w.lines_each * w.out.wide, w.tile->columns);
    w.blocks = ceil_div(w.out.lines, w.lines_each);
    w.parts = cpu_smaller(device->threads, w.blocks);
    int64_t row_panels = ceil_div(w.rows, w.tile->rows);
    int64_t filter_floats = ceil_div(row_panels * WINOGRAD_POINTS * w.depth * w.tile->rows, 16) * 16;
    w.filters = cpu_scratch(device, (size_t)(filter_floats + w.parts * floats_of_part(&w)) * sizeof(float));
    if (w.filters == NULL) {
        return CG_ERR_MEMORY;
    }
    w.memory = w.filters + filter_floats;
    cpu_parallel(device, row_panels, 1, pack_filters, &w);
    cpu_parallel(device, w.parts, 1, run_parts, &w);
    return CG_OK;
}
