/*
 * Matrix products on a GPU that would leave most of a large tile empty: small, thin, or a batch of small ones. A
 * work-group of 64 items computes a tile of 16 x 16, an item two rows of two columns.
 *
 * Variants: -DCG_TRANSPOSE_A={0,1} -DCG_TRANSPOSE_B={0,1} -DCG_SUBGROUP=0
 */
#define TILE_M 16
#define TILE_N 16
#define DEPTH 16
#define ITEMS 64
#define PAD 2 /* keeps float2 loads, and spreads the rows over the banks */
#include "matmul_job.cl"

static inline void store_row(float2 sums, __global float *c, __global const float *bias, ulong column,
                             const product *p) {
    if (column < p->n) {
        store_one(sums.x, c, bias, p);
    }
    if (column + 1 < p->n) {
        store_one(sums.y, c + 1, bias + 1, p);
    }
}

__kernel SUBGROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
matmul_small(__global const float *a, __global const float *b, __global float *c, __global const float *bias,
             product p) {
    __local float tile_a[DEPTH * STRIDE_A] __attribute__((aligned(8)));
    __local float tile_b[DEPTH * STRIDE_B] __attribute__((aligned(8)));
    job j = job_of(a, b, &p);
    uint my_row = get_local_id(0) / 8 * 2, my_column = get_local_id(0) % 8 * 2;
    ulong row = tile_row() + my_row, column = tile_column() + my_column;
    bool busy = row < p.m && column < p.n;
    float2 upper = 0.0f, lower = 0.0f;
    while (j.left > 0) {
        uint depths = load_rest(&j, &p, tile_a, tile_b);
        for (uint d = 0; busy && d < depths; d++) {
            float2 two = *(__local const float2 *)(tile_a + d * STRIDE_A + my_row);
            float2 across = *(__local const float2 *)(tile_b + d * STRIDE_B + my_column);
            upper = MULTIPLY_ADD((float2)(two.x), across, upper);
            lower = MULTIPLY_ADD((float2)(two.y), across, lower);
        }
        advance(&j, depths, &p);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c += p.c_at + get_group_id(2) * p.stride_c + row * p.ldc + column;
    bias += p.bias_at + column;
    if (row < p.m) {
        store_row(upper, c, bias, column, &p);
    }
    if (row + 1 < p.m) {
        store_row(lower, c + p.ldc, bias, column, &p);
    }
}
