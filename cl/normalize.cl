/*
 * Normalization over groups of elements of [outer, channels, inner], its gradients, and the running statistics. A group
 * is `blocks` runs of `length` neighbours, `stride` apart. One worker (an item, or a work-group of CG_LANES) does a
 * group: two passes for mean and variance, a third to write.
 *
 * Variants: -DCG_LANES={1,CG_GROUP}
 * Variants (intel): -DCG_LANES=CG_GROUP -DCG_SHUFFLE=1
 */
#include "rows.cl"

/* The groups, and which weights they meet: a vector of them along a run, or one for each block. */
typedef struct {
    ulong count, each;                   /* groups, and how many of them a worker does */
    ulong blocks, length, stride, apart; /* apart: from the start of one group to that of the next */
    ulong weight_groups, weights, step;  /* weight of block b of group g: g % weight_groups * weights + b * step */
    ulong along, lanes_along_run;        /* along: weights lie along the run */
} groups;

/* The loops over a group's vectors, shared out over the lanes along its runs or its blocks. */
#define FIRST_BLOCK(all) ((all).lanes_along_run ? 0 : ROW_LANE)
#define BLOCK_STEP(all) ((all).lanes_along_run ? 1 : CG_LANES)
#define FIRST_PLACE(all) ((all).lanes_along_run ? ROW_LANE * CG_WIDTH : 0)
#define PLACE_STEP(all) ((all).lanes_along_run ? ROW_STEP : CG_WIDTH)
#define FOR_GROUP(all, b, i)                                                                                           \
    for (ulong b = FIRST_BLOCK(all); b < (all).blocks; b += BLOCK_STEP(all))                                           \
        for (ulong i = FIRST_PLACE(all); i < (all).length; i += PLACE_STEP(all))

/* The weights of one vector of a group, or `absent`. */
static inline vfloat weights_at(__global const float *weight, int there, const groups *all, ulong group, ulong block,
                                ulong i, float absent) {
    ulong first = group % all->weight_groups * all->weights + block * all->step;
    if (!there) {
        return (vfloat)(absent);
    }
    return all->along ? load_part(weight + first + i, all->length - i, 0.0f) : (vfloat)(weight[first]);
}

static inline float group_sum(__global const float *x, const groups *all, row_scratch scratch) {
    vfloat sum = 0.0f;
    FOR_GROUP(*all, b, i) {
        sum += load_part(x + b * all->stride + i, all->length - i, 0.0f);
    }
    return row_join(vector_sum(sum), scratch, 0);
}

static inline float group_squares(__global const float *x, const groups *all, float mean, row_scratch scratch) {
    vfloat sum = 0.0f;
    FOR_GROUP(*all, b, i) {
        vfloat distance = load_part(x + b * all->stride + i, all->length - i, mean) - mean;
        sum += distance * distance;
    }
    return row_join(vector_sum(sum), scratch, 0);
}

__kernel void normalize_groups(__global const float *x, ulong x_at, __global const float *weight, ulong weight_at,
                               __global const float *bias, ulong bias_at, __global float *y, ulong y_at,
                               __global float *stats, ulong stats_at, groups all, int has_weight, int has_bias,
                               int centered, int relu, float eps) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * all.each, end = min(first + all.each, all.count);
    float share = 1.0f / (float)(all.blocks * all.length);
    for (ulong group = first; group < end; group++) {
        __global const float *from = x + x_at + group * all.apart;
        __global float *to = y + y_at + group * all.apart;
        float mean = centered ? group_sum(from, &all, scratch) * share : 0.0f;
        float variance = group_squares(from, &all, mean, scratch) * share;
        float rstd = 1.0f / sqrt(variance + eps);
        if (ROW_LANE == 0) {
            vstore3((float3)(mean, rstd, variance), group, stats + stats_at);
        }
        FOR_GROUP(all, b, i) {
            ulong at = b * all.stride + i;
            vfloat normal = (load_part(from + at, all.length - i, 0.0f) - mean) * rstd;
            vfloat value = normal * weights_at(weight + weight_at, has_weight, &all, group, b, i, 1.0f) +
                           weights_at(bias + bias_at, has_bias, &all, group, b, i, 0.0f);
            if (relu) {
                value = relu_of(value);
            }
            store_part(value, to + at, all.length - i);
        }
    }
}

/* A group's gradient, with g = dy weight and n = (x - mean) rstd. */
typedef struct {
    __global const float *x, *dy;
    float mean, rstd;
} group_gradient;

static inline vfloat normal_at(const group_gradient *of, ulong at, ulong count) {
    return (load_part(of->x + at, count, of->mean) - of->mean) * of->rstd;
}

static inline vfloat gradient_at(const group_gradient *of, __global const float *weight, int has_weight,
                                 const groups *all, ulong group, ulong b, ulong i) {
    vfloat dy = load_part(of->dy + b * all->stride + i, all->length - i, 0.0f);
    return dy * weights_at(weight, has_weight, all, group, b, i, 1.0f);
}

/* (sum of g, sum of g n) */
static inline float2 gradient_sums(const group_gradient *of, __global const float *weight, int has_weight,
                                   const groups *all, ulong group, row_scratch scratch) {
    vfloat sum = 0.0f, along = 0.0f;
    FOR_GROUP(*all, b, i) {
        vfloat g = gradient_at(of, weight, has_weight, all, group, b, i);
        sum += g;
        along += g * normal_at(of, b * all->stride + i, all->length - i);
    }
    float total = row_join(vector_sum(sum), scratch, 0);
    return (float2)(total, row_join(vector_sum(along), scratch, 0));
}

/* dx = scale (g - mean(g) - n mean(g n)) */
static inline void put_gradient(const group_gradient *of, __global const float *weight, int has_weight,
                                const groups *all, ulong group, float2 means, float scale, __global float *dx, int add) {
    FOR_GROUP(*all, b, i) {
        ulong at = b * all->stride + i;
        vfloat g = gradient_at(of, weight, has_weight, all, group, b, i);
        vfloat normal = normal_at(of, at, all->length - i);
        put_part((g - means.x - normal * means.y) * scale, dx + at, all->length - i, add);
    }
}

/* mean(g) counts only where centered. */
__kernel void normalize_backward(__global const float *x, ulong x_at, __global const float *stats, ulong stats_at,
                                 __global const float *dy, ulong dy_at, __global const float *weight, ulong weight_at,
                                 __global float *dx, ulong dx_at, groups all, int has_weight, int centered, int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * all.each, end = min(first + all.each, all.count);
    float share = 1.0f / (float)(all.blocks * all.length);
    weight += weight_at;
    for (ulong group = first; group < end; group++) {
        ulong start = group * all.apart;
        group_gradient of = {x + x_at + start, dy + dy_at + start, stats[stats_at + 3 * group],
                             stats[stats_at + 3 * group + 1]};
        float2 sums = gradient_sums(&of, weight, has_weight, &all, group, scratch);
        float2 means = (float2)(centered ? sums.x * share : 0.0f, sums.y * share);
        put_gradient(&of, weight, has_weight, &all, group, means, of.rstd, dx + dx_at + start, add);
    }
}

/* Groups are channels here; the statistics of block b of channel c are those of b * stat_blocks + c / channels_each. */
__kernel void normalize_weight_backward(__global const float *x, ulong x_at, __global const float *stats,
                                        ulong stats_at, __global const float *dy, ulong dy_at, __global float *dweight,
                                        ulong dweight_at, groups all, ulong stat_blocks, ulong channels_each, int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * all.each, end = min(first + all.each, all.count);
    for (ulong channel = first; channel < end; channel++) {
        vfloat sum = 0.0f;
        FOR_GROUP(all, b, i) {
            ulong at = channel * all.apart + b * all.stride + i;
            ulong place = stats_at + 3 * (b * stat_blocks + channel / channels_each);
            float mean = stats[place], rstd = stats[place + 1];
            vfloat normal = (load_part(x + x_at + at, all.length - i, mean) - mean) * rstd;
            sum += normal * load_part(dy + dy_at + at, all.length - i, 0.0f);
        }
        float total = row_join(vector_sum(sum), scratch, 0);
        if (ROW_LANE == 0) {
            __global float *to = dweight + dweight_at + channel;
            *to = add ? *to + total : total;
        }
    }
}

/* All gradients of a batch norm: with the weight outside of the sums, they are the other two. add: bit i of output i. */
__kernel void batch_norm_backward(__global const float *x, ulong x_at, __global const float *stats, ulong stats_at,
                                  __global const float *dy, ulong dy_at, __global const float *weight, ulong weight_at,
                                  __global float *dx, ulong dx_at, __global float *dweight, ulong dweight_at,
                                  __global float *dbias, ulong dbias_at, groups all, int centered, int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * all.each, end = min(first + all.each, all.count);
    float share = 1.0f / (float)(all.blocks * all.length);
    for (ulong channel = first; channel < end; channel++) {
        ulong start = channel * all.apart;
        group_gradient of = {x + x_at + start, dy + dy_at + start, stats[stats_at + 3 * channel],
                             stats[stats_at + 3 * channel + 1]};
        float2 sums = gradient_sums(&of, weight, 0, &all, channel, scratch);
        if (ROW_LANE == 0) {
            __global float *to = dweight + dweight_at + channel, *also = dbias + dbias_at + channel;
            *to = add & 2 ? *to + sums.y : sums.y;
            *also = add & 4 ? *also + sums.x : sums.x;
        }
        float2 means = (float2)(centered ? sums.x * share : 0.0f, sums.y * share);
        float scale = weight[weight_at + channel] * of.rstd;
        put_gradient(&of, weight, 0, &all, channel, means, scale, dx + dx_at + start, add & 1);
    }
}

/* A kernel of its own: all items of the next one read the count. */
__kernel void count_batch(__global long *count, ulong count_at) {
    if (get_global_id(0) == 0) {
        count[count_at] += 1;
    }
}

__kernel void running_stats(__global const float *stats, ulong stats_at, __global float *mean, ulong mean_at,
                            __global float *var, ulong var_at, __global const long *count, ulong count_at, ulong n,
                            float momentum, float correction) {
    float f = momentum < 0.0f ? 1.0f / (float)count[count_at] : momentum;
    ulong c = get_global_id(0);
    if (c < n) {
        __global const float *from = stats + stats_at + 3 * c;
        mean[mean_at + c] += f * (from[0] - mean[mean_at + c]);
        var[var_at + c] += f * (from[2] * correction - var[var_at + c]);
    }
}
