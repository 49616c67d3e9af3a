/*
 * Convolution on a GPU as a matrix product whose right matrix is never stored: its tiles are gathered from the image
 * (implicit GEMM; Chetlur et al., cuDNN: efficient primitives for deep learning, 2014), by what conv_sides.cl has
 * written of all terms and columns, the same for the three passes. A work-group of 256 or 128 items computes a tile of
 * 128 x 128 or 64 x 128 through local memory, an item 8 rows of 8 columns of it; 256 with 4 rows where registers are few.
 *
 * get_group_id(1) counts the tiles' rows, get_group_id(2) the groups of channels times the parts that the sum is cut
 * into; with several parts each writes a result of its own, which a sum joins.
 *
 * Variants (intel): -DCG_ITEM_ROWS=4 -DCG_ITEMS=256 -DCG_SUBGROUP=0
 * Variants (amd, nvidia): -DCG_ITEM_ROWS=8 -DCG_ITEMS={128,256} -DCG_SUBGROUP=0
 */
#include "prelude.cl"
#include "side.cl"
#include "subgroup.cl"

#ifndef CG_ITEM_ROWS
#define CG_ITEM_ROWS 4
#endif
#ifndef CG_ITEMS
#define CG_ITEMS 256
#endif

/* Functions that are called with local memory: PoCL loses it in those that are not inlined. */
#define INSIDE static inline __attribute__((always_inline))

#define ITEMS CG_ITEMS
#define TILE_M (CG_ITEM_ROWS * ITEMS / 16)
#define TILE_N 128
#define DEPTH (64 / CG_ITEM_ROWS)
#define STRIDE_A (TILE_M + 4) /* a multiple of 4 keeps float4 loads, and spreads the rows over the banks */
#define STRIDE_B (TILE_N + 4)

/* An item's rows lie together by fours or, as AMD's packed multiply-adds take either half of a pair without a move, by
 * pairs, and these apart; its columns are two fours, half a tile apart. */
#ifdef __AMDGCN__
#define TOGETHER 2
typedef float2 together;
#else
#define TOGETHER 4
typedef float4 together;
#endif
#define ROWS_APART (TOGETHER * TILE_M / CG_ITEM_ROWS)
#define ITEMS_ACROSS (TILE_N / 8)

/* How much of the loop over a block of terms to unroll: all, but NVIDIA's compiler then takes too many registers. */
#if defined(__NVPTX__) || defined(cl_nv_pragma_unroll)
#define STEPS (ITEMS == 128 ? 2 : 4)
#else
#define STEPS DEPTH
#endif

/* Without padding at its end, which not every driver counts. */
typedef struct {
    ulong a_at, b_at, c_at, bias_at;
    ulong a_group, b_group, c_group, c_part; /* elements from one group of channels, or one part, to the next */
    ulong add, has_bias, parts;
    uint rows, columns, terms, row_step, result_step; /* elements from row to row of the left matrix, of the result */
    uint part_terms;
} product;

typedef struct {
    float4 left[CG_ITEM_ROWS], right[CG_ITEM_ROWS];
} block;

INSIDE void multiply_add(__local const float *a, __local const float *b, block *sums) {
    float4 left = *(__local const float4 *)b, right = *(__local const float4 *)(b + TILE_N / 2);
#pragma unroll
    for (uint i = 0; i < CG_ITEM_ROWS; i += TOGETHER) {
        float factor[TOGETHER];
        *(together *)factor = *(__local const together *)(a + i / TOGETHER * ROWS_APART);
#pragma unroll
        for (uint j = 0; j < TOGETHER; j++) {
            sums->left[i + j] = MULTIPLY_ADD((float4)(factor[j]), left, sums->left[i + j]);
            sums->right[i + j] = MULTIPLY_ADD((float4)(factor[j]), right, sums->right[i + j]);
        }
    }
}

/* What an item loads of each block of terms: one term's elements of some rows of the left matrix, and one column's of
 * some terms of the right one. Rows and terms that do not exist are read where others are, and not used; a column that
 * does not exist meets nothing. */
#define ROWS_LOADED (TILE_M * DEPTH / ITEMS)
#define TERMS_LOADED (TILE_N * DEPTH / ITEMS)

typedef struct {
    __global const float *a, *b;
    uint rows[ROWS_LOADED]; /* bytes */
    uint reach, bits;
} source;

static inline void find_source(source *from, __global const side *columns, uint row, uint column, const product *p) {
    uint lane = get_local_id(0), my_column = column + lane % TILE_N;
#pragma unroll
    for (uint i = 0; i < ROWS_LOADED; i++) {
        from->rows[i] = in_bytes(min(row + lane / DEPTH + i * (ITEMS / DEPTH), p->rows - 1) * p->row_step);
    }
    from->reach = my_column < p->columns ? columns[my_column].reach : 0;
    from->bits = my_column < p->columns ? columns[my_column].bits : 0;
}

/* Some of the terms, in local memory: one an item. */
typedef struct {
    uint right[2 * ITEMS]; /* reach and bits, side by side */
    uint place[ITEMS];
} term_list;

/* Those from term k on; behind the last one it again. */
INSIDE void list_terms(__global const side *terms, uint k, uint count, __local term_list *list) {
    uint lane = get_local_id(0);
    __global const side *mine = terms + min(k + lane, count - 1);
    list->right[2 * lane] = mine->reach;
    list->right[2 * lane + 1] = mine->bits;
    list->place[lane] = mine->place;
}

static inline float at_byte(__global const float *x, uint bytes) {
    return *(__global const float *)((__global const char *)x + bytes);
}

/* The block of terms from place k of the list. */
INSIDE void load_block(const source *from, __local const term_list *list, uint k, __local float *tile_a,
                       __local float *tile_b) {
    uint lane = get_local_id(0), term = lane % DEPTH, column = lane % TILE_N, first = lane / TILE_N * TERMS_LOADED;
    uint place = list->place[k + term];
    float a[ROWS_LOADED], b[TERMS_LOADED];
#pragma unroll
    for (uint i = 0; i < ROWS_LOADED; i++) {
        a[i] = at_byte(from->a, from->rows[i] + place);
    }
#pragma unroll
    for (uint i = 0; i < TERMS_LOADED; i++) {
        __local const uint *right = list->right + 2 * (k + first + i);
        uint reach = right[0], bits = right[1];
        b[i] = (bits | from->bits) == ~0u ? at_byte(from->b, reach + from->reach) : 0.0f;
    }
#pragma unroll
    for (uint i = 0; i < ROWS_LOADED; i++) {
        tile_a[term * STRIDE_A + lane / DEPTH + i * (ITEMS / DEPTH)] = a[i];
    }
#pragma unroll
    for (uint i = 0; i < TERMS_LOADED; i++) {
        tile_b[(first + i) * STRIDE_B + column] = b[i];
    }
}

/* Four neighbours of a row of the result. */
static inline void store_four(float4 sums, __global float *row, __global const side *columns, uint column, float bias,
                              const product *p) {
    float value[4];
    vstore4(sums, 0, value);
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        if (column + i < p->columns) {
            __global float *to = row + columns[column + i].place;
            *to = p->add ? *to + bias + value[i] : bias + value[i];
        }
    }
}

static inline void store_block(const block *sums, __global float *c, __global const float *bias,
                               __global const side *columns, uint row, uint column, const product *p) {
#pragma unroll
    for (uint i = 0; i < CG_ITEM_ROWS; i++) {
        uint r = row + i / TOGETHER * ROWS_APART + i % TOGETHER;
        if (r < p->rows) {
            float start = p->has_bias ? bias[r] : 0.0f;
            store_four(sums->left[i], c + r * p->result_step, columns, column, start, p);
            store_four(sums->right[i], c + r * p->result_step, columns, column + TILE_N / 2, start, p);
        }
    }
}

/* a: weight, of pass 2 dy; b: x, of pass 1 dy; c: the result. */
__kernel SUBGROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
conv_tile(__global const float *a, __global const float *b, __global float *c, __global const float *bias,
          __global const side *sides, product p) {
    __local float tile_a[DEPTH * STRIDE_A] __attribute__((aligned(16)));
    __local float tile_b[DEPTH * STRIDE_B] __attribute__((aligned(16)));
    __local term_list list;
    uint lane = get_local_id(0), row = (uint)get_group_id(1) * TILE_M, column = (uint)get_group_id(0) * TILE_N;
    uint group = (uint)get_group_id(2) / (uint)p.parts, part = (uint)get_group_id(2) - group * (uint)p.parts;
    uint first = part * p.part_terms, count = min(p.part_terms, p.terms - first), k = 0;
    __global const side *terms = sides + first, *columns = sides + p.terms;
    source from;
    from.a = a + p.a_at + group * p.a_group;
    from.b = b + p.b_at + group * p.b_group;
    find_source(&from, columns, row, column, &p);
    uint my_row = lane / ITEMS_ACROSS * TOGETHER, my_column = lane % ITEMS_ACROSS * 4;
    block sums;
#pragma unroll
    for (uint i = 0; i < CG_ITEM_ROWS; i++) {
        sums.left[i] = sums.right[i] = 0.0f;
    }
    list_terms(terms, 0, count, &list);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (; k + DEPTH <= count; k += DEPTH) {
        load_block(&from, &list, k % ITEMS, tile_a, tile_b);
        barrier(CLK_LOCAL_MEM_FENCE);
        if ((k + DEPTH) % ITEMS == 0) {
            list_terms(terms, k + DEPTH, count, &list);
        }
        __local const float *from_a = tile_a + my_row, *from_b = tile_b + my_column;
#pragma unroll STEPS
        for (uint d = 0; d < DEPTH; d++) {
            multiply_add(from_a, from_b, &sums);
            from_a += STRIDE_A;
            from_b += STRIDE_B;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (k < count) {
        load_block(&from, &list, k % ITEMS, tile_a, tile_b);
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
        for (uint d = 0; d < count - k; d++) {
            multiply_add(tile_a + my_row + d * STRIDE_A, tile_b + my_column + d * STRIDE_B, &sums);
        }
    }
    c += p.c_at + group * p.c_group + part * p.c_part;
    bias += p.bias_at + group * p.rows;
    store_block(&sums, c, bias, columns, row + my_row, column + my_column, &p);
}
