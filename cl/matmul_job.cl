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
        to[depth * stride + at] = inside ? x[far * ld + near] : 0.0f;
    }
}

/* A work-group's part of the product, and where it begins. */
typedef struct {
    __global const float *a, *b;
    ulong row, column;      /* of the tile */
    ulong k, end_k;         /* the part of k */
    ulong step_a, across_a; /* elements from one k to the next, and across it */
    ulong step_b, across_b;
} job;

static inline job job_of(__global const float *a, __global const float *b, const product *p) {
    ulong2 place = divide(get_group_id(2), p->parts); /* (matrix of the batch, part of k) */
    job j;
    j.row = get_group_id(1) * TILE_M;
    j.column = get_group_id(0) * TILE_N;
    j.k = place.y * p->part_k;
    j.end_k = min(j.k + p->part_k, p->k);
    j.step_a = CG_TRANSPOSE_A ? p->lda : 1;
    j.across_a = CG_TRANSPOSE_A ? 1 : p->lda;
    j.step_b = CG_TRANSPOSE_B ? 1 : p->ldb;
    j.across_b = CG_TRANSPOSE_B ? p->ldb : 1;
    j.a = a + p->a_at + place.x * p->stride_a + j.row * j.across_a;
    j.b = b + p->b_at + place.x * p->stride_b + j.column * j.across_b;
    return j;
}

/* The next block of k, with bounds; the number of k in it. */
static inline ulong load_rest(const job *j, const product *p, __local float *tile_a, __local float *tile_b) {
    ulong depths = min((ulong)DEPTH, j->end_k - j->k);
    load_checked(j->a + j->k * j->step_a, p->lda, !CG_TRANSPOSE_A, p->m - j->row, depths, TILE_M, STRIDE_A, tile_a);
    load_checked(j->b + j->k * j->step_b, p->ldb, CG_TRANSPOSE_B, p->n - j->column, depths, TILE_N, STRIDE_B, tile_b);
    barrier(CLK_LOCAL_MEM_FENCE);
    return depths;
}

/* One element of the result at c. */
static inline void store_one(float value, __global float *c, __global const float *bias, const product *p) {
    float sum = p->add ? *c + value : value;
    sum = p->has_bias ? sum + *bias : sum;
    *c = p->relu && sum <= 0.0f ? 0.0f : sum; /* NaN stays */
}
