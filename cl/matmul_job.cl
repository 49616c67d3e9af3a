/*
 * What the two kernels for a GPU's matrix products share: a work-group of ITEMS items computes a tile of TILE_M x TILE_N,
 * DEPTH of k at a time. The file that includes this one says how many these are.
 *
 * CG_TRANSPOSE_A, CG_TRANSPOSE_B  1: stored [k, m], [n, k]
 *
 * get_group_id(1) counts the tiles' rows, get_group_id(2) the matrices of the batch times the parts that k is cut into;
 * with several parts each writes a matrix of its own, which a sum joins.
 */
#include "prelude.cl"
#include "subgroup.cl"

#ifndef CG_TRANSPOSE_A
#define CG_TRANSPOSE_A 0
#endif
#ifndef CG_TRANSPOSE_B
#define CG_TRANSPOSE_B 0
#endif

#ifndef TILE_M
#define TILE_M 16
#define TILE_N 16
#define DEPTH 16
#define ITEMS 64
#define PAD 2
#endif
#ifndef SPREAD
#define SPREAD(depth) 0
#endif
#define STRIDE_A (TILE_M + PAD)
#define STRIDE_B (TILE_N + PAD)

typedef struct {
    ulong m, n, k;
    ulong a_at, b_at, c_at, bias_at;
    ulong lda, ldb, ldc;
    ulong stride_a, stride_b, stride_c;
    ulong parts, part_k;
    ulong add, has_bias, relu;
} product;

/* A tile of DEPTH x `tile` from x, stored along k or across it, with bounds: `rows` across and `depths` along k are
 * inside. (Oclgrind does not know what a division and a remainder of the same numbers become, hence the mask.) */
static inline void load_checked(__global const float *x, ulong ld, int along_k, ulong rows, ulong depths, uint tile,
                                uint stride, __local float *to) {
    uint width = along_k ? DEPTH : tile, lines = along_k ? tile : DEPTH;
    uint near = get_local_id(0) & (width - 1);
#pragma unroll 1
    for (uint far = get_local_id(0) / width; far < lines; far += ITEMS / width) {
        uint depth = along_k ? near : far, at = along_k ? far : near;
        bool inside = at < rows && depth < depths;
        to[depth * stride + (along_k ? at ^ SPREAD(depth) : at)] = inside ? x[far * ld + near] : 0.0f;
    }
}

/* Elements from one k to the next. */
static inline ulong step_a(const product *p) {
    return CG_TRANSPOSE_A ? p->lda : 1;
}

static inline ulong step_b(const product *p) {
    return CG_TRANSPOSE_B ? 1 : p->ldb;
}

/* From one row of the result to the next, and from one column. */
static inline ulong across_a(const product *p) {
    return CG_TRANSPOSE_A ? 1 : p->lda;
}

static inline ulong across_b(const product *p) {
    return CG_TRANSPOSE_B ? p->ldb : 1;
}

/* Where the work-group's tile begins. */
static inline ulong tile_row(void) {
    return get_group_id(1) * TILE_M;
}

static inline ulong tile_column(void) {
    return get_group_id(0) * TILE_N;
}

/* A work-group's part of the product: where its rows of a and columns of b begin, and how much of k is left from there
 * on. Only what the loops need: what lives beside the sums costs registers. */
typedef struct {
    __global const float *a, *b;
    ulong left;
} job;

static inline job job_of(__global const float *a, __global const float *b, const product *p) {
    ulong2 place = divide(get_group_id(2), p->parts); /* (matrix of the batch, part of k) */
    ulong k = place.y * p->part_k;
    job j;
    j.left = min(k + p->part_k, p->k) - k;
    j.a = a + p->a_at + place.x * p->stride_a + tile_row() * across_a(p) + k * step_a(p);
    j.b = b + p->b_at + place.x * p->stride_b + tile_column() * across_b(p) + k * step_b(p);
    return j;
}

/* The job goes on behind `depth` of k. */
static inline void advance(job *j, uint depth, const product *p) {
    j->a += depth * step_a(p);
    j->b += depth * step_b(p);
    j->left -= depth;
}

/* The next block of k, with bounds; the number of k in it. */
static inline uint load_rest(const job *j, const product *p, __local float *tile_a, __local float *tile_b) {
    uint depths = (uint)min((ulong)DEPTH, j->left);
    load_checked(j->a, p->lda, !CG_TRANSPOSE_A, p->m - tile_row(), depths, TILE_M, STRIDE_A, tile_a);
    load_checked(j->b, p->ldb, CG_TRANSPOSE_B, p->n - tile_column(), depths, TILE_N, STRIDE_B, tile_b);
    barrier(CLK_LOCAL_MEM_FENCE);
    return depths;
}

/* One element of the result at c. */
static inline void store_one(float value, __global float *c, __global const float *bias, const product *p) {
    float sum = p->add ? *c + value : value;
    sum = p->has_bias ? sum + *bias : sum;
    *c = p->relu && sum <= 0.0f ? 0.0f : sum; /* NaN stays */
}
