/*
 * Optimizer steps: one pass over a parameter, its gradient and its states. What is done to an element is a row of
 * updates.def, one program a row and a choice of states (-DCG_UPDATE_ROW=row_adam_step -DCG_HAS=3: bit k for state k).
 * The numbers that change from step to step are read from the device. update_4 is the step of up to four parameters.
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

/* A parameter's memory, from its first element on. */
typedef struct {
    __global float *param;
    __global const float *grad;
    __global float *state0, *state1, *state2;
} parameter;

static inline void update_run(__global const float *hyper, float n0, float n1, parameter at, ulong first, ulong end) {
    float h[CG_NUMBERS];
    for (uint k = 0; k < CG_NUMBERS; k++) {
        h[k] = hyper[k];
    }
    for (ulong i = first; i < end; i += CG_WIDTH) {
        ulong count = end - i;
        element e;
        e.p = load_part(at.param + i, count, 0.0f);
        e.s0 = load_state(at.state0 + i, count, HAS(0));
        e.s1 = load_state(at.state1 + i, count, HAS(1));
        e.s2 = load_state(at.state2 + i, count, HAS(2));
        e = CG_UPDATE_ROW(e, load_part(at.grad + i, count, 0.0f), h, n0, n1);
        store_part(e.p, at.param + i, count);
        if (HAS(0)) {
            store_part(e.s0, at.state0 + i, count);
        }
        if (HAS(1)) {
            store_part(e.s1, at.state1 + i, count);
        }
        if (HAS(2)) {
            store_part(e.s2, at.state2 + i, count);
        }
    }
}

__kernel void update(__global const float *hyper, ulong hyper_at, __global const float *grad, ulong grad_at,
                     __global const float *norm0, ulong norm0_at, __global const float *norm1, ulong norm1_at,
                     __global float *param, ulong param_at, __global float *state0, ulong state0_at,
                     __global float *state1, ulong state1_at, __global float *state2, ulong state2_at, ulong n,
                     ulong run) {
    parameter at = {param + param_at, grad + grad_at, state0 + state0_at, state1 + state1_at, state2 + state2_at};
    ulong first = get_global_id(0) * run;
    update_run(hyper + hyper_at, norm0[norm0_at], norm1[norm1_at], at, first, min(first + run, n));
}

/* Four parameters at once, as in src/backends/opencl/optimizer.c: the first item and the elements of each, and where its
 * gradient, itself and its states begin. */
typedef struct {
    ulong hyper, run;
    ulong begin[4], n[4];
    ulong at[20];
} places;

#define PICK(a, b, c, d) (k == 0 ? (a) : k == 1 ? (b) : k == 2 ? (c) : (d))
#define PICK_AT(i) PICK(p.at[i], p.at[5 + i], p.at[10 + i], p.at[15 + i])

__kernel void update_4(places p, __global const float *hyper, __global const float *grad0, __global float *param0,
                       __global float *a0, __global float *b0, __global float *c0, __global const float *grad1,
                       __global float *param1, __global float *a1, __global float *b1, __global float *c1,
                       __global const float *grad2, __global float *param2, __global float *a2, __global float *b2,
                       __global float *c2, __global const float *grad3, __global float *param3, __global float *a3,
                       __global float *b3, __global float *c3) {
    ulong item = get_global_id(0);
    uint k = (item >= p.begin[1]) + (item >= p.begin[2]) + (item >= p.begin[3]);
    ulong first = (item - PICK(p.begin[0], p.begin[1], p.begin[2], p.begin[3])) * p.run;
    ulong n = PICK(p.n[0], p.n[1], p.n[2], p.n[3]);
    parameter at = {PICK(param0, param1, param2, param3) + PICK_AT(1), PICK(grad0, grad1, grad2, grad3) + PICK_AT(0),
                    PICK(a0, a1, a2, a3) + PICK_AT(2), PICK(b0, b1, b2, b3) + PICK_AT(3),
                    PICK(c0, c1, c2, c3) + PICK_AT(4)};
    update_run(hyper + p.hyper, 0.0f, 0.0f, at, first, min(first + p.run, n));
}
