/*
 * log_softmax over the middle axis of [outer, dim, inner] and its gradient. The rows kernels are for inner = 1; the
 * others give each item one column, whose elements lie `inner` apart.
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

__kernel void log_softmax(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong dim,
                          ulong inner, ulong each) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong2 place = divide(column, inner);
        ulong at = place.x * dim * inner + place.y;
        __global const float *from = x + x_at + at;
        float largest = -INFINITY, sum = 0.0f;
        for (ulong i = 0; i < dim; i++) {
            largest = fmax(largest, from[i * inner]);
        }
        for (ulong i = 0; i < dim; i++) {
            sum += exp(from[i * inner] - largest);
        }
        float log_sum = log(sum);
        for (ulong i = 0; i < dim; i++) {
            y[y_at + at + i * inner] = (from[i * inner] - largest) - log_sum;
        }
    }
}

__kernel void log_softmax_backward(__global const float *y, ulong y_at, __global const float *dy, ulong dy_at,
                                   __global float *dx, ulong dx_at, ulong n, ulong dim, ulong inner, ulong each,
                                   int add) {
    ulong first = get_global_id(0) * each, end = min(first + each, n);
    for (ulong column = first; column < end; column++) {
        ulong2 place = divide(column, inner);
        ulong at = place.x * dim * inner + place.y;
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
