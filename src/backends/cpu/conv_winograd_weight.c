/*
 * The gradient of a weight of 3 x 3 by Winograd's filtering: sums over all tiles of 2 x 2 of dy, as filters, with
 * patches of 4 x 4 of x. The sums of the 16 points stay transformed until the end. Lines of tiles are cut into parts by
 * the shapes alone, each with sums of its own, which are joined in their order.
 */
#include <string.h>

#include "conv_winograd.h"
#include "matmul.h"
#include "winograd.h"

#define TILES_EACH 64 /* transformed at a time: they stay in a core's cache */
#define PARTS 16      /* that threads share */
#define JOIN_GRAIN 4096
#define PARTIAL_FLOATS 4194304 /* of all parts' sums */

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

typedef struct job {
    const cpu_convolution *v;
    const cpu_tile *tile;
    cpu_tiling x, dy;          /* of the same tiles */
    int64_t lines_each, tiles; /* tiles: of a block, and room */
    int64_t filter_panels, channel_panels;
    int64_t parts, threads;
    float *sums;   /* [parts][16][filter panels][channel panels][tile rows][tile columns] */
    float *memory; /* of each thread */
} job;

/* What a thread works in. */
typedef struct thread_memory {
    float *points;   /* [channels or filters][16][tiles] */
    float *filters;  /* [16][filter panels][tiles][tile rows] */
    float *channels; /* [16][channel panels][tiles][tile columns] */
    float *rows;     /* as of cpu_tiling_memory */
} thread_memory;

static int64_t larger_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t floats_of_thread(const job *w) {
    int64_t lines = larger_of(w->v->filters, w->v->channels) + w->filter_panels * w->tile->rows;
    lines += w->channel_panels * w->tile->columns;
    return ceil_div(WINOGRAD_POINTS * w->tiles * lines + (int64_t)cpu_tiling_memory(&w->x), 16) * 16;
}

static thread_memory memory_of(const job *w, int64_t thread) {
    thread_memory m = {.points = w->memory + thread * floats_of_thread(w)};
    m.filters = m.points + WINOGRAD_POINTS * w->tiles * larger_of(w->v->filters, w->v->channels);
    m.channels = m.filters + WINOGRAD_POINTS * w->tiles * w->filter_panels * w->tile->rows;
    m.rows = m.channels + WINOGRAD_POINTS * w->tiles * w->channel_panels * w->tile->columns;
    return m;
}

static int64_t sums_of_part(const job *w) {
    return WINOGRAD_POINTS * w->filter_panels * w->channel_panels * w->tile->rows * w->tile->columns;
}

/* `lines` transformed lines of tiles to panels [tiles][width], for each point. */
static void pack(const job *w, const float *points, int64_t lines, int64_t count, int width, float *to) {
    int64_t panels = ceil_div(lines, width);
    for (int p = 0; p < WINOGRAD_POINTS; p++) {
        cpu_gemm_pack(points + p * w->tiles, WINOGRAD_POINTS * w->tiles, 1, lines, count, width,
                      to + p * panels * count * width);
    }
}

/* Adds the products of `count` tiles to a part's sums. */
static void add_products(const job *w, int64_t count, const thread_memory *m, float *sums) {
    int rows = w->tile->rows, columns = w->tile->columns;
    for (int64_t i = 0; i < WINOGRAD_POINTS * w->filter_panels; i++) {
        const float *channels = m->channels + i / w->filter_panels * w->channel_panels * count * columns;
        for (int64_t j = 0; j < w->channel_panels; j++, sums += rows * columns) {
            w->tile->run(count, m->filters + i * count * rows, channels + j * count * columns, sums, columns, true);
        }
    }
}

static void run_part(const job *w, int64_t part, const thread_memory *m) {
    float *sums = w->sums + part * sums_of_part(w);
    int64_t begin = w->x.lines * part / w->parts, end = w->x.lines * (part + 1) / w->parts;
    memset(sums, 0, (size_t)sums_of_part(w) * sizeof *sums);
    for (int64_t first = begin; first < end; first += w->lines_each) {
        int64_t count = cpu_smaller(w->lines_each, end - first), step = WINOGRAD_POINTS * w->tiles;
        for (int64_t i = 0; i < w->v->filters; i++) {
            cpu_tiling_filters(&w->dy, w->v->dy, i, first, count, m->points + i * step, w->tiles, m->rows);
        }
        pack(w, m->points, w->v->filters, count * w->x.wide, w->tile->rows, m->filters);
        for (int64_t i = 0; i < w->v->channels; i++) {
            cpu_tiling_patches(&w->x, w->v->x, i, w->v->padding + 1, first, count, m->points + i * step, w->tiles,
                               m->rows);
        }
        pack(w, m->points, w->v->channels, count * w->x.wide, w->tile->columns, m->channels);
        add_products(w, count * w->x.wide, m, sums);
    }
}

static void run_threads(void *context, int64_t begin, int64_t end) {
    const job *w = context;
    for (int64_t thread = begin; thread < end; thread++) {
        const thread_memory m = memory_of(w, thread);
        for (int64_t i = w->parts * thread / w->threads; i < w->parts * (thread + 1) / w->threads; i++) {
            run_part(w, i, &m);
        }
    }
}

/* The first part's sums become those of all. */
static void join(void *context, int64_t begin, int64_t end) {
    const job *w = context;
    for (int64_t part = 1; part < w->parts; part++) {
        const float *from = w->sums + part * sums_of_part(w);
        for (int64_t i = begin; i < end; i++) {
            w->sums[i] += from[i];
        }
    }
}

/* The taps of some filters, from the sums. */
static void finish(void *context, int64_t begin, int64_t end) {
    const job *w = context;
    int rows = w->tile->rows, columns = w->tile->columns;
    int64_t channels = w->v->channels, step = w->filter_panels * w->channel_panels * rows * columns;
    for (int64_t i = begin * channels; i < end * channels; i++) {
        int64_t filter = i / channels, channel = i - filter * channels;
        int64_t panel = filter / rows * w->channel_panels + channel / columns;
        const float *from = w->sums + (panel * rows + filter % rows) * columns + channel % columns;
        float sums[WINOGRAD_POINTS], taps[9], *to = w->v->result + i * 9;
        for (int p = 0; p < WINOGRAD_POINTS; p++) {
            sums[p] = from[p * step];
        }
        winograd_small_output(sums, taps);
        for (int tap = 0; tap < 9; tap++) {
            to[tap] = w->v->add ? to[tap] + taps[tap] : taps[tap];
        }
    }
}

cg_status cpu_winograd_weight(cpu_device *device, const cpu_convolution *v) {
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    job w = {.v = v, .tile = tiles[0]};
    int64_t high = ceil_div(v->out[1], 2), wide = ceil_div(v->out[2], 2);
    w.x = cpu_tiling_of(v->images, v->channels, v->in[1], v->in[2], high, wide);
    w.dy = cpu_tiling_of(v->images, v->filters, v->out[1], v->out[2], high, wide);
    w.lines_each = cpu_tiling_lines(&w.x, TILES_EACH, 1);
    w.tiles = w.lines_each * wide + CPU_TILING_ROOM;
    w.filter_panels = ceil_div(v->filters, w.tile->rows);
    w.channel_panels = ceil_div(v->channels, w.tile->columns);
    int64_t most = cpu_smaller(PARTS, ceil_div(w.x.lines, w.lines_each));
    w.parts = cpu_conv_clamp(PARTIAL_FLOATS / sums_of_part(&w), 1, most);
    w.threads = cpu_smaller(device->threads, w.parts);
    int64_t floats = w.parts * sums_of_part(&w) + w.threads * floats_of_thread(&w);
    w.sums = cpu_scratch(device, (size_t)floats * sizeof(float));
    if (w.sums == NULL) {
        return CG_ERR_MEMORY;
    }
    w.memory = w.sums + w.parts * sums_of_part(&w);
    cpu_parallel(device, w.threads, 1, run_threads, &w);
    cpu_parallel(device, sums_of_part(&w), JOIN_GRAIN, join, &w);
    cpu_parallel(device, v->filters, 1, finish, &w);
    return CG_OK;
}
