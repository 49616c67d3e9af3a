/*
 * Sums over the middle axis of [outer, reduce, inner], its gradient (expand), and argmax. A long axis is summed in two
 * stages: chunks of a length that depends on the shape alone, then the sums of the chunks; so every device of a kind
 * adds in the same order each time.
 *
 * Variants: -DCG_LANES={1,CG_GROUP}
 * Variants (intel): -DCG_LANES=CG_GROUP -DCG_SHUFFLE=1
 */
#include "rows.cl"

/* inner = 1. Row r of the output is chunk r % chunks of input row r / chunks. */
__kernel void sum_rows(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong rows, ulong reduce,
                       ulong chunk, ulong chunks, ulong rows_each, float scale, int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        ulong2 place = divide(row, chunks);
        ulong start = place.y * chunk;
        __global const float *from = x + x_at + place.x * reduce + start;
        float sum = row_sum(from, min(chunk, reduce - start), scratch) * scale;
        if (ROW_LANE == 0) {
            y[y_at + row] = add ? y[y_at + row] + sum : sum;
        }
    }
}

/* Sums of up to CG_WIDTH neighbouring columns over `count` rows. */
static inline vfloat column_sums(__global const float *x, ulong count, ulong inner, ulong columns) {
    vfloat s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    ulong r = 0;
    for (; r + 4 <= count; r += 4, x += 4 * inner) {
        s0 += load_part(x, columns, 0.0f);
        s1 += load_part(x + inner, columns, 0.0f);
        s2 += load_part(x + 2 * inner, columns, 0.0f);
        s3 += load_part(x + 3 * inner, columns, 0.0f);
    }
    for (; r < count; r++, x += inner) {
        s0 += load_part(x, columns, 0.0f);
    }
    return (s0 + s1) + (s2 + s3);
}

/* Any inner. A unit is CG_WIDTH columns of one chunk; an item does units_each. */
__kernel void sum_columns(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong units, ulong reduce,
                          ulong inner, ulong chunk, ulong chunks, ulong units_each, float scale, int add) {
    ulong blocks = (inner + CG_WIDTH - 1) / CG_WIDTH;
    ulong first = get_global_id(0) * units_each, end = min(first + units_each, units);
    for (ulong unit = first; unit < end; unit++) {
        ulong2 split = divide(unit, blocks);
        ulong row = split.x, column = split.y * CG_WIDTH;
        ulong2 place = divide(row, chunks);
        ulong start = place.y * chunk;
        __global const float *from = x + x_at + (place.x * reduce + start) * inner + column;
        vfloat sum = column_sums(from, min(chunk, reduce - start), inner, inner - column) * scale;
        put_part(sum, y + y_at + row * inner + column, inner - column, add);
    }
}

/* Rows of `length` that repeat a row of the input (repeat_row) or one element of it. `repeats`: rows from one input row
 * or element to the next. */
__kernel void expand(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong rows, ulong length,
                     ulong run, ulong pieces, ulong rows_each, ulong repeats, int repeat_row, float scale, int add) {
    ulong2 place = divide(get_global_id(0), pieces);
    ulong first = place.y * run, end = min(first + run, length), end_row = min((place.x + 1) * rows_each, rows);
    for (ulong row = place.x * rows_each; row < end_row; row++) {
        __global const float *from = x + x_at + row / repeats * (repeat_row ? length : 1);
        for (ulong i = first; i < end; i += CG_WIDTH) {
            vfloat value = repeat_row ? load_part(from + i, end - i, 0.0f) : (vfloat)(from[0]);
            put_part(value * scale, y + y_at + row * length + i, end - i, add);
        }
    }
}

/* The first of equals; NaN counts as largest. */
__kernel void argmax(__global const float *x, ulong x_at, __global long *y, ulong y_at, ulong n, ulong reduce,
                     ulong inner, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong i = first; i < end; i++) {
        ulong2 place = divide(i, inner);
        __global const float *from = x + x_at + place.x * reduce * inner + place.y;
        float best = from[0];
        ulong at = 0;
        for (ulong r = 1; r < reduce; r++) {
            float value = from[r * inner];
            if (value > best || (isnan(value) && !isnan(best))) {
                best = value;
                at = r;
            }
        }
        y[y_at + i] = (long)at;
    }
}

/* An item does whole columns, whose elements lie `inner` apart, from the first to the last or in reverse. */
__kernel void cumsum(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong reduce,
                     ulong inner, ulong each, int reverse, int add) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong2 place = divide(column, inner);
        ulong start = place.x * reduce * inner + place.y;
        float sum = 0.0f;
        for (ulong r = 0; r < reduce; r++) {
            ulong at = start + (reverse ? reduce - 1 - r : r) * inner;
            sum += x[x_at + at];
            y[y_at + at] = add ? y[y_at + at] + sum : sum;
        }
    }
}
