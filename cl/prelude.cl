/*
 * What every kernel file begins with: vectors of the device's width, loads and stores of their parts, and the words
 * that the formulas of elementwise.def use. Contraction is off: fma happens only where fma is written.
 *
 * CG_CPU    1: shaped for a CPU (few items with long runs), 0: for a GPU (many items, work-groups, local memory)
 * CG_WIDTH  floats in a vector: 4, 8 or 16
 * CG_FMA    1: the device has fma in hardware
 * CG_GROUP  items in a work-group of the GPU shape, a power of two
 */
#pragma OPENCL FP_CONTRACT OFF

#ifndef CG_CPU
#define CG_CPU 0
#endif
#ifndef CG_WIDTH
#define CG_WIDTH 4
#endif
#ifndef CG_FMA
#define CG_FMA 1
#endif
#ifndef CG_GROUP
#define CG_GROUP 256
#endif

#define CG_JOIN_(a, b) a##b
#define CG_JOIN(a, b) CG_JOIN_(a, b)

typedef CG_JOIN(float, CG_WIDTH) vfloat;
typedef CG_JOIN(int, CG_WIDTH) vint;
#define VLOAD(from) CG_JOIN(vload, CG_WIDTH)(0, from)
#define VSTORE(value, to) CG_JOIN(vstore, CG_WIDTH)(value, 0, to)

#if CG_FMA
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* The first `count` floats of a vector (all when there are more), the rest `pad`. */
static inline vfloat load_part(__global const float *x, ulong count, float pad) {
    if (count >= CG_WIDTH) {
        return VLOAD(x);
    }
    float part[CG_WIDTH];
    for (uint i = 0; i < CG_WIDTH; i++) {
        part[i] = i < count ? x[i] : pad;
    }
    return VLOAD(part);
}

static inline void store_part(vfloat value, __global float *y, ulong count) {
    if (count >= CG_WIDTH) {
        VSTORE(value, y);
        return;
    }
    float part[CG_WIDTH];
    VSTORE(value, part);
    for (uint i = 0; i < count; i++) {
        y[i] = part[i];
    }
}

/* The end of every output: overwrites, or adds to what is there. */
static inline void put_part(vfloat value, __global float *y, ulong count, int add) {
    if (add) {
        value += load_part(y, count, 0.0f);
    }
    store_part(value, y, count);
}
