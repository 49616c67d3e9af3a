/*
 * Convolution on a GPU as a matrix product whose right matrix is never stored: its tiles are gathered from the image
 * (implicit GEMM; Chetlur et al., cuDNN: efficient primitives for deep learning, 2014). A work-group of 128 items
 * computes 64 x 64 elements through local memory, an item 4 rows of 8 columns.
 *
 * CG_PASS  0: y       rows: filters,  columns: images x outputs,  sum over channels x taps
 *          1: dx      rows: channels, columns: images x inputs,   sum over filters x taps
 *          2: dweight rows: filters,  columns: channels x taps,   sum over images x outputs
 *
 * get_group_id(1) counts the tiles' rows, get_group_id(2) the groups of channels times the parts that the sum is cut
 * into; with several parts each writes a dweight of its own, which a sum joins.
 *
 * Variants: -DCG_PASS={0,1,2} -DCG_SUBGROUP=0
 */
#include "conv.cl"
#include "subgroup.cl"

#ifndef CG_PASS
#define CG_PASS 0
#endif

#define TILE 64
#define DEPTH 16
#define ITEMS 128
#define STRIDE (TILE + 4) /* a multiple of 4 keeps float4 loads, and spreads the rows over the banks */

/* What a term of the sum, or a column, adds to the places in the left matrix (a) and in the image (b; d, h, w). */
typedef struct {
    int a, b, d, h, w;
} place;

static inline place place_of(int a, int b, triple at) {
    place result;
    result.a = a;
    result.b = b;
    result.d = at.d;
    result.h = at.h;
    result.w = at.w;
    return result;
}

#if CG_PASS == 0
#define ROWS(v) (v)->filters
#define COLUMNS(v) ((v)->images * (v)->out_plane)
#define TERMS(v) ((v)->channels * (v)->taps)
#define ROW_STEP(v) ((v)->channels * (v)->taps)

static inline place term_of(int k, const convolution *v) {
    int channel = k / v->taps;
    return place_of(k, channel * v->in_plane, offset_of(k - channel * v->taps, v));
}

static inline place column_of(int n, const convolution *v) {
    int image = n / v->out_plane;
    return place_of(0, image * v->groups * v->channels * v->in_plane, window_of(n - image * v->out_plane, v));
}

static inline int result_at(int n, const convolution *v) {
    int image = n / v->out_plane;
    return image * (v->groups * v->filters - 1) * v->out_plane + n;
}
#elif CG_PASS == 1
#define ROWS(v) (v)->channels
#define COLUMNS(v) ((v)->images * (v)->in_plane)
#define TERMS(v) ((v)->filters * (v)->taps)
#define ROW_STEP(v) (v)->taps

static inline place term_of(int k, const convolution *v) {
    int filter = k / v->taps, tap = k - filter * v->taps;
    triple back = offset_of(tap, v);
    back.d = v->padding_d - back.d;
    back.h = v->padding_h - back.h;
    back.w = v->padding_w - back.w;
    return place_of(filter * v->channels * v->taps + tap, filter * v->out_plane, back);
}

static inline place column_of(int n, const convolution *v) {
    int image = n / v->in_plane;
    return place_of(0, image * v->groups * v->filters * v->out_plane,
                    unravel(n - image * v->in_plane, v->in_h, v->in_w));
}

static inline int result_at(int n, const convolution *v) {
    int image = n / v->in_plane;
    return image * (v->groups * v->channels - 1) * v->in_plane + n;
}
#else
#define ROWS(v) (v)->filters
#define COLUMNS(v) ((v)->channels * (v)->taps)
#define TERMS(v) ((v)->images * (v)->out_plane)
#define ROW_STEP(v) (v)->out_plane

static inline place term_of(int k, const convolution *v) {
    int image = k / v->out_plane, output = k - image * v->out_plane;
    return place_of(image * v->groups * v->filters * v->out_plane + output,
                    image * v->groups * v->channels * v->in_plane, window_of(output, v));
}

static inline place column_of(int n, const convolution *v) {
    int channel = n / v->taps;
    return place_of(0, channel * v->in_plane, offset_of(n - channel * v->taps, v));
}

static inline int result_at(int n, const convolution *v) {
    return n;
}
#endif

/* Elements from one row of the result to the next. */
static inline int result_step(const convolution *v) {
    return CG_PASS == 0 ? v->out_plane : CG_PASS == 1 ? v->in_plane : v->channels * v->taps;
}

/* The right matrix's element: the image where both places together lie inside, else 0. */
static inline float gather(__global const float *image, place term, place column, const convolution *v) {
    int d = term.d + column.d, h = term.h + column.h, w = term.w + column.w;
#if CG_PASS == 1
    d = exact(d, v->stride_d);
    h = exact(h, v->stride_h);
    w = exact(w, v->stride_w);
    int depth = v->out_d, height = v->out_h, width = v->out_w;
#else
    int depth = v->in_d, height = v->in_h, width = v->in_w;
#endif
    bool inside = d >= 0 && d < depth && h >= 0 && h < height && w >= 0 && w < width;
    return inside ? image[term.b + column.b + (d * height + h) * width + w] : 0.0f;
}

static inline void multiply_tiles(__local const float *tile_a, __local const float *tile_b, float4 *left,
                                  float4 *right) {
    uint row = get_local_id(0) / 8 * 4, column = get_local_id(0) % 8 * 4;
#pragma unroll
    for (uint k = 0; k < DEPTH; k++) {
        float4 four = *(__local const float4 *)(tile_a + k * STRIDE + row);
        float4 b_left = *(__local const float4 *)(tile_b + k * STRIDE + column);
        float4 b_right = *(__local const float4 *)(tile_b + k * STRIDE + column + TILE / 2);
        float factor[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (uint i = 0; i < 4; i++) {
            left[i] = MULTIPLY_ADD((float4)(factor[i]), b_left, left[i]);
            right[i] = MULTIPLY_ADD((float4)(factor[i]), b_right, right[i]);
        }
    }
}

/* Four columns of the item's four rows. */
static inline void store_columns(const float4 *sums, __global float *c, __global const float *bias, int row, int column,
                                 const convolution *v) {
    float value[16];
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        vstore4(sums[i], i, value);
    }
    int step = result_step(v), rows = ROWS(v), columns = COLUMNS(v);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (column + j >= columns) {
            continue;
        }
        __global float *to = c + result_at(column + j, v);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (row + i < rows) {
                float start = v->has_bias ? bias[row + i] : 0.0f;
                start = v->add ? to[(row + i) * step] + start : start;
                to[(row + i) * step] = start + value[4 * i + j];
            }
        }
    }
}

/* a: weight, of pass 2 dy; b: x, of pass 1 dy; c: the result. */
__kernel SUBGROUP __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
conv_tile(__global const float *a, ulong a_at, ulong a_group, __global const float *b, ulong b_at, ulong b_group,
          __global float *c, ulong c_at, ulong c_group, ulong c_part, __global const float *bias, convolution v) {
    __local float tile_a[DEPTH * STRIDE] __attribute__((aligned(16)));
    __local float tile_b[DEPTH * STRIDE] __attribute__((aligned(16)));
    __local place terms[DEPTH];
    uint lane = get_local_id(0); /* unsigned, so that parts of it are shifts */
    int group = (int)(get_group_id(2) / (uint)v.parts);
    int part = (int)get_group_id(2) - group * v.parts;
    int row = (int)get_group_id(1) * TILE, column = (int)get_group_id(0) * TILE;
    int each = (TERMS(&v) + v.parts - 1) / v.parts, end = min((part + 1) * each, TERMS(&v));
    int my_term = (int)(lane % DEPTH), my_column = (int)(lane % TILE);
    bool in_columns = column + my_column < COLUMNS(&v);
    place mine = column_of(in_columns ? column + my_column : 0, &v);
    a += a_at + (ulong)group * a_group;
    b += b_at + (ulong)group * b_group;
    float4 left[4] = {0.0f, 0.0f, 0.0f, 0.0f}, right[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int k = part * each; k < end; k += DEPTH) {
        if (lane < DEPTH) {
            terms[lane] = term_of(k + (int)lane, &v);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = (int)(lane / DEPTH); i < TILE; i += ITEMS / DEPTH) {
            bool inside = k + my_term < end && row + i < ROWS(&v);
            tile_a[my_term * STRIDE + i] = inside ? a[terms[my_term].a + (row + i) * ROW_STEP(&v)] : 0.0f;
        }
        for (int i = (int)(lane / TILE); i < DEPTH; i += ITEMS / TILE) {
            bool inside = k + i < end && in_columns;
            tile_b[i * STRIDE + my_column] = inside ? gather(b, terms[i], mine, &v) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply_tiles(tile_a, tile_b, left, right);
    }
    c += c_at + (ulong)group * c_group + (ulong)part * c_part;
    bias += v.bias_at + (ulong)(group * v.filters);
    row += (int)(lane / 8 * 4);
    column += (int)(lane % 8 * 4);
    store_columns(left, c, bias, row, column, &v);
    store_columns(right, c, bias, row, column + TILE / 2, &v);
}
