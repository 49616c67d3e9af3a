/*
 * What every kernel file begins with: vectors of the device's width, loads and stores of their parts, and the words
 * that the formulas of elementwise.def use. Contraction is off: fma happens only where fma is written.
 *
 * CG_CPU    1: shaped for a CPU (few items with long runs), 0: for a GPU (many items, work-groups, local memory)
 * CG_WIDTH  floats in a vector: 4, 8 or 16
 * CG_FMA    1: the device has fma in hardware
 * CG_GROUP  items in a work-group of the GPU shape, a power of two
 */
#ifndef CG_PRELUDE
#define CG_PRELUDE

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

/* x <= 0 ? 0 : x; NaN stays. */
static inline vfloat relu_of(vfloat x) {
    return select(x, (vfloat)(0.0f), x <= (vfloat)(0.0f));
}

/* (quotient, rest) by one division. */
static inline ulong2 divide(ulong x, ulong by) {
    ulong quotient = x / by;
    return (ulong2)(quotient, x - quotient * by);
}

/* Where a device does not say that fma is in its hardware, mad: fused or rounded twice, as the driver's compiler has it. */
#if CG_FMA
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) mad(a, b, c)
#endif

/* The first `count` floats of a vector (all when there are more), the rest `pad`. A part is put together from halves,
 * or on a GPU from elements at constant places, which stay in registers. */
static inline vfloat load_part(__global const float *x, ulong count, float pad) {
    if (count >= CG_WIDTH) {
        return VLOAD(x);
    }
    float part[CG_WIDTH];
#if CG_WIDTH == 4
    for (uint i = 0; i < 4; i++) {
        part[i] = i < count ? x[i] : pad;
    }
#else
    VSTORE((vfloat)(pad), part);
    uint at = 0;
#if CG_WIDTH == 16
    if (count & 8) {
        vstore8(vload8(0, x), 0, part);
        at = 8;
    }
#endif
    if (count & 4) {
        vstore4(vload4(0, x + at), 0, part + at);
        at += 4;
    }
    if (count & 2) {
        vstore2(vload2(0, x + at), 0, part + at);
        at += 2;
    }
    if (count & 1) {
        part[at] = x[at];
    }
#endif
    return VLOAD(part);
}

static inline void store_part(vfloat value, __global float *y, ulong count) {
    if (count >= CG_WIDTH) {
        VSTORE(value, y);
        return;
    }
    float part[CG_WIDTH];
    VSTORE(value, part);
#if CG_WIDTH == 4
    for (uint i = 0; i < 4; i++) {
        if (i < count) {
            y[i] = part[i];
        }
    }
#else
    uint at = 0;
#if CG_WIDTH == 16
    if (count & 8) {
        vstore8(vload8(0, part), 0, y);
        at = 8;
    }
#endif
    if (count & 4) {
        vstore4(vload4(0, part + at), 0, y + at);
        at += 4;
    }
    if (count & 2) {
        vstore2(vload2(0, part + at), 0, y + at);
        at += 2;
    }
    if (count & 1) {
        y[at] = part[at];
    }
#endif
}

/* The end of every output: overwrites, or adds to what is there. */
static inline void put_part(vfloat value, __global float *y, ulong count, int add) {
    if (add) {
        value += load_part(y, count, 0.0f);
    }
    store_part(value, y, count);
}

#endif
