/*
 * Copies with strides on both sides, and between data types: permute, slice, concat and their kin.
 *
 * Variants: -DCG_ELEMENT={float,ulong,uchar}
 * Variants: -DCG_FROM={float,int,long,uchar} -DCG_TO={float,int,long,uchar}
 */
#include "axes.cl"

#ifndef CG_ELEMENT
#define CG_ELEMENT float
#endif
#ifndef CG_FROM
#define CG_FROM int
#endif
#ifndef CG_TO
#define CG_TO float
#endif

/* One run of a row. Neighbours on both sides are a loop that a compiler can make vectors of. */
static inline void copy_run(__global const CG_ELEMENT *x, ulong step_x, __global CG_ELEMENT *y, ulong step_y,
                            ulong first, ulong end) {
    if (step_x == 1 && step_y == 1) {
        for (ulong i = first; i < end; i++) {
            y[i] = x[i];
        }
    } else {
        for (ulong i = first; i < end; i++) {
            y[i * step_y] = x[i * step_x];
        }
    }
}

__kernel void strided_copy(__global const CG_ELEMENT *x, ulong x_at, __global CG_ELEMENT *y, ulong y_at, axes outer,
                           share part) {
    ulong2 place = divide(get_global_id(0), part.pieces); /* (block of rows, piece of them) */
    ulong first = place.y * part.run, end = min(first + part.run, part.length);
    ulong end_row = min((place.x + 1) * part.rows_each, part.rows);
    for (ulong row = place.x * part.rows_each; row < end_row; row++) {
        ulong2 at = row_start(&outer, row) + (ulong2)(x_at, y_at);
        copy_run(x + at.x, part.step_a, y + at.y, part.step_b, first, end);
    }
}

__kernel void strided_add(__global const float *x, ulong x_at, __global float *y, ulong y_at, axes outer, share part) {
    ulong2 place = divide(get_global_id(0), part.pieces);
    ulong first = place.y * part.run, end = min(first + part.run, part.length);
    ulong end_row = min((place.x + 1) * part.rows_each, part.rows);
    for (ulong row = place.x * part.rows_each; row < end_row; row++) {
        ulong2 at = row_start(&outer, row) + (ulong2)(x_at, y_at);
        for (ulong i = first; i < end; i++) {
            y[at.y + i * part.step_b] += x[at.x + i * part.step_a];
        }
    }
}

__kernel void cast(__global const CG_FROM *x, ulong x_at, __global CG_TO *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        y[y_at + i] = (CG_TO)x[x_at + i];
    }
}
