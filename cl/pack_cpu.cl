/*
 * Panels for the tiles of matrix products on a CPU: what a tile needs for one k lies side by side, and behind it what it
 * needs for the next (Goto, van de Geijn: Anatomy of high-performance matrix multiplication; TOMS 34, 2008). An item
 * copies `run` of k of one panel. One launch packs both matrices.
 *
 * CG_VECTORS  vectors in a row of the tile: 1 or 2
 *
 * Variants: -DCG_VECTORS={1,2}
 */
#include "tile_cpu.cl"

/* A's rows or B's columns, `lines` of them, lie `outer` elements apart; `step` leads from one k to the next, `batch` from
 * one matrix to the next, and `to_batch` from the panels of one to those of the next. */
typedef struct {
    ulong lines, k;
    ulong at, batch, outer, step;
    ulong to_batch;
    ulong run, runs, panels, items; /* no items: this matrix stays where it is */
} packing;

/* What an item does: from the first line of a panel, k from `first` to `end`. */
typedef struct {
    ulong line, first, end, matrix;
} piece;

static inline piece piece_of(const packing *p, ulong item, uint panel_lines) {
    ulong2 panel = divide(item, p->panels), run = divide(panel.x, p->runs);
    ulong first = run.y * p->run;
    return (piece){panel.y * panel_lines, first, min(first + p->run, p->k), run.x};
}

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
static inline void pack_b(__global const float *b, __global float *to, const packing *p, const piece *of) {
    ulong columns = p->lines - of->line;
    for (ulong k = of->first; k < of->end; k++) {
        __global const float *from = b + k * p->step;
#pragma unroll
        for (uint v = 0; v < CG_VECTORS; v++) {
            bool any = v * CG_WIDTH < columns;
            vfloat part = any ? load_part(from + v * CG_WIDTH, columns - v * CG_WIDTH, 0.0f) : (vfloat)(0.0f);
            VSTORE(part, to + k * TILE_COLUMNS + v * CG_WIDTH);
        }
    }
}

/* The same panels from a B that is stored transposed: k is its fast axis. */
static inline void pack_b_transposed(__global const float *b, __global float *to, const packing *p, const piece *of) {
    for (ulong k = of->first; k < of->end; k += CG_WIDTH) {
        for (uint v = 0; v < CG_VECTORS; v++) {
            ulong line = of->line + v * CG_WIDTH;
            vfloat rows[CG_WIDTH];
            load_transposed(b + v * CG_WIDTH * p->outer + k, p->outer, CG_WIDTH, p->lines - min(line, p->lines),
                            of->end - k, rows);
#pragma unroll
            for (uint i = 0; i < CG_WIDTH; i++) {
                if (k + i < of->end) {
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

/* A's panels from rows that are stored one behind the other: k is the fast axis. */
static inline void pack_a_rows(__global const float *a, __global float *to, const packing *p, const piece *of) {
    for (ulong k = of->first; k < of->end; k += CG_WIDTH) {
        vfloat columns[CG_WIDTH];
        load_transposed(a + k, p->outer, TILE_ROWS, p->lines - of->line, of->end - k, columns);
#pragma unroll
        for (uint i = 0; i < CG_WIDTH; i++) {
            if (k + i < of->end) {
                store_rows(columns[i], to + (k + i) * TILE_ROWS);
            }
        }
    }
}
#endif

/* A's panels: TILE_ROWS rows for each k, zeros below the last row. */
static inline void pack_a(__global const float *a, __global float *to, const packing *p, const piece *of) {
    ulong rows = p->lines - of->line;
#if CG_WIDTH > TILE_ROWS
    if (p->step == 1) {
        pack_a_rows(a, to, p, of);
        return;
    }
    if (rows >= CG_WIDTH) { /* p->outer is 1 */
        for (ulong k = of->first; k < of->end; k++) {
            store_rows(VLOAD(a + k * p->step), to + k * TILE_ROWS);
        }
        return;
    }
#endif
    for (ulong k = of->first; k < of->end; k++) {
        for (ulong r = 0; r < TILE_ROWS; r++) {
            to[k * TILE_ROWS + r] = r < rows ? a[r * p->outer + k * p->step] : 0.0f;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack(__global const float *a, __global float *to_a, packing of_a, __global const float *b, __global float *to_b,
     packing of_b) {
    ulong item = get_global_id(0);
    if (item < of_a.items) {
        piece of = piece_of(&of_a, item, TILE_ROWS);
        a += of_a.at + of.matrix * of_a.batch + of.line * of_a.outer;
        pack_a(a, to_a + of.matrix * of_a.to_batch + of.line * of_a.k, &of_a, &of);
    } else {
        piece of = piece_of(&of_b, item - of_a.items, TILE_COLUMNS);
        b += of_b.at + of.matrix * of_b.batch + of.line * of_b.outer;
        to_b += of.matrix * of_b.to_batch + of.line * of_b.k;
        if (of_b.outer == 1) {
            pack_b(b, to_b, &of_b, &of);
        } else {
            pack_b_transposed(b, to_b, &of_b, &of);
        }
    }
}
