/*
 * log_softmax and softmax over the middle axis of [outer, dim, inner] and their gradients. The rows kernels are for
 * inner = 1; the others give each item one column, whose elements lie `inner` apart.
 *
 * Variants: -DCG_LANES={1,CG_GROUP}
 * Variants (intel): -DCG_LANES=CG_GROUP -DCG_SHUFFLE=1
 */
#include "rows.cl"

__kernel void log_softmax_rows(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong rows,
                               ulong dim, ulong rows_each) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        __global const float *from = x + x_at + row * dim;
        __global float *to = y + y_at + row * dim;
        float2 sum = row_log_sum_exp(from, dim, scratch);
        for (ulong i = ROW_LANE * CG_WIDTH; i < dim; i += ROW_STEP) {
            store_part((load_part(from + i, dim - i, 0.0f) - sum.x) - sum.y, to + i, dim - i);
        }
    }
}

/* dx = dy - exp(y) sum(dy) */
__kernel void log_softmax_backward_rows(__global const float *y, ulong y_at, __global const float *dy, ulong dy_at,
                                        __global float *dx, ulong dx_at, ulong rows, ulong dim, ulong rows_each,
                                        int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        ulong at = row * dim;
        float sum = row_sum(dy + dy_at + at, dim, scratch);
        for (ulong i = ROW_LANE * CG_WIDTH; i < dim; i += ROW_STEP) {
            vfloat value =
                load_part(dy + dy_at + at + i, dim - i, 0.0f) - exp(load_part(y + y_at + at + i, dim - i, 0.0f)) * sum;
            put_part(value, dx + dx_at + at + i, dim - i, add);
        }
    }
}

__kernel void softmax_rows(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong rows, ulong dim,
                           ulong rows_each) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        __global const float *from = x + x_at + row * dim;
        __global float *to = y + y_at + row * dim;
        float2 sum = row_log_sum_exp(from, dim, scratch);
        for (ulong i = ROW_LANE * CG_WIDTH; i < dim; i += ROW_STEP) {
            store_part(exp((load_part(from + i, dim - i, 0.0f) - sum.x) - sum.y), to + i, dim - i);
        }
    }
}

/* dx = y (dy - sum(y dy)) */
__kernel void softmax_backward_rows(__global const float *y, ulong y_at, __global const float *dy, ulong dy_at,
                                    __global float *dx, ulong dx_at, ulong rows, ulong dim, ulong rows_each, int add) {
    ROW_SCRATCH(scratch);
    ulong first = ROW_WORKER * rows_each, end = min(first + rows_each, rows);
    for (ulong row = first; row < end; row++) {
        ulong at = row * dim;
        vfloat part = 0.0f;
        for (ulong i = ROW_LANE * CG_WIDTH; i < dim; i += ROW_STEP) {
            part += load_part(y + y_at + at + i, dim - i, 0.0f) * load_part(dy + dy_at + at + i, dim - i, 0.0f);
        }
        float sum = row_join(vector_sum(part), scratch, 0);
        for (ulong i = ROW_LANE * CG_WIDTH; i < dim; i += ROW_STEP) {
            vfloat value =
                load_part(y + y_at + at + i, dim - i, 0.0f) * (load_part(dy + dy_at + at + i, dim - i, 0.0f) - sum);
            put_part(value, dx + dx_at + at + i, dim - i, add);
        }
    }
}

/* (largest, log of the sum of exp(x - largest)) of a column. */
static inline float2 column_log_sum_exp(__global const float *x, ulong dim, ulong inner) {
    float largest = -INFINITY, sum = 0.0f;
    for (ulong i = 0; i < dim; i++) {
        largest = fmax(largest, x[i * inner]);
    }
    for (ulong i = 0; i < dim; i++) {
        sum += exp(x[i * inner] - largest);
    }
    return (float2)(largest, log(sum));
}

/* Where column number `column` begins. */
static inline ulong column_start(ulong column, ulong dim, ulong inner) {
    ulong2 place = divide(column, inner);
    return place.x * dim * inner + place.y;
}

__kernel void log_softmax(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong dim,
                          ulong inner, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong at = column_start(column, dim, inner);
        float2 sum = column_log_sum_exp(x + x_at + at, dim, inner);
        for (ulong i = 0; i < dim; i++) {
            y[y_at + at + i * inner] = (x[x_at + at + i * inner] - sum.x) - sum.y;
        }
    }
}

__kernel void softmax(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong dim,
                      ulong inner, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong at = column_start(column, dim, inner);
        float2 sum = column_log_sum_exp(x + x_at + at, dim, inner);
        for (ulong i = 0; i < dim; i++) {
            y[y_at + at + i * inner] = exp((x[x_at + at + i * inner] - sum.x) - sum.y);
        }
    }
}

__kernel void log_softmax_backward(__global const float *y, ulong y_at, __global const float *dy, ulong dy_at,
                                   __global float *dx, ulong dx_at, ulong n, ulong dim, ulong inner, ulong each,
                                   int add) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong at = column_start(column, dim, inner);
        float sum = 0.0f;
        for (ulong i = 0; i < dim; i++) {
            sum += dy[dy_at + at + i * inner];
        }
        for (ulong i = 0; i < dim; i++) {
            __global float *to = dx + dx_at + at + i * inner;
            float value = dy[dy_at + at + i * inner] - exp(y[y_at + at + i * inner]) * sum;
            *to = add ? *to + value : value;
        }
    }
}

__kernel void softmax_backward(__global const float *y, ulong y_at, __global const float *dy, ulong dy_at,
                               __global float *dx, ulong dx_at, ulong n, ulong dim, ulong inner, ulong each, int add) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong at = column_start(column, dim, inner);
        float sum = 0.0f;
        for (ulong i = 0; i < dim; i++) {
            sum += y[y_at + at + i * inner] * dy[dy_at + at + i * inner];
        }
        for (ulong i = 0; i < dim; i++) {
            __global float *to = dx + dx_at + at + i * inner;
            float value = y[y_at + at + i * inner] * (dy[dy_at + at + i * inner] - sum);
            *to = add ? *to + value : value;
        }
    }
}
