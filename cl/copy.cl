/*
 * Adding a tensor to another, filling one with any pattern, copying where the driver's own command will not do.
 *
 * Variants: -DCG_ELEMENT={uint,ulong,uchar}
 */
#include "prelude.cl"

#ifndef CG_ELEMENT
#define CG_ELEMENT uint
#endif

__kernel void copy_add(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        put_part(load_part(x + x_at + i, end - i, 0.0f), y + y_at + i, end - i, 1);
    }
}

__kernel void fill(__global CG_ELEMENT *y, ulong y_at, ulong n, ulong run, ulong bits) {
#if CG_CPU
    ulong first = get_global_id(0) * run, end = min(first + run, n), step = 1;
#else /* neighbours write neighbours */
    ulong first = get_global_id(0), end = n, step = get_global_size(0);
#endif
    for (ulong i = first; i < end; i += step) {
        y[y_at + i] = (CG_ELEMENT)bits;
    }
}

__kernel void copy_bytes(__global const uchar *x, ulong x_at, __global uchar *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        y[y_at + i] = x[x_at + i];
    }
}
