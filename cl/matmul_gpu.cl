/*
 * Matrix products on a GPU: a work-group of 256 or 128 items computes a tile of 128 x 128 or 128 x 64 through local memory,
 * an item 8 rows of 8 columns of it; 256 with 4 rows where registers are few. Where the tile lies inside both matrices a loop without bounds does all whole
 * blocks of k, with loads of four neighbours; what is left, and tiles across an edge, take a loop that checks, and reads
 * zeros outside.
 *
 * CG_ITEM_ROWS  8: each number from local memory serves eight multiplications, which GPUs with slower local memory want;
 *               4: half the registers
 *
 * Variants (intel): -DCG_ITEM_ROWS=4 -DCG_ITEMS=256 -DCG_TRANSPOSE_A={0,1} -DCG_TRANSPOSE_B={0,1} -DCG_SUBGROUP=0
 * Variants (amd, nvidia): -DCG_ITEM_ROWS=8 -DCG_ITEMS={128,256} -DCG_TRANSPOSE_A={0,1} -DCG_TRANSPOSE_B={0,1} -DCG_SUBGROUP=0
 */
#ifndef CG_ITEM_ROWS
#define CG_ITEM_ROWS 4
#endif
#ifndef CG_ITEMS
#define CG_ITEMS 256
#endif
#define TILE_M 128
#define TILE_N (CG_ITEM_ROWS * ITEMS / 16)
#define ITEMS CG_ITEMS
#if ITEMS == 128 && (defined(__gfx90a__) || defined(__gfx942__)) /* local memory for four waves of such small groups */
#define DEPTH 8
#else
#define DEPTH 16 /* 64 bytes of a matrix that is stored along k */
#endif
#if defined(__NVPTX__) || defined(cl_nv_pragma_unroll)
#define NVIDIA 1
#else
#define NVIDIA 0
#endif
/* Items that write what is stored along k differ in depth first, and would all write to one bank. A pad between depths
 * parts them; where it would cost AMD one of four waves, fours of depths have their places exchanged. */
#if NVIDIA || CG_ITEM_ROWS == 4
#define PAD 4 /* keeps float4 loads */
#else
#define PAD 0
#define SPREAD(depth) ((depth) / 4 * 8)
#endif
#if ITEMS == 256 && (defined(__gfx90a__) || defined(__gfx942__)) /* left alone, the compiler takes registers for three */
#define FOUR_WAVES __attribute__((amdgpu_waves_per_eu(4)))
#else
#define FOUR_WAVES
#endif
#include "matmul_job.cl"

/* How much of the loop over a block of k to unroll: all of it, but NVIDIA's compiler then takes too many registers. */
#define STEPS (NVIDIA ? 2 : DEPTH)
#if ITEMS == 128 && defined(__gfx90a__) /* two registers more would cost it one of four waves */
#define FOURS_OF_STEPS 1
#else
#define FOURS_OF_STEPS (DEPTH / 4)
#endif

/* Where an item's first four elements of a tile are: (depth, place across), by the axis that is stored without gaps. */
static inline uint2 first_four(int along_k, uint tile) {
    uint lane = get_local_id(0);
    return along_k ? (uint2)(lane % (DEPTH / 4) * 4, lane / (DEPTH / 4)) : (uint2)(lane / (tile / 4), lane % (tile / 4) * 4);
}

/* A tile of DEPTH x `tile` whose element `first` is at x, from a matrix stored along k (four neighbours go to four rows
 * of the tile) or across it. */
static inline void load_whole(__global const float *x, ulong ld, int along_k, uint2 first, uint tile, uint stride,
                              __local float *to) {
    uint step = along_k ? ITEMS / (DEPTH / 4) : ITEMS / (tile / 4), steps = (along_k ? tile : DEPTH) / step;
    to += first.x * stride + (along_k ? first.y ^ SPREAD(first.x) : first.y);
#pragma unroll
    for (uint i = 0; i < steps; i++) {
        float4 four = vload4(0, x + i * (step * ld));
        if (along_k) {
            to[i * step] = four.x;
            to[i * step + stride] = four.y;
            to[i * step + 2 * stride] = four.z;
            to[i * step + 3 * stride] = four.w;
        } else {
            *(__local float4 *)(to + i * step * stride) = four;
        }
    }
}

/* An item's rows are fours that lie ROWS_APART from each other, its columns two fours, half a tile apart. */
#define FOURS (CG_ITEM_ROWS / 4)
#define ROWS_APART (TILE_M / FOURS)
#define ITEMS_ACROSS (TILE_N / 8)

typedef struct {
    float4 left[CG_ITEM_ROWS], right[CG_ITEM_ROWS];
} block;

/* One step of k: the item's rows times eight columns. */
static inline void multiply_add(__local const float *a, __local const float *b, block *sums) {
    float4 left = *(__local const float4 *)b, right = *(__local const float4 *)(b + TILE_N / 2);
#pragma unroll
    for (uint j = 0; j < FOURS; j++) {
        float4 four = *(__local const float4 *)(a + j * ROWS_APART);
        float factor[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (uint i = 0; i < 4; i++) {
            sums->left[4 * j + i] = MULTIPLY_ADD((float4)(factor[i]), left, sums->left[4 * j + i]);
            sums->right[4 * j + i] = MULTIPLY_ADD((float4)(factor[i]), right, sums->right[4 * j + i]);
        }
    }
}

static inline void store_four(float4 sums, __global float *c, __global const float *bias, ulong column,
                              const product *p) {
    if (column + 4 <= p->n) {
        sums = p->add ? vload4(0, c) + sums : sums;
        sums = p->has_bias ? sums + vload4(0, bias) : sums;
        vstore4(p->relu ? select(sums, (float4)(0.0f), sums <= 0.0f) : sums, 0, c);
        return;
    }
    float value[4];
    vstore4(sums, 0, value);
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        if (column + i < p->n) {
            store_one(value[i], c + i, bias + i, p);
        }
    }
}

/* An item's place in the tile. */
static inline uint my_row(void) {
    return get_local_id(0) / ITEMS_ACROSS * 4;
}

static inline uint my_column(void) {
    return get_local_id(0) % ITEMS_ACROSS * 4;
}

/* Where an item's numbers of depth d begin. */
static inline __local const float *my_a(__local const float *tile, uint d) {
    return tile + d * STRIDE_A + (CG_TRANSPOSE_A ? my_row() : my_row() ^ SPREAD(d));
}

static inline __local const float *my_b(__local const float *tile, uint d) {
    return tile + d * STRIDE_B + (CG_TRANSPOSE_B ? my_column() ^ SPREAD(d) : my_column());
}

/* All whole blocks of k of a tile that lies inside both matrices. */
static inline void multiply_whole(const product *p, job *j, __local float *tile_a, __local float *tile_b, block *sums) {
    uint2 first_a = first_four(!CG_TRANSPOSE_A, TILE_M), first_b = first_four(CG_TRANSPOSE_B, TILE_N);
    ulong to_a = first_a.x * step_a(p) + first_a.y * across_a(p), to_b = first_b.x * step_b(p) + first_b.y * across_b(p);
    j->a += to_a;
    j->b += to_b;
    while (j->left >= DEPTH) {
        load_whole(j->a, p->lda, !CG_TRANSPOSE_A, first_a, TILE_M, STRIDE_A, tile_a);
        load_whole(j->b, p->ldb, CG_TRANSPOSE_B, first_b, TILE_N, STRIDE_B, tile_b);
        advance(j, DEPTH, p);
        barrier(CLK_LOCAL_MEM_FENCE);
#if PAD == 0
#pragma unroll FOURS_OF_STEPS
        for (uint d = 0; d < DEPTH; d += 4) {
            __local const float *from_a = my_a(tile_a, d), *from_b = my_b(tile_b, d);
#pragma unroll
            for (uint i = 0; i < 4; i++) {
                multiply_add(from_a + i * STRIDE_A, from_b + i * STRIDE_B, sums);
            }
        }
#else
        __local const float *from_a = tile_a + my_row(), *from_b = tile_b + my_column();
#pragma unroll STEPS
        for (uint d = 0; d < DEPTH; d++) {
            multiply_add(from_a, from_b, sums);
            from_a += STRIDE_A;
            from_b += STRIDE_B;
        }
#endif
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    j->a -= to_a;
    j->b -= to_b;
}

/* What is left of k, with bounds. Items that have nothing to write do not multiply. */
static inline void multiply_rest(const product *p, job *j, __local float *tile_a, __local float *tile_b, block *sums) {
    bool busy = tile_row() + my_row() < p->m && tile_column() + my_column() < p->n;
    while (j->left > 0) {
        uint depths = load_rest(j, p, tile_a, tile_b);
#pragma unroll 1
        for (uint d = 0; busy && d < depths; d++) {
            multiply_add(my_a(tile_a, d), my_b(tile_b, d), sums);
        }
        advance(j, depths, p);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

__kernel SUBGROUP FOUR_WAVES __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
matmul_gpu(__global const float *a, __global const float *b, __global float *c, __global const float *bias, product p) {
    __local float tile_a[DEPTH * STRIDE_A] __attribute__((aligned(16)));
    __local float tile_b[DEPTH * STRIDE_B] __attribute__((aligned(16)));
    job j = job_of(a, b, &p);
    block sums;
#pragma unroll
    for (uint i = 0; i < CG_ITEM_ROWS; i++) {
        sums.left[i] = sums.right[i] = 0.0f;
    }
    if (tile_row() + TILE_M <= p.m && tile_column() + TILE_N <= p.n) {
        multiply_whole(&p, &j, tile_a, tile_b, &sums);
    }
    multiply_rest(&p, &j, tile_a, tile_b, &sums);
    ulong column = tile_column() + my_column();
    c += p.c_at + get_group_id(2) * p.stride_c + column;
    bias += p.bias_at + column;
#pragma unroll
    for (uint i = 0; i < CG_ITEM_ROWS; i++) {
        ulong at = tile_row() + my_row() + i / 4 * ROWS_APART + i % 4;
        if (at < p.m) {
            store_four(sums.left[i], c + at * p.ldc, bias, column, &p);
            store_four(sums.right[i], c + at * p.ldc + TILE_N / 2, bias + TILE_N / 2, column + TILE_N / 2, &p);
        }
    }
}
