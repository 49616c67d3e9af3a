/*
 * Cross-entropy of rows of logits against a class each, and its gradient. A class out of range reads nothing: its loss
 * is NaN, its gradient 0, and the first one to come leaves its place in the error words.
 *
 * Variants: -DCG_LANES={1,CG_GROUP} -DCG_TARGET={int,long}
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

__kernel void cross_entropy(__global const float *logits, ulong logits_at, __global const CG_TARGET *target,
                            ulong target_at, __global float *loss, ulong loss_at, __global float *sums, ulong sums_at,
                            ulong rows, ulong classes, ulong rows_each, __global long *errors, int number) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        __global const float *from = logits + logits_at + row * classes;
        float2 sum = row_log_sum_exp(from, classes, scratch);
        if (ROW_LANE == 0) {
            long class = target[target_at + row];
            bool inside = in_range(class, classes);
            report(errors, number, row, class, classes);
            loss[loss_at + row] = inside ? (sum.x - from[class]) + sum.y : NAN;
            vstore2(sum, row, sums + sums_at);
        }
    }
}

/* dlogits = dloss (exp(logits - sums.x - sums.y) - onehot(target)) */
__kernel void cross_entropy_backward(__global const float *logits, ulong logits_at, __global const CG_TARGET *target,
                                     ulong target_at, __global const float *sums, ulong sums_at,
                                     __global const float *dloss, ulong dloss_at, __global float *dlogits,
                                     ulong dlogits_at, ulong rows, ulong classes, ulong rows_each, int add,
                                     __global long *errors, int number) {
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        long class = target[target_at + row];
        bool inside = in_range(class, classes);
        if (ROW_LANE == 0) {
            report(errors, number, row, class, classes);
        }
        float2 sum = vload2(row, sums + sums_at);
        float factor = inside ? dloss[dloss_at + row] : 0.0f;
        ulong at = row * classes;
        for (ulong i = ROW_LANE * CG_WIDTH; i < classes; i += ROW_STEP) {
            int lane = (int)clamp(class - (long)i, -1L, (long)CG_WIDTH);
            vfloat onehot = LANE_NUMBERS == (vint)(lane) ? (vfloat)(1.0f) : (vfloat)(0.0f);
            vfloat share = exp((load_part(logits + logits_at + at + i, classes - i, 0.0f) - sum.x) - sum.y);
            put_part((share - onehot) * factor, dlogits + dlogits_at + at + i, classes - i, add);
        }
    }
}
