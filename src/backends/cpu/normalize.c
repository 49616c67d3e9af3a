/*
 * normalize and its gradient, a group a turn, over the threads. A group is `blocks` runs of `length` neighbours: sums
 * of a run are taken lane by lane, those of the runs are added in double. Channels of one element in a batch (a column
 * each) are the reference's.
 */
#include <math.h>
#include <string.h>

#include "cpu.h"
#include "host_memory.h"
#include "normalize.h"

#define GRAIN 4096 /* elements worth a thread */
#define PIECE 2048 /* floats: stay in the first cache */
#define PAGE 1024
#define LINE 16

typedef struct norm_job {
    const float *x, *dy, *weight, *bias;
    float *out, *stats; /* out: y, or dx */
    int64_t blocks, length, stride, apart;
    int64_t weight_groups, weights, step; /* the weight of block b: group % weight_groups * weights + b * step */
    bool along;                           /* weights lie along the run */
    float *dweight, *dbias;               /* of all gradients at once */
    bool centered, add, add_weight, add_bias;
    float eps, least; /* least: what is not above it becomes it: 0 is ReLU */
} norm_job;

static cpu_run_weights weights_of(const norm_job *work, const float *weight, int64_t group, int64_t block,
                                  float absent) {
    int64_t first = group % work->weight_groups * work->weights + block * work->step;
    if (weight == NULL) {
        return (cpu_run_weights){absent, NULL};
    }
    return work->along ? (cpu_run_weights){absent, weight + first} : (cpu_run_weights){weight[first], NULL};
}

/* Asks memory for the run that comes next, up to a page of it: runs are too short for the processor to see them coming.
 */
static void prefetch(const float *next, int64_t n) {
    for (int64_t i = 0; i < n && i < PAGE; i += LINE) {
        __builtin_prefetch(next + i);
    }
}

static void prefetch_for_write(const float *next, int64_t n) {
    for (int64_t i = 0; i < n && i < PAGE; i += LINE) {
        __builtin_prefetch(next + i, 1);
    }
}

CPU_CLONES static float run_squares(const float *x, float mean, int64_t n) {
    cpu_lanes sums[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * CPU_LANES <= n; i += 4 * CPU_LANES) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            cpu_lanes distance = *(const cpu_lanes *)(x + i + k * CPU_LANES) - mean;
            sums[k] += distance * distance;
        }
    }
    float lane[CPU_LANES];
    cpu_lanes all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    memcpy(lane, &all, sizeof lane);
    float total = cpu_lanes_sum(lane);
    for (; i < n; i++) {
        total += (x[i] - mean) * (x[i] - mean);
    }
    return total;
}

CPU_CLONES static void run_apply(const float *x, float mean, float rstd, cpu_run_weights w, cpu_run_weights b,
                                 float least, float *y, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float weight = w.vector != NULL ? w.vector[i] : w.one, bias = b.vector != NULL ? b.vector[i] : b.one;
        float value = (x[i] - mean) * rstd * weight + bias;
        y[i] = value <= least ? least : value;
    }
}

/* What is known of the numbers so far: their mean (0 where it is not asked for) and the squares of what they differ
 * from it. */
typedef struct moments {
    double count, mean, squares;
} moments;

/* Both of a piece that stays in the first cache, joined with those of the others: Chan, Golub and LeVeque,
 * "Updating formulae and a pairwise algorithm for computing sample variances", 1979. */
static void add_moments(moments *all, const float *x, int64_t n, bool centered) {
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t piece = n - i < PIECE ? n - i : PIECE;
        double count = (double)piece, mean = centered ? (double)cpu_row_sum(x + i, piece) / count : 0.0;
        double squares = (double)run_squares(x + i, (float)mean, piece), away = mean - all->mean;
        double both = all->count + count, share = count / both;
        all->squares += squares + away * away * all->count * share;
        all->mean += away * share;
        all->count = both;
    }
}

static void normalize_group(const norm_job *work, int64_t group) {
    const float *x = work->x + group * work->apart;
    moments all = {0};
    for (int64_t b = 0; b < work->blocks; b++) {
        prefetch(x + (b + 1) * work->stride, work->length);
        add_moments(&all, x + b * work->stride, work->length, work->centered);
    }
    float mean = (float)all.mean;
    float variance = (float)(all.squares / all.count), rstd = 1.0f / sqrtf(variance + work->eps);
    work->stats[3 * group] = mean;
    work->stats[3 * group + 1] = rstd;
    work->stats[3 * group + 2] = variance;
    for (int64_t b = 0; b < work->blocks; b++) {
        prefetch_for_write(work->out + group * work->apart + (b + 1) * work->stride, work->length);
        run_apply(x + b * work->stride, mean, rstd, weights_of(work, work->weight, group, b, 1.0f),
                  weights_of(work, work->bias, group, b, 0.0f), work->least,
                  work->out + group * work->apart + b * work->stride, work->length);
    }
}

static void normalize_groups(void *context, int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
        normalize_group(context, group);
    }
}

CPU_CLONES static cpu_run_sum sum_run(const float *x, const float *dy, float mean, float rstd, cpu_run_weights w,
                                      int64_t n) {
    cpu_lanes sums[2] = {{0}}, alongs[2] = {{0}};
    int64_t i = 0;
    for (; i + 2 * CPU_LANES <= n; i += 2 * CPU_LANES) {
#pragma GCC unroll 2
        for (int k = 0; k < 2; k++) {
            int64_t at = i + k * CPU_LANES;
            cpu_lanes g = *(const cpu_lanes *)(dy + at);
            g = w.vector != NULL ? g * *(const cpu_lanes *)(w.vector + at) : g * w.one;
            sums[k] += g;
            alongs[k] += g * ((*(const cpu_lanes *)(x + at) - mean) * rstd);
        }
    }
    float sum_lane[CPU_LANES], along_lane[CPU_LANES];
    cpu_lanes all = sums[0] + sums[1], all_along = alongs[0] + alongs[1];
    memcpy(sum_lane, &all, sizeof sum_lane);
    memcpy(along_lane, &all_along, sizeof along_lane);
    cpu_run_sum total = {cpu_lanes_sum(sum_lane), cpu_lanes_sum(along_lane)};
    for (; i < n; i++) {
        float g = dy[i] * (w.vector != NULL ? w.vector[i] : w.one);
        total.g += g;
        total.along += g * ((x[i] - mean) * rstd);
    }
    return total;
}

cpu_run_sum cpu_run_sums(const float *x, const float *dy, float mean, float rstd, cpu_run_weights w, int64_t n) {
    return sum_run(x, dy, mean, rstd, w, n);
}

/* What a gradient needs of its group. */
typedef struct group_means {
    float mean, rstd, g, along;
} group_means;

CPU_CLONES static void run_gradient(const float *x, const float *dy, group_means m, cpu_run_weights w, float *dx,
                                    int64_t n, bool add) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float g = dy[i] * (w.vector != NULL ? w.vector[i] : w.one);
        float result = (g - m.g - (x[i] - m.mean) * m.rstd * m.along) * m.rstd;
        dx[i] = add ? dx[i] + result : result;
    }
}

static void gradient_of_group(const norm_job *work, int64_t group) {
    group_means m = {.mean = work->stats[3 * group], .rstd = work->stats[3 * group + 1]};
    double count = (double)(work->blocks * work->length), g = 0.0, along = 0.0;
    int64_t start = group * work->apart;
    for (int64_t b = 0; b < work->blocks; b++) {
        int64_t at = start + b * work->stride;
        cpu_run_sum sums = sum_run(work->x + at, work->dy + at, m.mean, m.rstd,
                                   weights_of(work, work->weight, group, b, 1.0f), work->length);
        g += (double)sums.g;
        along += (double)sums.along;
    }
    m.g = work->centered ? (float)(g / count) : 0.0f;
    m.along = (float)(along / count);
    for (int64_t b = 0; b < work->blocks; b++) {
        int64_t at = start + b * work->stride;
        run_gradient(work->x + at, work->dy + at, m, weights_of(work, work->weight, group, b, 1.0f), work->out + at,
                     work->length, work->add);
    }
}

/* All gradients of one channel: with the weight outside of the sums, they are the other two. */
static void gradients_of_channel(const norm_job *work, int64_t c) {
    group_means m = {.mean = work->stats[3 * c], .rstd = work->stats[3 * c + 1]};
    const cpu_run_weights none = {.one = 1.0f}, weight = {.one = work->weight[c]};
    double count = (double)(work->blocks * work->length), sum = 0.0, along = 0.0;
    for (int64_t b = 0; b < work->blocks; b++) {
        int64_t at = c * work->apart + b * work->stride;
        prefetch(work->x + at + work->stride, work->length);
        prefetch(work->dy + at + work->stride, work->length);
        cpu_run_sum sums = sum_run(work->x + at, work->dy + at, m.mean, m.rstd, none, work->length);
        sum += (double)sums.g;
        along += (double)sums.along;
    }
    work->dweight[c] = (float)(work->add_weight ? (double)work->dweight[c] + along : along);
    work->dbias[c] = (float)(work->add_bias ? (double)work->dbias[c] + sum : sum);
    m.g = work->centered ? (float)((double)weight.one * sum / count) : 0.0f;
    m.along = (float)((double)weight.one * along / count);
    for (int64_t b = 0; b < work->blocks; b++) {
        int64_t at = c * work->apart + b * work->stride;
        prefetch_for_write(work->out + at + work->stride, work->length);
        run_gradient(work->x + at, work->dy + at, m, weight, work->out + at, work->length, work->add);
    }
}

static void gradients_of_channels(void *context, int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
        gradients_of_channel(context, c);
    }
}

static void gradients_of_groups(void *context, int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
        gradient_of_group(context, group);
    }
}

/* How the groups lie, and how many there are; 0: the reference does it. */
static int64_t plan(const cg_op *op, norm_job *work) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    work->x = cpu_floats(&op->inputs[0]);
    work->centered = attrs->centered != 0;
    work->eps = (float)attrs->eps;
    if (attrs->groups == 0) {
        work->blocks = dim[0];
        work->length = dim[2];
        work->stride = dim[1] * dim[2];
        work->apart = dim[2];
        work->weight_groups = dim[1];
        work->weights = 1;
        return dim[2] > 1 ? dim[1] : 0;
    }
    int64_t each = dim[1] / attrs->groups;
    work->along = dim[2] == 1;
    work->blocks = work->along ? 1 : each;
    work->length = work->along ? each : dim[2];
    work->stride = dim[2];
    work->apart = each * dim[2];
    work->weight_groups = attrs->groups;
    work->weights = each;
    work->step = 1;
    return dim[0] * attrs->groups;
}

cg_status cpu_normalize(cpu_device *device, const cg_op *op) {
    norm_job work = {.weight = cpu_optional(op, 1), .bias = cpu_optional(op, 2)};
    work.least = op->kind->number == CG_OP_NORMALIZE_RELU ? 0.0f : -INFINITY;
    int64_t groups = plan(op, &work);
    if (groups == 0) {
        return ref_run(op);
    }
    work.out = cpu_floats(&op->outputs[0]);
    work.stats = cpu_floats(&op->outputs[1]);
    cpu_parallel(device, groups, GRAIN / (work.blocks * work.length) + 1, normalize_groups, &work);
    return CG_OK;
}

cg_status cpu_normalize_backward(cpu_device *device, const cg_op *op) {
    norm_job work = {.weight = cpu_optional(op, 3), .add = cpu_adds(op)};
    int64_t groups = plan(op, &work);
    if (groups == 0) {
        return ref_run(op);
    }
    work.stats = cpu_floats(&op->inputs[1]);
    work.dy = cpu_floats(&op->inputs[2]);
    work.out = cpu_floats(&op->outputs[0]);
    cpu_parallel(device, groups, GRAIN / (work.blocks * work.length) + 1, gradients_of_groups, &work);
    return CG_OK;
}

cg_status cpu_batch_norm_backward(cpu_device *device, const cg_op *op) {
    norm_job work = {.weight = cpu_floats(&op->inputs[3]),
                     .dweight = cpu_floats(&op->outputs[1]),
                     .dbias = cpu_floats(&op->outputs[2]),
                     .add = cpu_adds(op),
                     .add_weight = (op->accumulate & 2u) != 0,
                     .add_bias = (op->accumulate & 4u) != 0};
    int64_t channels = plan(op, &work);
    if (channels == 0) {
        return ref_run(op);
    }
    work.stats = cpu_floats(&op->inputs[1]);
    work.dy = cpu_floats(&op->inputs[2]);
    work.out = cpu_floats(&op->outputs[0]);
    cpu_parallel(device, channels, GRAIN / (work.blocks * work.length) + 1, gradients_of_channels, &work);
    return CG_OK;
}
