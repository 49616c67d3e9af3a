/*
 * Convolution and its gradients as matrix products of columns: an image's columns, a block of positions at a time, stay
 * in a core's cache. Work is cut by the shapes alone, so that the results do not depend on the number of threads.
 */
#include "conv.h"

#include <string.h>

#include "conv_winograd.h"
#include "matmul.h"

#define COLUMN_FLOATS 65536    /* of a block of columns */
#define FEW_ITEMS 16           /* below so many, channels or images are split further */
#define PARTIAL_FLOATS 4194304 /* of a weight's gradient, one for each part of the images */
#define ITEM_WORK 32768        /* multiply-adds that are worth a thread */

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static cpu_convolution conv_of(const cg_op *op, const cg_operand *x, const cg_operand *weight, const cg_operand *y) {
    const cg_conv_attrs *attrs = op->attrs;
    cpu_convolution v = {.images = x->shape.dim[0],
                         .groups = attrs->groups,
                         .channels = weight->shape.dim[1],
                         .filters = weight->shape.dim[0] / attrs->groups,
                         .in_plane = 1,
                         .out_plane = 1,
                         .taps = 1,
                         .result = cpu_floats(&op->outputs[0]),
                         .add = cpu_adds(op)};
    for (int i = 0; i < 3; i++) {
        v.in[i] = x->shape.dim[2 + i];
        v.out[i] = y->shape.dim[2 + i];
        v.kernel[i] = weight->shape.dim[2 + i];
        v.stride[i] = attrs->stride[i];
        v.padding[i] = attrs->padding[i];
        v.dilation[i] = attrs->dilation[i];
        v.in_plane *= v.in[i];
        v.out_plane *= v.out[i];
        v.taps *= v.kernel[i];
    }
    return v;
}

/* A pass cut into items, which the parts, one a thread, share. Each part has memory for columns and a product. */
typedef struct job {
    cpu_convolution v;
    const cpu_tile *tile;
    bool plain;            /* the columns of an image are the image itself */
    int64_t channels_each; /* channels of an item */
    int64_t channel_parts; /* items that share a group's channels */
    int64_t positions;     /* of a block of columns */
    int64_t image_parts;   /* backward weight: items that share the images */
    int64_t items, parts;
    size_t column_bytes;
    float *partial; /* backward weight: what the parts of the images sum to; NULL: the result itself */
    char *memory;
    void (*run)(const struct job *work, int64_t item, float *columns, void *product_memory);
} job;

static bool is_plain(const cpu_convolution *v) {
    bool plain = v->taps == 1;
    for (int i = 0; i < 3; i++) {
        plain = plain && v->stride[i] == 1 && v->padding[i] == 0 && v->in[i] == v->out[i];
    }
    return plain;
}

static void multiply(const job *work, const cpu_gemm *gemm, void *memory) {
    if (!cpu_gemm_library_reentrant || !cpu_gemm_library(gemm, 1)) {
        cpu_gemm_blocked_serial(work->tile, gemm, memory);
    }
}

static int64_t columns_ld(const job *work, cpu_positions at) {
    return work->plain ? work->v.out_plane : at.count;
}

/* The columns of some channels of an image; of a plain convolution where they are. */
static const float *columns_of(const job *work, const float *x, int64_t channels, cpu_positions at, float *memory) {
    if (work->plain) {
        return x + at.first;
    }
    cpu_conv_unfold(&work->v, x, channels, at, memory);
    return memory;
}

static cpu_positions block_of(const job *work, int64_t first) {
    return (cpu_positions){first, cpu_smaller(work->positions, work->v.out_plane - first)};
}

/* Makes y what the products are added to. */
static void prefill(const cpu_convolution *v, const float *bias, float *y, cpu_positions at) {
    for (int64_t f = 0; f < v->filters; f++) {
        float *row = y + f * v->out_plane + at.first;
        for (int64_t i = 0; i < at.count; i++) {
            row[i] = v->add ? row[i] + bias[f] : bias[f];
        }
    }
}

/* Item: a block of positions of a group of an image. */
static void forward_item(const job *work, int64_t item, float *columns, void *memory) {
    const cpu_convolution *v = &work->v;
    int64_t blocks = ceil_div(v->out_plane, work->positions), pair = item / blocks, group = pair % v->groups;
    cpu_positions at = block_of(work, item % blocks * work->positions);
    float *y = v->result + pair * v->filters * v->out_plane;
    const float *from = columns_of(work, v->x + pair * v->channels * v->in_plane, v->channels, at, columns);
    if (v->bias != NULL) {
        prefill(v, v->bias + group * v->filters, y, at);
    }
    int64_t depth = v->channels * v->taps;
    cpu_gemm gemm = {.add = v->add || v->bias != NULL,
                     .m = v->filters,
                     .n = at.count,
                     .k = depth,
                     .lda = depth,
                     .ldb = columns_ld(work, at),
                     .ldc = v->out_plane,
                     .a = v->weight + group * v->filters * depth,
                     .b = from,
                     .c = y + at.first};
    multiply(work, &gemm, memory);
}

/* Item: some channels of a group of an image. */
static void input_item(const job *work, int64_t item, float *columns, void *memory) {
    const cpu_convolution *v = &work->v;
    int64_t pair = item / work->channel_parts, first = item % work->channel_parts * work->channels_each;
    int64_t channels = cpu_smaller(work->channels_each, v->channels - first), depth = v->channels * v->taps;
    float *dx = v->result + (pair * v->channels + first) * v->in_plane;
    if (!v->add && !work->plain) {
        memset(dx, 0, (size_t)(channels * v->in_plane) * sizeof *dx);
    }
    for (int64_t start = 0; start < v->out_plane; start += work->positions) {
        cpu_positions at = block_of(work, start);
        cpu_gemm gemm = {.transpose_a = true,
                         .add = work->plain && v->add,
                         .m = channels * v->taps,
                         .n = at.count,
                         .k = v->filters,
                         .lda = depth,
                         .ldb = v->out_plane,
                         .ldc = columns_ld(work, at),
                         .a = v->weight + pair % v->groups * v->filters * depth + first * v->taps,
                         .b = v->dy + pair * v->filters * v->out_plane + start,
                         .c = work->plain ? dx + start : columns};
        multiply(work, &gemm, memory);
        if (!work->plain) {
            cpu_conv_fold(v, columns, channels, at, dx);
        }
    }
}

/* Item: some channels of a group, and some of the images. */
static void weight_item(const job *work, int64_t item, float *columns, void *memory) {
    const cpu_convolution *v = &work->v;
    int64_t part = item % work->image_parts, rest = item / work->image_parts;
    int64_t group = rest / work->channel_parts, first = rest % work->channel_parts * work->channels_each;
    int64_t channels = cpu_smaller(work->channels_each, v->channels - first), depth = v->channels * v->taps;
    float *to = work->partial != NULL ? work->partial + part * v->groups * v->filters * depth : v->result;
    bool add = work->partial == NULL && v->add;
    for (int64_t image = v->images * part / work->image_parts; image < v->images * (part + 1) / work->image_parts;
         image++) {
        int64_t pair = image * v->groups + group;
        for (int64_t start = 0; start < v->out_plane; start += work->positions, add = true) {
            cpu_positions at = block_of(work, start);
            const float *x = v->x + (pair * v->channels + first) * v->in_plane;
            cpu_gemm gemm = {.transpose_b = true,
                             .add = add,
                             .m = v->filters,
                             .n = channels * v->taps,
                             .k = at.count,
                             .lda = v->out_plane,
                             .ldb = columns_ld(work, at),
                             .ldc = depth,
                             .a = v->dy + pair * v->filters * v->out_plane + start,
                             .b = columns_of(work, x, channels, at, columns),
                             .c = to + group * v->filters * depth + first * v->taps};
            multiply(work, &gemm, memory);
        }
    }
}

static void run_parts(void *context, int64_t begin, int64_t end) {
    const job *work = context;
    for (int64_t part = begin; part < end; part++) {
        char *memory = work->memory + (size_t)part * (work->column_bytes + cpu_gemm_blocked_bytes());
        for (int64_t i = work->items * part / work->parts; i < work->items * (part + 1) / work->parts; i++) {
            work->run(work, i, (float *)(void *)(memory + cpu_gemm_blocked_bytes()), memory);
        }
    }
}

/* How many positions of columns with `depth` rows make a block: all of them where they fit. */
static int64_t positions_of(const cpu_convolution *v, int64_t depth) {
    return cpu_conv_clamp(COLUMN_FLOATS / depth, cpu_smaller(64, v->out_plane), v->out_plane);
}

/* Splits the channels where there are only `items` without. */
static void split_channels(job *work, int64_t items) {
    int64_t wanted = cpu_smaller(ceil_div(FEW_ITEMS, items), work->v.channels);
    work->channels_each = ceil_div(work->v.channels, wanted);
    work->channel_parts = ceil_div(work->v.channels, work->channels_each);
    work->positions = positions_of(&work->v, work->channels_each * work->v.taps);
}

/* Runs the items with `extra` bytes of memory behind the parts' own, which `work->partial` may be. */
static cg_status run_items(cpu_device *device, job *work, size_t extra) {
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    const cpu_convolution *v = &work->v;
    work->tile = tiles[0];
    size_t columns = (size_t)(work->channels_each * v->taps * work->positions) * sizeof(float);
    work->column_bytes = work->plain ? 0 : (columns + 63) / 64 * 64;
    int64_t all = v->images * v->groups * v->channels * v->filters * v->taps * v->out_plane;
    work->parts = cpu_conv_clamp(all / ITEM_WORK, 1, cpu_smaller(device->threads, work->items));
    size_t own = (size_t)work->parts * (work->column_bytes + cpu_gemm_blocked_bytes());
    work->memory = cpu_scratch(device, own + extra);
    if (work->memory == NULL) {
        return CG_ERR_MEMORY;
    }
    work->partial = extra > 0 ? (float *)(void *)(work->memory + own) : NULL;
    cpu_parallel(device, work->parts, 1, run_parts, work);
    return CG_OK;
}

/* Ways that zeros beside a plane lead through, if its numbers allow: none times 0 may be NaN. */
static cg_status by_padded_planes(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) {
    bool few = pass == CPU_CONV_WEIGHT && cpu_conv_has_few_channels(v);
    const float *operands[] = {v->x, v->weight, v->dy};
    const int64_t sizes[] = {v->images * v->channels * v->in_plane, v->filters * v->channels * v->taps,
                             v->images * v->filters * v->out_plane};
    *done = few || cpu_winograd_takes(v, pass);
    for (int i = 0; i < 3; i++) {
        *done = *done && (operands[i] == NULL || cpu_winograd_range(device, operands[i], sizes[i]));
    }
    if (!*done) {
        return CG_OK;
    }
    if (few) {
        return cpu_conv_few_channels(device, v);
    }
    return pass == CPU_CONV_WEIGHT ? cpu_winograd_weight(device, v) : cpu_winograd(device, v, pass);
}

/* The ways that need no columns: loops over rows where channels are few, Winograd's, else the library's. */
static cg_status without_columns(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) {
    static void (*const direct[])(const cpu_device *,
                                  const cpu_convolution *) = {[CPU_CONV_X] = cpu_conv_direct_input,
                                                              [CPU_CONV_WEIGHT] = cpu_conv_direct_weight,
                                                              [CPU_CONV_Y] = cpu_conv_direct};
    *done = cpu_conv_is_direct(v);
    if (*done) {
        direct[pass](device, v);
        return CG_OK;
    }
    CG_TRY(by_padded_planes(device, v, pass, done));
    return *done ? CG_OK : cpu_conv_library(device, v, pass, done);
}

cg_status cpu_conv(cpu_device *device, const cg_op *op) {
    job work = {.v = conv_of(op, &op->inputs[0], &op->inputs[1], &op->outputs[0]), .run = forward_item};
    cpu_convolution *v = &work.v;
    v->x = cpu_floats(&op->inputs[0]);
    v->weight = cpu_floats(&op->inputs[1]);
    v->bias = cpu_optional(op, 2);
    bool done = false;
    CG_TRY(without_columns(device, v, CPU_CONV_Y, &done));
    if (done) {
        return CG_OK;
    }
    work.plain = is_plain(v);
    work.channels_each = v->channels;
    work.positions = positions_of(v, v->channels * v->taps);
    work.items = v->images * v->groups * ceil_div(v->out_plane, work.positions);
    return run_items(device, &work, 0);
}

cg_status cpu_conv_backward_input(cpu_device *device, const cg_op *op) {
    job work = {.v = conv_of(op, &op->outputs[0], &op->inputs[1], &op->inputs[0]), .run = input_item};
    cpu_convolution *v = &work.v;
    v->dy = cpu_floats(&op->inputs[0]);
    v->weight = cpu_floats(&op->inputs[1]);
    bool done = false;
    CG_TRY(without_columns(device, v, CPU_CONV_X, &done));
    if (done) {
        return CG_OK;
    }
    work.plain = is_plain(v);
    split_channels(&work, v->images * v->groups);
    work.items = v->images * v->groups * work.channel_parts;
    return run_items(device, &work, 0);
}

/* The sums of the parts of the images, in their order. */
static void join_parts(void *context, int64_t begin, int64_t end) {
    const job *work = context;
    const cpu_convolution *v = &work->v;
    int64_t count = v->groups * v->filters * v->channels * v->taps;
    for (int64_t i = begin; i < end; i++) {
        double sum = v->add ? (double)v->result[i] : 0.0;
        for (int64_t part = 0; part < work->image_parts; part++) {
            sum += (double)work->partial[part * count + i];
        }
        v->result[i] = (float)sum;
    }
}

cg_status cpu_conv_backward_weight(cpu_device *device, const cg_op *op) {
    job work = {.v = conv_of(op, &op->inputs[0], &op->outputs[0], &op->inputs[1]), .run = weight_item};
    cpu_convolution *v = &work.v;
    v->x = cpu_floats(&op->inputs[0]);
    v->dy = cpu_floats(&op->inputs[1]);
    bool done = false;
    CG_TRY(without_columns(device, v, CPU_CONV_WEIGHT, &done));
    if (done) {
        return CG_OK;
    }
    int64_t count = v->groups * v->filters * v->channels * v->taps;
    work.plain = is_plain(v);
    int64_t most = cpu_smaller(v->images, PARTIAL_FLOATS / count);
    work.image_parts = cpu_conv_clamp(FEW_ITEMS / v->groups, 1, larger(most, 1));
    split_channels(&work, v->groups * work.image_parts);
    work.items = v->groups * work.channel_parts * work.image_parts;
    bool split = work.image_parts > 1;
    CG_TRY(run_items(device, &work, split ? (size_t)(work.image_parts * count) * sizeof(float) : 0));
    if (split) {
        cpu_parallel(device, count, ITEM_WORK / work.image_parts, join_parts, &work);
    }
    return CG_OK;
}
