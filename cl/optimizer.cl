/*
 * Optimizer steps: one pass over a parameter, its gradient and its states. What is done to an element is a row of
 * updates.def, one program a row and a choice of states (-DCG_UPDATE_ROW=row_adam_step -DCG_HAS=3: bit k for state k).
 * The numbers that change from step to step are read from the device.
 *
 * Variants: -DCG_UPDATE_ROW={CG_UPDATE} -DCG_HAS={0,7}
 */
#include "prelude.cl"

#ifndef CG_UPDATE_ROW
#define CG_UPDATE_ROW row_adam_step
#endif
#ifndef CG_HAS
#define CG_HAS 3
#endif
#define CG_NUMBERS 12

#define R(constant) constant##f
#define ABS fabs
#define SQRT sqrt
#define HAS(k) (CG_HAS >> (k)&1)

typedef vfloat value;
typedef float number;

typedef struct {
    vfloat p, s0, s1, s2;
} element;

#define CG_UPDATE(NAME, name, statements)                                                                              \
    static inline element row_##name(element e, vfloat g, const float *h, float n0, float n1) {                        \
        vfloat p = e.p, s0 = e.s0, s1 = e.s1, s2 = e.s2;                                                               \
        statements e.p = p;                                                                                            \
        e.s0 = s0;                                                                                                     \
        e.s1 = s1;                                                                                                     \
        e.s2 = s2;                                                                                                     \
        return e;                                                                                                      \
    }
#include "updates.def"

static inline vfloat load_state(__global const float *state, ulong count, int has) {
    return has ? load_part(state, count, 0.0f) : (vfloat)(0.0f);
}

__kernel void update(__global const float *hyper, ulong hyper_at, __global const float *grad, ulong grad_at,
                     __global const float *norm0, ulong norm0_at, __global const float *norm1, ulong norm1_at,
                     __global float *param, ulong param_at, __global float *state0, ulong state0_at,
                     __global float *state1, ulong state1_at, __global float *state2, ulong state2_at, ulong n,
                     ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    float h[CG_NUMBERS];
    for (uint k = 0; k < CG_NUMBERS; k++) {
        h[k] = hyper[hyper_at + k];
    }
    float n0 = norm0[norm0_at], n1 = norm1[norm1_at];
    for (ulong i = first; i < end; i += CG_WIDTH) {
        ulong count = end - i;
        element e;
        e.p = load_part(param + param_at + i, count, 0.0f);
        e.s0 = load_state(state0 + state0_at + i, count, HAS(0));
        e.s1 = load_state(state1 + state1_at + i, count, HAS(1));
        e.s2 = load_state(state2 + state2_at + i, count, HAS(2));
        e = CG_UPDATE_ROW(e, load_part(grad + grad_at + i, count, 0.0f), h, n0, n1);
        store_part(e.p, param + param_at + i, count);
        if (HAS(0)) {
            store_part(e.s0, state0 + state0_at + i, count);
        }
        if (HAS(1)) {
            store_part(e.s1, state1 + state1_at + i, count);
        }
        if (HAS(2)) {
            store_part(e.s2, state2 + state2_at + i, count);
        }
    }
}
