/*
 * Matrix products on a GPU: a work-group of 128 items computes a tile of 64 x 64 through local memory, an item 4 rows
 * of 8 columns of it. Outside the matrices zeros are read and nothing is written.
 *
 * CG_TRANSPOSE_A, CG_TRANSPOSE_B  1: stored [k, m], [n, k]
 *
 * get_group_id(1) counts the tiles' rows, get_group_id(2) the matrices of the batch times the parts that k is cut into;
 * with several parts each writes a matrix of its own, which a sum joins.
 */
#include "prelude.cl"

#ifndef CG_TRANSPOSE_A
#define CG_TRANSPOSE_A 0
#endif
#ifndef CG_TRANSPOSE_B
#define CG_TRANSPOSE_B 0
#endif

#define TILE 64
#define DEPTH 16
#define ITEMS 128
#define STRIDE (TILE + 4) /* a multiple of 4 keeps float4 loads, and spreads the rows over the banks */

typedef struct {
    ulong m, n, k;
    ulong a_at, b_at, c_at, bias_at;
    ulong lda, ldb, ldc;
    ulong stride_a, stride_b, stride_c;
    ulong parts, part_k;
    ulong add, has_bias;
} product;

/* A tile of DEPTH x TILE from a matrix with its fast axis along k (transposed) or across it, so that neighbouring items
 * read neighbouring elements. */
static inline void load_tile(__global const float *x, ulong ld, ulong across, ulong n_across, ulong k, ulong end_k,
                             int along_k, __local float *tile) {
    for (uint e = get_local_id(0); e < TILE * DEPTH; e += ITEMS) {
        uint depth = along_k ? e % DEPTH : e / TILE, at = along_k ? e / DEPTH : e % TILE;
        bool inside = across + at < n_across && k + depth < end_k;
        ulong index = along_k ? (across + at) * ld + k + depth : (k + depth) * ld + across + at;
        tile[depth * STRIDE + at] = inside ? x[index] : 0.0f;
    }
}

static inline void store_four(float4 sums, __global float *c, __global const float *bias, ulong column,
                              const product *p) {
    float value[4];
    vstore4(sums, 0, value);
    for (uint i = 0; i < 4; i++) {
        if (column + i < p->n) {
            float sum = p->add ? c[i] + value[i] : value[i];
            c[i] = p->has_bias ? sum + bias[i] : sum;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
matmul_gpu(__global const float *a, __global const float *b, __global float *c, __global const float *bias, product p) {
    __local float tile_a[DEPTH * STRIDE] __attribute__((aligned(16)));
    __local float tile_b[DEPTH * STRIDE] __attribute__((aligned(16)));
    ulong row = get_group_id(1) * TILE, column = get_group_id(0) * TILE;
    ulong2 place = divide(get_group_id(2), p.parts); /* (matrix of the batch, part of k) */
    ulong end_k = min((place.y + 1) * p.part_k, p.k);
    uint my_row = get_local_id(0) / 8 * 4, my_column = get_local_id(0) % 8 * 4;
    a += p.a_at + place.x * p.stride_a;
    b += p.b_at + place.x * p.stride_b;
    float4 left[4] = {0.0f, 0.0f, 0.0f, 0.0f}, right[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (ulong k = place.y * p.part_k; k < end_k; k += DEPTH) {
        load_tile(a, p.lda, row, p.m, k, end_k, !CG_TRANSPOSE_A, tile_a);
        load_tile(b, p.ldb, column, p.n, k, end_k, CG_TRANSPOSE_B, tile_b);
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (uint d = 0; d < DEPTH; d++) {
            float4 four = *(__local const float4 *)(tile_a + d * STRIDE + my_row);
            float4 b_left = *(__local const float4 *)(tile_b + d * STRIDE + my_column);
            float4 b_right = *(__local const float4 *)(tile_b + d * STRIDE + my_column + TILE / 2);
            float factor[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (uint i = 0; i < 4; i++) {
                left[i] = MULTIPLY_ADD((float4)(factor[i]), b_left, left[i]);
                right[i] = MULTIPLY_ADD((float4)(factor[i]), b_right, right[i]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    column += my_column;
    c += p.c_at + get_group_id(2) * p.stride_c + column;
    bias += p.bias_at + column;
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        ulong at = row + my_row + i;
        if (at < p.m) {
            store_four(left[i], c + at * p.ldc, bias, column, &p);
            store_four(right[i], c + at * p.ldc + TILE / 2, bias + TILE / 2, column + TILE / 2, &p);
        }
    }
}
