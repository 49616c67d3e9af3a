/* Adding one tensor to another, and filling one with a word, whatever its type. Plain copies are the driver's own. */
#include "prelude.cl"

__kernel void copy_add(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        put_part(load_part(x + x_at + i, end - i, 0.0f), y + y_at + i, end - i, 1);
    }
}

__kernel void fill(__global int *y, ulong y_at, ulong n, ulong run, int word) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        y[y_at + i] = word;
    }
}
