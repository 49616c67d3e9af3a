/*
 * Maxima and means of windows, and their gradients. An item does `each` elements of what is written; a gradient is
 * gathered from the windows that an element lies in, in their order, so that nothing is added by two items. For a CPU
 * an item of the maxima does `each` whole planes: nothing is divided, and a gradient goes straight to its place.
 */
#include "prelude.cl"

typedef struct {
    ulong planes, each;
    ulong in_h, in_w, out_h, out_w; /* an operand has fewer than 2^30 elements */
    int kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
    int adaptive, include_pad, divisor, add;
} pool;

/* Along one axis, of one window: first, first + step, .. before end, and the elements that a mean is over. */
typedef struct {
    int first, end, step, counted;
} window;

static inline window adaptive_window(int o, int in, int out) {
    window w;
    w.first = (int)((ulong)o * (ulong)in / (ulong)out);
    w.end = (int)(((ulong)(o + 1) * (ulong)in + (ulong)out - 1) / (ulong)out);
    w.step = 1;
    w.counted = w.end - w.first;
    return w;
}

static inline window strided_window(int o, int in, int size, int stride, int padding, int dilation, int include_pad) {
    window w;
    int start = o * stride - padding, stop = start + dilation * (size - 1) + 1;
    w.first = start < 0 ? start + (dilation - 1 - start) / dilation * dilation : start;
    w.end = min(stop, in);
    w.step = dilation;
    w.counted = include_pad ? min(stop, in + padding) - start : w.end - w.first;
    return w;
}

static inline window rows_of(int o, const pool *p) {
    return p->adaptive
               ? adaptive_window(o, (int)p->in_h, (int)p->out_h)
               : strided_window(o, (int)p->in_h, p->kernel_h, p->stride_h, p->padding_h, p->dilation_h, p->include_pad);
}

static inline window columns_of(int o, const pool *p) {
    return p->adaptive
               ? adaptive_window(o, (int)p->in_w, (int)p->out_w)
               : strided_window(o, (int)p->in_w, p->kernel_w, p->stride_w, p->padding_w, p->dilation_w, p->include_pad);
}

/* The windows first..end-1 that may contain an element. */
typedef struct {
    int first, end;
} cover;

static inline cover cover_of(int i, int in, int out, int adaptive, int size, int stride, int padding, int dilation) {
    cover c;
    if (adaptive) {
        c.first = (int)((ulong)i * (ulong)out / (ulong)in);
        c.end = (int)(((ulong)(i + 1) * (ulong)out + (ulong)in - 1) / (ulong)in);
    } else {
        int reach = dilation * (size - 1), place = i + padding;
        c.first = place <= reach ? 0 : (place - reach + stride - 1) / stride;
        c.end = min(place / stride + 1, out);
    }
    return c;
}

static inline cover cover_rows(int h, const pool *p) {
    return cover_of(h, (int)p->in_h, (int)p->out_h, p->adaptive, p->kernel_h, p->stride_h, p->padding_h, p->dilation_h);
}

static inline cover cover_columns(int w, const pool *p) {
    return cover_of(w, (int)p->in_w, (int)p->out_w, p->adaptive, p->kernel_w, p->stride_w, p->padding_w, p->dilation_w);
}

/* (plane, row, column) of an element. */
static inline ulong3 place_of(ulong i, ulong height, ulong width) {
    ulong2 row = divide(i, width), plane = divide(row.x, height);
    return (ulong3)(plane.x, plane.y, row.y);
}

/* The place of the largest element; the first of equals, NaN before all; -1: the window is empty. */
static inline int largest(__global const float *plane, int width, window rows, window columns) {
    int best = -1;
    float top = -INFINITY;
    for (int h = rows.first; h < rows.end; h += rows.step) {
        for (int w = columns.first; w < columns.end; w += columns.step) {
            float value = plane[h * width + w];
            if (best < 0 || value > top || (isnan(value) && !isnan(top))) {
                best = h * width + w;
                top = value;
            }
        }
    }
    return best;
}

__kernel void max_pool(__global const float *x, ulong x_at, __global float *y, ulong y_at, __global int *index,
                       ulong index_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes * p.out_h * p.out_w);
    for (ulong i = first; i < end; i++) {
        ulong3 at = place_of(i, p.out_h, p.out_w);
        __global const float *plane = x + x_at + at.x * p.in_h * p.in_w;
        int best = largest(plane, (int)p.in_w, rows_of((int)at.y, &p), columns_of((int)at.z, &p));
        index[index_at + i] = best;
        y[y_at + i] = best >= 0 ? plane[best] : -INFINITY;
    }
}

__kernel void max_pool_backward(__global const float *dy, ulong dy_at, __global const int *index, ulong index_at,
                                __global float *dx, ulong dx_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes * p.in_h * p.in_w);
    for (ulong i = first; i < end; i++) {
        ulong3 at = place_of(i, p.in_h, p.in_w);
        cover rows = cover_rows((int)at.y, &p), columns = cover_columns((int)at.z, &p);
        int mine = (int)(at.y * p.in_w + at.z);
        float sum = 0.0f;
        for (int h = rows.first; h < rows.end; h++) {
            ulong row = (at.x * p.out_h + (ulong)h) * p.out_w;
            for (int w = columns.first; w < columns.end; w++) {
                sum += index[index_at + row + (ulong)w] == mine ? dy[dy_at + row + (ulong)w] : 0.0f;
            }
        }
        dx[dx_at + i] = p.add ? dx[dx_at + i] + sum : sum;
    }
}

/* The next two do whole planes, one element after the other: the CPU shape launches them. */
#if CG_CPU

__kernel void max_pool_planes(__global const float *x, ulong x_at, __global float *y, ulong y_at, __global int *index,
                              ulong index_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes);
    for (ulong row = first * p.out_h; row < end * p.out_h; row++) {
        ulong2 at = divide(row, p.out_h); /* plane, row in it */
        __global const float *plane = x + x_at + at.x * p.in_h * p.in_w;
        window rows = rows_of((int)at.y, &p);
        for (int o = 0; o < (int)p.out_w; o++) {
            ulong i = row * p.out_w + (ulong)o;
            int best = largest(plane, (int)p.in_w, rows, columns_of(o, &p));
            index[index_at + i] = best;
            y[y_at + i] = best >= 0 ? plane[best] : -INFINITY;
        }
    }
}

__kernel void max_pool_backward_planes(__global const float *dy, ulong dy_at, __global const int *index, ulong index_at,
                                       __global float *dx, ulong dx_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes);
    ulong in = p.in_h * p.in_w, out = p.out_h * p.out_w;
    for (ulong plane = first; plane < end; plane++) {
        __global float *to = dx + dx_at + plane * in;
        for (ulong i = 0; i < in && !p.add; i++) {
            to[i] = 0.0f;
        }
        for (ulong i = plane * out; i < (plane + 1) * out; i++) {
            int place = index[index_at + i];
            if (place >= 0) {
                to[place] += dy[dy_at + i];
            }
        }
    }
}

#endif

static inline float divisor_of(window rows, window columns, const pool *p) {
    return p->divisor != 0 ? (float)p->divisor : (float)(rows.counted * columns.counted);
}

__kernel void avg_pool(__global const float *x, ulong x_at, __global float *y, ulong y_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes * p.out_h * p.out_w);
    for (ulong i = first; i < end; i++) {
        ulong3 at = place_of(i, p.out_h, p.out_w);
        __global const float *plane = x + x_at + at.x * p.in_h * p.in_w;
        window rows = rows_of((int)at.y, &p), columns = columns_of((int)at.z, &p);
        float sum = 0.0f;
        for (int h = rows.first; h < rows.end; h++) {
            for (int w = columns.first; w < columns.end; w++) {
                sum += plane[h * (int)p.in_w + w];
            }
        }
        y[y_at + i] = sum / divisor_of(rows, columns, &p);
    }
}

__kernel void avg_pool_backward(__global const float *dy, ulong dy_at, __global float *dx, ulong dx_at, pool p) {
    ulong first = get_global_id(0) * p.each, end = min(first + p.each, p.planes * p.in_h * p.in_w);
    for (ulong i = first; i < end; i++) {
        ulong3 at = place_of(i, p.in_h, p.in_w);
        cover rows = cover_rows((int)at.y, &p), columns = cover_columns((int)at.z, &p);
        float sum = 0.0f;
        for (int h = rows.first; h < rows.end; h++) {
            window of_rows = rows_of(h, &p);
            __global const float *row = dy + dy_at + (at.x * p.out_h + (ulong)h) * p.out_w;
            for (int w = columns.first; w < columns.end; w++) {
                sum += row[w] / divisor_of(of_rows, columns_of(w, &p), &p);
            }
        }
        dx[dx_at + i] = p.add ? dx[dx_at + i] + sum : sum;
    }
}
