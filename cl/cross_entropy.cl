/*
 * Cross-entropy of rows of logits against a class each, its gradient, and the weights of classes. A class out of range
 * reads nothing: its loss is NaN, its gradient 0, and the first one to come leaves its place in the error words.
 *
 * Variants: -DCG_LANES={1,CG_GROUP} -DCG_TARGET={int,long}
 * Variants (intel): -DCG_LANES=CG_GROUP -DCG_SHUFFLE=1 -DCG_TARGET={int,long}
 */
#include "rows.cl"

#include "errors.cl"

#ifndef CG_TARGET
#define CG_TARGET long
#endif

#if CG_WIDTH == 16
#define LANE_NUMBERS (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif CG_WIDTH == 8
#define LANE_NUMBERS (int8)(0, 1, 2, 3, 4, 5, 6, 7)
#else
#define LANE_NUMBERS (int4)(0, 1, 2, 3)
#endif

/* What the loss of a row is made of, besides its log-sum. */
typedef struct {
    __global const CG_TARGET *target;
    __global const float *factor;
    __global float *loss, *sums;
    ulong classes;
    long ignored;
    int has_factor, number;
    __global long *errors;
} row_losses;

static inline void put_loss(const row_losses *to, __global const float *from, ulong row, float2 sum) {
    long class = to->target[row];
    float value = 0.0f;
    if (class != to->ignored) {
        report(to->errors, to->number, row, class, to->classes);
        value = in_range(class, to->classes) ? (sum.x - from[class]) + sum.y : NAN;
    }
    to->loss[row] = to->has_factor ? to->factor[row] * value : value;
    vstore2(sum, row, to->sums);
}

#if CG_CPU && CG_LANES == 1
#define SHORT_ROW (3 * CG_WIDTH)

/* The same element of as many rows as a vector has lanes; behind the last row that one again. */
static inline vfloat column(__global const float *from, ulong classes, ulong last, ulong i) {
    float part[CG_WIDTH];
#pragma unroll
    for (uint lane = 0; lane < CG_WIDTH; lane++) {
        part[lane] = from[min((ulong)lane, last) * classes + i];
    }
    return VLOAD(part);
}

/* Short rows side by side, a lane each: nothing is joined across lanes, and one exp serves all. */
static inline void short_rows(const row_losses *to, __global const float *logits, ulong row, ulong count) {
    __global const float *from = logits + row * to->classes;
    vfloat top = -INFINITY, sum = 0.0f;
    float tops[CG_WIDTH], logs[CG_WIDTH];
    for (ulong i = 0; i < to->classes; i++) {
        top = fmax(top, column(from, to->classes, count - 1, i));
    }
    for (ulong i = 0; i < to->classes; i++) {
        sum += exp(column(from, to->classes, count - 1, i) - top);
    }
    VSTORE(top, tops);
    VSTORE(log(sum), logs);
    for (ulong lane = 0; lane < count; lane++) {
        put_loss(to, from + lane * to->classes, row + lane, (float2)(tops[lane], logs[lane]));
    }
}
#endif

__kernel void cross_entropy(__global const float *logits, ulong logits_at, __global const CG_TARGET *target,
                            ulong target_at, __global const float *factor, ulong factor_at, __global float *loss,
                            ulong loss_at, __global float *sums, ulong sums_at, ulong rows, ulong classes,
                            ulong rows_each, long ignored, int has_factor, __global long *errors, int number) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    row_losses to = {target + target_at, factor + factor_at, loss + loss_at, sums + sums_at,
                     classes, ignored, has_factor, number, errors};
#if CG_CPU && CG_LANES == 1
    if (classes <= SHORT_ROW) {
        for (ulong row = first; row < end; row += CG_WIDTH) {
            short_rows(&to, logits + logits_at, row, min((ulong)CG_WIDTH, end - row));
        }
        return;
    }
#endif
    for (ulong row = first; row < end; row++) {
        __global const float *from = logits + logits_at + row * classes;
        float2 sum = row_log_sum_exp(from, classes, scratch);
        if (ROW_LANE == 0) {
            put_loss(&to, from, row, sum);
        }
    }
}

/* dlogits = dloss factor (exp(logits - sums.x - sums.y) - onehot(target)), nothing for a row that does not count. */
__kernel void cross_entropy_backward(__global const float *logits, ulong logits_at, __global const CG_TARGET *target,
                                     ulong target_at, __global const float *sums, ulong sums_at,
                                     __global const float *dloss, ulong dloss_at, __global const float *factor,
                                     ulong factor_at, __global float *dlogits, ulong dlogits_at, ulong rows,
                                     ulong classes, ulong rows_each, long ignored, int has_factor, int add,
                                     __global long *errors, int number) {
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        long class = target[target_at + row];
        bool counts = class != ignored && in_range(class, classes);
        if (ROW_LANE == 0 && class != ignored) {
            report(errors, number, row, class, classes);
        }
        float2 sum = vload2(row, sums + sums_at);
        float scale = has_factor ? dloss[dloss_at + row] * factor[factor_at + row] : dloss[dloss_at + row];
        ulong at = row * classes;
        for (ulong i = ROW_LANE * CG_WIDTH; i < classes; i += ROW_STEP) {
            int lane = (int)clamp(class - (long)i, -1L, (long)CG_WIDTH);
            vfloat onehot = LANE_NUMBERS == (vint)(lane) ? (vfloat)(1.0f) : (vfloat)(0.0f);
            vfloat share = exp((load_part(logits + logits_at + at + i, classes - i, 0.0f) - sum.x) - sum.y);
            vfloat part = counts ? (share - onehot) * scale : (vfloat)(0.0f);
            put_part(part, dlogits + dlogits_at + at + i, classes - i, add);
        }
    }
}

/* factor = weight[target], 0 for a class that is ignored, and the classes with 0 in place of that one. For a mean a
 * worker has all of them, and divides them by their sum. */
__kernel void class_weights(__global const CG_TARGET *target, ulong target_at, __global const float *weight,
                            ulong weight_at, __global float *factor, ulong factor_at, __global long *chosen,
                            ulong chosen_at, ulong n, ulong run, ulong classes, long ignored, int has_weight,
                            int has_chosen, int mean, __global long *errors, int number) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * run, end = min(first + run, n);
    float sum = 0.0f;
    for (ulong i = first + ROW_LANE; i < end; i += CG_LANES) {
        long class = target[target_at + i];
        bool counts = class != ignored;
        float value = counts ? 1.0f : 0.0f;
        if (counts && classes > 0) {
            report(errors, number, i, class, classes);
        }
        if (counts && has_weight) {
            value = in_range(class, classes) ? weight[weight_at + class] : NAN;
        }
        if (has_chosen) {
            chosen[chosen_at + i] = counts ? class : 0;
        }
        factor[factor_at + i] = value;
        sum += value;
    }
    if (mean) {
        float total = row_join(sum, scratch, 0);
        for (ulong i = first + ROW_LANE; i < end; i += CG_LANES) {
            factor[factor_at + i] /= total;
        }
    }
}
