/*
 * Matrix products on a CPU: an item computes one tile of TILE_ROWS x TILE_COLUMNS in registers, over one block of k.
 * B, and A where that pays, are copied beforehand into panels that the tile reads from one end to the other
 * (Goto, van de Geijn: Anatomy of high-performance matrix multiplication; TOMS 34, 2008).
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

typedef struct {
    ulong rows, columns, k;
    ulong at, batch, outer, step;
    ulong to_batch;
} packing;

/* B's panels: TILE_COLUMNS columns side by side for each k, zeros right of the last one. An item does one vector of a
 * panel's row. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_b(__global const float *b, __global float *to,
                                                                    packing p, ulong each) {
    ulong vector = get_global_id(0), column = vector * CG_WIDTH;
    ulong first = get_global_id(1) * each, end = min(first + each, p.k);
    b += p.at + get_global_id(2) * p.batch + column;
    to += get_global_id(2) * p.to_batch + (vector / CG_VECTORS) * TILE_COLUMNS * p.k + vector % CG_VECTORS * CG_WIDTH;
    for (ulong k = first; k < end; k++) {
        vfloat part = column < p.columns ? load_part(b + k * p.step, p.columns - column, 0.0f) : (vfloat)(0.0f);
        VSTORE(part, to + k * TILE_COLUMNS);
    }
}

/* Transposes a block of CG_WIDTH rows: interleaving the upper with the lower half of the rows, as often as the width is
 * a power of two, does it. */
static inline void transpose(float *block) {
#if CG_WIDTH == 4
    for (uint i = 0; i < 4; i++) {
        for (uint j = 0; j < i; j++) {
            float other = block[4 * i + j];
            block[4 * i + j] = block[4 * j + i];
            block[4 * j + i] = other;
        }
    }
#else
    vfloat rows[CG_WIDTH];
#pragma unroll
    for (uint i = 0; i < CG_WIDTH; i++) {
        rows[i] = VLOAD(block + i * CG_WIDTH);
    }
#pragma unroll
    for (uint stage = 1; stage < CG_WIDTH; stage *= 2) {
        vfloat next[CG_WIDTH];
#pragma unroll
        for (uint i = 0; i < CG_WIDTH / 2; i++) {
            next[2 * i].even = rows[i].lo;
            next[2 * i].odd = rows[i + CG_WIDTH / 2].lo;
            next[2 * i + 1].even = rows[i].hi;
            next[2 * i + 1].odd = rows[i + CG_WIDTH / 2].hi;
        }
#pragma unroll
        for (uint i = 0; i < CG_WIDTH; i++) {
            rows[i] = next[i];
        }
    }
#pragma unroll
    for (uint i = 0; i < CG_WIDTH; i++) {
        VSTORE(rows[i], block + i * CG_WIDTH);
    }
#endif
}

/* A block of rows `row` and up, `apart` elements from one to the next, `count` elements of each; zeros from end_row on
 * and beyond count; transposed. */
static inline void load_transposed(__global const float *x, ulong apart, ulong row, ulong end_row, ulong count,
                                   float *block) {
    for (uint i = 0; i < CG_WIDTH; i++) {
        vfloat value = row + i < end_row ? load_part(x + i * apart, count, 0.0f) : (vfloat)(0.0f);
        VSTORE(value, block + i * CG_WIDTH);
    }
    transpose(block);
}

/* The same panels from a B that is stored transposed: k is its fast axis, `outer` leads to the next column. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_b_transposed(__global const float *b, __global float *to, packing p, ulong each) {
    ulong vector = get_global_id(0), column = vector * CG_WIDTH;
    ulong first = get_global_id(1) * each, end = min(first + each, p.k);
    b += p.at + get_global_id(2) * p.batch + column * p.outer;
    to += get_global_id(2) * p.to_batch + (vector / CG_VECTORS) * TILE_COLUMNS * p.k + vector % CG_VECTORS * CG_WIDTH;
    for (ulong k = first; k < end; k += CG_WIDTH) {
        float block[CG_WIDTH * CG_WIDTH];
        load_transposed(b + k, p.outer, column, p.columns, end - k, block);
        for (uint i = 0; i < CG_WIDTH && k + i < end; i++) {
            VSTORE(VLOAD(block + i * CG_WIDTH), to + (k + i) * TILE_COLUMNS);
        }
    }
}

/* A's panels: TILE_ROWS rows side by side for each k, zeros below the last row. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_a(__global const float *a, __global float *to,
                                                                    packing p, ulong each) {
    ulong row = get_global_id(0) * TILE_ROWS, first = get_global_id(1) * each, end = min(first + each, p.k);
    ulong rows = min((ulong)TILE_ROWS, p.rows - row);
    a += p.at + get_global_id(2) * p.batch + row * p.outer;
    to += get_global_id(2) * p.to_batch + row * p.k;
    for (ulong k = first; k < end; k++) {
        for (ulong r = 0; r < TILE_ROWS; r++) {
            to[k * TILE_ROWS + r] = r < rows ? a[r * p.outer + k * p.step] : 0.0f;
        }
    }
}

#if CG_WIDTH > TILE_ROWS
/* The first TILE_ROWS floats: 12 of 16, 6 of 8. */
static inline void store_rows(vfloat value, __global float *to) {
#if CG_WIDTH == 16
    vstore8(value.lo, 0, to);
    vstore4(value.hi.lo, 0, to + 8);
#else
    vstore4(value.lo, 0, to);
    vstore2(value.hi.lo, 0, to + 4);
#endif
}

/* The same panels from an A that is not transposed: k is its fast axis. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_a_rows(__global const float *a, __global float *to,
                                                                         packing p, ulong each) {
    ulong row = get_global_id(0) * TILE_ROWS, first = get_global_id(1) * each, end = min(first + each, p.k);
    ulong end_row = min(row + TILE_ROWS, p.rows);
    a += p.at + get_global_id(2) * p.batch + row * p.outer;
    to += get_global_id(2) * p.to_batch + row * p.k;
    for (ulong k = first; k < end; k += CG_WIDTH) {
        float block[CG_WIDTH * CG_WIDTH];
        load_transposed(a + k, p.outer, row, end_row, end - k, block);
        for (uint i = 0; i < CG_WIDTH && k + i < end; i++) {
            store_rows(VLOAD(block + i * CG_WIDTH), to + (k + i) * TILE_ROWS);
        }
    }
}
#endif

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

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_tile(__global const float *a, source from_a,
                                                                         __global const float *b, source from_b,
                                                                         __global float *c, result r,
                                                                         __global const float *bias) {
    ulong matrix = get_global_id(1), tile_number = get_global_id(0);
    ulong fast_tiles = r.columns_first ? r.column_tiles : r.row_tiles;
    ulong2 place = divide(tile_number, fast_tiles);
    ulong row_start = (r.columns_first ? place.x : place.y) * TILE_ROWS;
    ulong column_start = (r.columns_first ? place.y : place.x) * TILE_COLUMNS;
    ulong row = min(row_start, from_a.last), column = min(column_start, from_b.last);
    a += from_a.at + matrix * from_a.batch + row * from_a.outer;
    b += from_b.at + matrix * from_b.batch + column * from_b.outer;
    const ulong a_row = CG_APART ? from_a.outer : 1, a_step = CG_APART ? 1 : from_a.step, b_step = from_b.step;
    vfloat tile[TILE_ROWS][CG_VECTORS];
    clear_tile(tile);
    for (ulong k = 0; k < r.k; k++, a += a_step, b += b_step) {
        add_outer_product(tile, a, a_row, b);
    }
    float out[TILE_ROWS * TILE_COLUMNS];
    spread_tile(tile, out);
    c += r.at + matrix * r.batch + row * r.ld + column;
    bias += r.bias_at + column;
    ulong skip = column_start - column, columns = min((ulong)TILE_COLUMNS, r.n - column);
    ulong end_row = min((ulong)TILE_ROWS, r.m - row);
    for (ulong i = row_start - row; i < end_row; i++) {
        store_row(out + i * TILE_COLUMNS, c + i * r.ld, bias, skip, columns, &r);
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
