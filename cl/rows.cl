/*
 * Rows of a matrix: sums and maxima over one row by CG_LANES items. CG_LANES 1: an item does whole rows (a CPU; short
 * rows on a GPU). Otherwise the CG_LANES items of a work-group share one and join their results in a fixed order, which
 * is the same with and without CG_SHUFFLE.
 *
 * CG_SHUFFLE  1: the items of a sub-group hand one another numbers without local memory
 */
#include "prelude.cl"

#ifndef CG_LANES
#define CG_LANES 1
#endif

#ifndef CG_SHUFFLE
#define CG_SHUFFLE 0
#endif
#if CG_SHUFFLE
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle_relative : enable
#endif

#if CG_LANES > 1
#define ROW_SCRATCH(name) __local float name[CG_LANES]
typedef __local float *row_scratch;
#define ROW_LANE get_local_id(0)
#define ROW_WORKER get_group_id(0)
#else
#define ROW_SCRATCH(name) float name[1]
typedef float *row_scratch;
#define ROW_LANE 0
#define ROW_WORKER get_global_id(0)
#endif

/* for (ulong i = ROW_LANE * CG_WIDTH; i < length; i += ROW_STEP): the vectors of this item. */
#define ROW_STEP (CG_LANES * CG_WIDTH)

/* Halves are joined until one is left: the same order on every device of this width. */
static inline float vector_sum(vfloat v) {
    float part[CG_WIDTH];
    VSTORE(v, part);
#pragma unroll
    for (uint count = CG_WIDTH / 2; count > 0; count /= 2) {
#pragma unroll
        for (uint i = 0; i < count; i++) {
            part[i] += part[i + count];
        }
    }
    return part[0];
}

static inline float vector_max(vfloat v) {
    float part[CG_WIDTH];
    VSTORE(v, part);
#pragma unroll
    for (uint count = CG_WIDTH / 2; count > 0; count /= 2) {
#pragma unroll
        for (uint i = 0; i < count; i++) {
            part[i] = fmax(part[i], part[i + count]);
        }
    }
    return part[0];
}

static inline float join_two(float a, float b, int maximum) {
    return maximum ? fmax(a, b) : a + b;
}

#if CG_LANES > 1
/* Joins the upper half with the lower one until `left` numbers are left in scratch. */
static inline void join_halves(row_scratch scratch, uint left, int maximum) {
    uint lane = get_local_id(0);
    for (uint half_way = CG_LANES / 2; half_way >= left; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_way) {
            scratch[lane] = join_two(scratch[lane], scratch[lane + half_way], maximum);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}
#endif

static inline float row_join(float value, row_scratch scratch, int maximum) {
#if CG_LANES > 1
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[get_local_id(0)] = value;
#if CG_SHUFFLE
    uint size = get_max_sub_group_size();
    join_halves(scratch, size, maximum);
    if (get_sub_group_id() == 0) {
        uint lane = get_sub_group_local_id();
        float joined = scratch[lane];
        for (uint half_way = size / 2; half_way > 0; half_way /= 2) {
            joined = join_two(joined, sub_group_shuffle_down(joined, half_way), maximum);
        }
        if (lane == 0) {
            scratch[0] = joined;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    join_halves(scratch, 1, maximum);
#endif
    return scratch[0];
#else
    return value;
#endif
}

/* The sum of a row; every lane gets it. Four chains, since each addition waits for the one before. */
static inline float row_sum(__global const float *x, ulong length, row_scratch scratch) {
    vfloat s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    ulong i = ROW_LANE * CG_WIDTH;
    for (; i + 3 * ROW_STEP + CG_WIDTH <= length; i += 4 * ROW_STEP) {
        s0 += VLOAD(x + i);
        s1 += VLOAD(x + i + ROW_STEP);
        s2 += VLOAD(x + i + 2 * ROW_STEP);
        s3 += VLOAD(x + i + 3 * ROW_STEP);
    }
    for (; i < length; i += ROW_STEP) {
        s0 += load_part(x + i, length - i, 0.0f);
    }
    return row_join(vector_sum((s0 + s1) + (s2 + s3)), scratch, 0);
}

/* (largest element, log of the sum of exp(x - largest)): kept apart, since their sum rounds where the largest is large.
 * A NaN is not the largest, but makes the sum NaN. */
static inline float2 row_log_sum_exp(__global const float *x, ulong length, row_scratch scratch) {
    vfloat largest = -INFINITY;
    for (ulong i = ROW_LANE * CG_WIDTH; i < length; i += ROW_STEP) {
        largest = fmax(largest, load_part(x + i, length - i, -INFINITY));
    }
    float top = row_join(vector_max(largest), scratch, 1);
    vfloat sum = 0.0f;
    for (ulong i = ROW_LANE * CG_WIDTH; i < length; i += ROW_STEP) {
        sum += exp(load_part(x + i, length - i, -INFINITY) - top);
    }
    return (float2)(top, log(row_join(vector_sum(sum), scratch, 0)));
}
