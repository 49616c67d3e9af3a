/*
 * Panels for the tiles of matrix products on a CPU: what a tile needs for one k lies side by side, and behind it what it
 * needs for the next (Goto, van de Geijn: Anatomy of high-performance matrix multiplication; TOMS 34, 2008). An item
 * copies `each` of k of one panel.
 *
 * CG_VECTORS  vectors in a row of the tile: 1 or 2
 *
 * Variants: -DCG_VECTORS={1,2}
 */
#include "tile_cpu.cl"

/* A's rows or B's columns lie `outer` elements apart, `step` lead from one k to the next, `batch` from one matrix to
 * the next, and `to_batch` from the panels of one to those of the next. */
typedef struct {
    ulong rows, columns, k;
    ulong at, batch, outer, step;
    ulong to_batch;
} packing;

/* Interleaving the upper with the lower half of the rows, as often as the width is a power of two, transposes them. */
static inline void transpose(vfloat rows[CG_WIDTH]) {
#if CG_WIDTH == 4 /* by way of memory: Oclgrind's check for uninitialised memory crashes on vectors that are put together */
    float block[16];
    for (uint i = 0; i < 16; i++) {
        block[i] = ((const float *)rows)[i % 4 * 4 + i / 4];
    }
    for (uint i = 0; i < 4; i++) {
        rows[i] = VLOAD(block + 4 * i);
    }
#else
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
#endif
}

/* The first CG_WIDTH elements of `wanted` lines, which are `apart` from one another, transposed; 0 where there are
 * fewer lines or elements. */
static inline void load_transposed(__global const float *x, ulong apart, uint wanted, ulong lines, ulong elements,
                                   vfloat rows[CG_WIDTH]) {
    if (lines >= wanted && elements >= CG_WIDTH) {
#pragma unroll
        for (uint i = 0; i < CG_WIDTH; i++) {
            rows[i] = i < wanted ? VLOAD(x + i * apart) : (vfloat)(0.0f);
        }
    } else {
        float block[CG_WIDTH * CG_WIDTH];
        for (uint i = 0; i < CG_WIDTH; i++) {
            vfloat line = i < lines ? load_part(x + i * apart, elements, 0.0f) : (vfloat)(0.0f);
            VSTORE(line, block + i * CG_WIDTH);
        }
#pragma unroll
        for (uint i = 0; i < CG_WIDTH; i++) {
            rows[i] = VLOAD(block + i * CG_WIDTH);
        }
    }
    transpose(rows);
}

/* B's panels: TILE_COLUMNS columns for each k, zeros right of the last one. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_b(__global const float *b, __global float *to,
                                                                    packing p, ulong each) {
    ulong column = get_global_id(0) * TILE_COLUMNS, columns = p.columns - column;
    ulong first = get_global_id(1) * each, end = min(first + each, p.k);
    b += p.at + get_global_id(2) * p.batch + column;
    to += get_global_id(2) * p.to_batch + column * p.k;
    for (ulong k = first; k < end; k++) {
        __global const float *from = b + k * p.step;
#pragma unroll
        for (uint v = 0; v < CG_VECTORS; v++) {
            bool any = v * CG_WIDTH < columns;
            vfloat part = any ? load_part(from + v * CG_WIDTH, columns - v * CG_WIDTH, 0.0f) : (vfloat)(0.0f);
            VSTORE(part, to + k * TILE_COLUMNS + v * CG_WIDTH);
        }
    }
}

/* The same panels from a B that is stored transposed: k is its fast axis. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_b_transposed(__global const float *b, __global float *to, packing p, ulong each) {
    ulong column = get_global_id(0) * TILE_COLUMNS;
    ulong first = get_global_id(1) * each, end = min(first + each, p.k);
    b += p.at + get_global_id(2) * p.batch + column * p.outer;
    to += get_global_id(2) * p.to_batch + column * p.k;
    for (ulong k = first; k < end; k += CG_WIDTH) {
        for (uint v = 0; v < CG_VECTORS; v++) {
            ulong line = column + v * CG_WIDTH;
            vfloat rows[CG_WIDTH];
            load_transposed(b + v * CG_WIDTH * p.outer + k, p.outer, CG_WIDTH, p.columns - min(line, p.columns),
                            end - k, rows);
#pragma unroll
            for (uint i = 0; i < CG_WIDTH; i++) {
                if (k + i < end) {
                    VSTORE(rows[i], to + (k + i) * TILE_COLUMNS + v * CG_WIDTH);
                }
            }
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
#endif

/* A's panels: TILE_ROWS rows for each k, zeros below the last row. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_a(__global const float *a, __global float *to,
                                                                    packing p, ulong each) {
    ulong row = get_global_id(0) * TILE_ROWS, first = get_global_id(1) * each, end = min(first + each, p.k);
    ulong rows = p.rows - row;
    a += p.at + get_global_id(2) * p.batch + row * p.outer;
    to += get_global_id(2) * p.to_batch + row * p.k;
#if CG_WIDTH > TILE_ROWS
    if (p.outer == 1 && rows >= CG_WIDTH) {
        for (ulong k = first; k < end; k++) {
            store_rows(VLOAD(a + k * p.step), to + k * TILE_ROWS);
        }
        return;
    }
#endif
    for (ulong k = first; k < end; k++) {
        for (ulong r = 0; r < TILE_ROWS; r++) {
            to[k * TILE_ROWS + r] = r < rows ? a[r * p.outer + k * p.step] : 0.0f;
        }
    }
}

#if CG_WIDTH > TILE_ROWS
/* The same panels from an A that is not transposed: k is its fast axis. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void pack_a_rows(__global const float *a, __global float *to,
                                                                         packing p, ulong each) {
    ulong row = get_global_id(0) * TILE_ROWS, first = get_global_id(1) * each, end = min(first + each, p.k);
    a += p.at + get_global_id(2) * p.batch + row * p.outer;
    to += get_global_id(2) * p.to_batch + row * p.k;
    for (ulong k = first; k < end; k += CG_WIDTH) {
        vfloat columns[CG_WIDTH];
        load_transposed(a + k, p.outer, TILE_ROWS, p.rows - row, end - k, columns);
#pragma unroll
        for (uint i = 0; i < CG_WIDTH; i++) {
            if (k + i < end) {
                store_rows(columns[i], to + (k + i) * TILE_ROWS);
            }
        }
    }
}
#endif
