/*
 * Adding a tensor to another, filling one with any pattern, copying where the driver's own command will not do.
 *
 * Variants: -DCG_ELEMENT={uint,ulong,uchar}
 */
#include "prelude.cl"

#ifndef CG_ELEMENT
#define CG_ELEMENT uint
#endif

/* An item's elements FIRST, FIRST + STEP, ... of n: on a CPU a run of neighbours, on a GPU so that neighbours in a
 * work-group touch neighbours. */
#if CG_CPU
#define FIRST (get_global_id(0) * run)
#define STEP 1
#define END min(FIRST + run, n)
#else
#define FIRST get_global_id(0)
#define STEP get_global_size(0)
#define END n
#endif

__kernel void copy_add(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        put_part(load_part(x + x_at + i, end - i, 0.0f), y + y_at + i, end - i, 1);
    }
}

__kernel void fill(__global CG_ELEMENT *y, ulong y_at, ulong n, ulong run, ulong bits) {
    ulong end = END;
    for (ulong i = FIRST; i < end; i += STEP) {
        y[y_at + i] = (CG_ELEMENT)bits;
    }
}

__kernel void copy_bytes(__global const uchar *x, ulong x_at, __global uchar *y, ulong y_at, ulong n, ulong run) {
    ulong end = END;
    for (ulong i = FIRST; i < end; i += STEP) {
        y[y_at + i] = x[x_at + i];
    }
}
