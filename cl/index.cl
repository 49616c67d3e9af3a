/*
 * Rows and elements chosen by indices, their gradients, and one_hot. A gradient is a sum over the places that chose an
 * element, in their order, by the item that owns the element: no atomics, the same bits each time. An index out of
 * range moves nothing and leaves its place in the error words.
 *
 * Variants: -DCG_TARGET={int,long}
 */
#include "prelude.cl"

#include "errors.cl"

#ifndef CG_TARGET
#define CG_TARGET long
#endif

/* A run of elements of y [outer, k, inner]; the item that has a row's first element reports its index. */
__kernel void index_select(__global const float *x, ulong x_at, __global const CG_TARGET *index, ulong index_at,
                           __global float *y, ulong y_at, ulong n, ulong run, ulong rows, ulong k, ulong inner,
                           __global long *errors, int number) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        ulong2 column = divide(i, inner), place = divide(column.x, k);
        long row = index[index_at + place.y];
        if (column.y == 0) {
            report(errors, number, place.y, row, rows);
        }
        y[y_at + i] = in_range(row, rows) ? x[x_at + (place.x * rows + row) * inner + column.y] : 0.0f;
    }
}

/* A run of elements of dx [outer, rows, inner]. */
__kernel void index_add(__global const float *dy, ulong dy_at, __global const CG_TARGET *index, ulong index_at,
                        __global float *dx, ulong dx_at, ulong n, ulong run, ulong rows, ulong k, ulong inner,
                        long ignored, int add) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        ulong2 column = divide(i, inner), place = divide(column.x, rows);
        float sum = add ? dx[dx_at + i] : 0.0f;
        for (ulong j = 0; j < k; j++) {
            if (index[index_at + j] == (CG_TARGET)place.y && (long)place.y != ignored) {
                sum += dy[dy_at + (place.x * k + j) * inner + column.y];
            }
        }
        dx[dx_at + i] = sum;
    }
}

/* A run of elements of y [outer, k, inner], each with an index of its own. */
__kernel void gather(__global const float *x, ulong x_at, __global const CG_TARGET *index, ulong index_at,
                     __global float *y, ulong y_at, ulong n, ulong run, ulong rows, ulong k, ulong inner,
                     __global long *errors, int number) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        ulong2 column = divide(i, inner);
        long row = index[index_at + i];
        report(errors, number, i, row, rows);
        y[y_at + i] = in_range(row, rows) ? x[x_at + (column.x / k * rows + row) * inner + column.y] : 0.0f;
    }
}

/* A run of elements of dx [outer, rows, inner]; what chose the first row of a column is looked at for errors, too. */
__kernel void scatter_add(__global const float *dy, ulong dy_at, __global const CG_TARGET *index, ulong index_at,
                          __global float *dx, ulong dx_at, ulong n, ulong run, ulong rows, ulong k, ulong inner, int add,
                          __global long *errors, int number) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        ulong2 column = divide(i, inner), place = divide(column.x, rows);
        float sum = add ? dx[dx_at + i] : 0.0f;
        for (ulong j = 0; j < k; j++) {
            ulong at = (place.x * k + j) * inner + column.y;
            long row = index[index_at + at];
            if (place.y == 0) {
                report(errors, number, at, row, rows);
            }
            sum += row == (long)place.y ? dy[dy_at + at] : 0.0f;
        }
        dx[dx_at + i] = sum;
    }
}

__kernel void one_hot(__global const CG_TARGET *index, ulong index_at, __global float *y, ulong y_at, ulong n, ulong run,
                      ulong classes, __global long *errors, int number) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        ulong2 place = divide(i, classes);
        long class = index[index_at + place.x];
        if (place.y == 0) {
            report(errors, number, place.x, class, classes);
        }
        y[y_at + i] = class == (long)place.y ? 1.0f : 0.0f;
    }
}
