/*
 * Matrix products on a CPU: an item computes one tile of TILE_ROWS x TILE_COLUMNS in registers, over one block of k.
 * pack_cpu.cl has copied B, and A where that pays, into panels that the tile reads from one end to the other.
 *
 * CG_VECTORS  vectors in a row of the tile: 1 or 2
 * CG_APART    1: the rows of A are read in place, `outer` elements apart; 0: neighbours, as in panels and in a
 *             transposed A
 *
 * Variants: -DCG_VECTORS={1,2} -DCG_APART={0,1}
 */
#include "tile_cpu.cl"

#ifndef CG_APART
#define CG_APART 0
#endif

/* Where A's rows or B's columns lie: `outer` elements from one to the next, `step` from one k to the next, `batch` from
 * one matrix to the next. A tile begins at row or column `last` at most: at the edge of a matrix that is read in place
 * it moves back to lie inside, and stores only what no other tile does. */
typedef struct {
    ulong at, batch, outer, step, last;
} source;

typedef struct {
    ulong m, n, k;
    ulong at, batch, ld, bias_at;
    ulong add, has_bias, relu;
    ulong row_tiles, column_tiles,
        columns_first; /* which tiles come one after the other: those of one row, or column */
} result;

/* One row of a tile to C, columns [skip, count) of it. */
static inline void store_row(const float *row, __global float *c, __global const float *bias, ulong skip, ulong count,
                             const result *r) {
    if (skip == 0 && count == TILE_COLUMNS) {
        for (uint i = 0; i < TILE_COLUMNS; i += CG_WIDTH) {
            vfloat value = VLOAD(row + i);
            if (r->add) {
                value += VLOAD(c + i);
            }
            value = r->has_bias ? value + VLOAD(bias + i) : value;
            if (r->relu) {
                value = relu_of(value);
            }
            VSTORE(value, c + i);
        }
        return;
    }
    for (ulong i = skip; i < count; i++) {
        float value = r->add ? c[i] + row[i] : row[i];
        value = r->has_bias ? value + bias[i] : value;
        c[i] = r->relu && value <= 0.0f ? 0.0f : value;
    }
}

/* An item does `each` tiles, neighbours. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_tile(__global const float *a, source from_a,
                                                                         __global const float *b, source from_b,
                                                                         __global float *c, result r,
                                                                         __global const float *bias, ulong each) {
    ulong matrix = get_global_id(1), first = get_global_id(0) * each;
    ulong end = min(first + each, r.row_tiles * r.column_tiles);
    const ulong a_row = CG_APART ? from_a.outer : 1, a_step = CG_APART ? 1 : from_a.step, b_step = from_b.step;
    a += from_a.at + matrix * from_a.batch;
    b += from_b.at + matrix * from_b.batch;
    c += r.at + matrix * r.batch;
    bias += r.bias_at;
    for (ulong number = first; number < end; number++) {
        ulong2 place = divide(number, r.columns_first ? r.column_tiles : r.row_tiles);
        ulong row_start = (r.columns_first ? place.x : place.y) * TILE_ROWS;
        ulong column_start = (r.columns_first ? place.y : place.x) * TILE_COLUMNS;
        ulong row = min(row_start, from_a.last), column = min(column_start, from_b.last);
        __global const float *of_a = a + row * from_a.outer, *of_b = b + column * from_b.outer;
        vfloat tile[TILE_ROWS][CG_VECTORS];
        clear_tile(tile);
        for (ulong k = 0; k < r.k; k++, of_a += a_step, of_b += b_step) {
            add_outer_product(tile, of_a, a_row, of_b);
        }
        float out[TILE_ROWS * TILE_COLUMNS];
        spread_tile(tile, out);
        ulong skip = column_start - column, columns = min((ulong)TILE_COLUMNS, r.n - column);
        ulong end_row = min((ulong)TILE_ROWS, r.m - row);
        for (ulong i = row_start - row; i < end_row; i++) {
            store_row(out + i * TILE_COLUMNS, c + (row + i) * r.ld + column, bias + column, skip, columns, &r);
        }
    }
}

/* n = 1, A not transposed, b without gaps: one dot product a row. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_vector(__global const float *a, source from_a,
                                                                           __global const float *b, source from_b,
                                                                           __global float *c, result r,
                                                                           __global const float *bias, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, r.m), matrix = get_global_id(1);
    a += from_a.at + matrix * from_a.batch;
    b += from_b.at + matrix * from_b.batch;
    c += r.at + matrix * r.batch;
    for (ulong row = first; row < end; row++) {
        __global const float *from = a + row * from_a.outer;
        vfloat sums = 0.0f;
        for (ulong k = 0; k < r.k; k += CG_WIDTH) {
            sums = MULTIPLY_ADD(load_part(from + k, r.k - k, 0.0f), load_part(b + k, r.k - k, 0.0f), sums);
        }
        float part[CG_WIDTH], sum = 0.0f;
        VSTORE(sums, part);
        for (uint i = 0; i < CG_WIDTH; i++) {
            sum += part[i];
        }
        sum = r.add ? c[row * r.ld] + sum : sum;
        sum = r.has_bias ? sum + bias[r.bias_at] : sum;
        c[row * r.ld] = r.relu && sum <= 0.0f ? 0.0f : sum;
    }
}
