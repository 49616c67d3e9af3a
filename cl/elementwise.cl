/*
 * Elementwise ops: the formulas are the rows of elementwise.def, one program a row (-DCG_ROW=row_relu
 * -DCG_UNARY_ROW=1). The last vector of a run is filled up with zeros. An item walks one run of a row; a row is what
 * lies between two jumps of a broadcast operand.
 *
 * Variants: -DCG_ROW={CG_UNARY} -DCG_UNARY_ROW=1
 * Variants: -DCG_ROW={CG_BINARY} -DCG_UNARY_ROW=0
 */
#include "axes.cl"
#include "formulas.cl"

#ifndef CG_ROW
#define CG_ROW row_relu
#define CG_UNARY_ROW 1
#endif
#ifndef CG_UNARY_ROW
#define CG_UNARY_ROW 0
#endif

#if CG_UNARY_ROW

/* As in src/backends/opencl/elementwise.c. */
typedef struct {
    ulong x_at, y_at, dy_at, dx_at, n, run;
    float p0, p1, p2;
    int add;
} unary_place;

__kernel void unary(unary_place at, __global const float *x, __global float *y) {
    ulong first = get_global_id(0) * at.run, end = min(first + at.run, at.n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        vfloat value = CG_JOIN(CG_ROW, _value)(load_part(x + at.x_at + i, end - i, 0.0f), at.p0, at.p1, at.p2);
        put_part(value, y + at.y_at + i, end - i, at.add);
    }
}

__kernel void unary_backward(unary_place at, __global const float *x, __global const float *y,
                             __global const float *dy, __global float *dx) {
    ulong first = get_global_id(0) * at.run, end = min(first + at.run, at.n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        vfloat value = CG_JOIN(CG_ROW, _gradient)(
            load_part(x + at.x_at + i, end - i, 0.0f), load_part(y + at.y_at + i, end - i, 0.0f),
            load_part(dy + at.dy_at + i, end - i, 0.0f), at.p0, at.p1, at.p2);
        put_part(value, dx + at.dx_at + i, end - i, at.add);
    }
}

#else

/* As in src/backends/opencl/elementwise.c. */
typedef struct {
    axes outer;
    share part;
    ulong a_at, b_at, dz_at, z_at;
    float p0, p1, p2;
    int add;
} binary_place;

static inline vfloat load_step(__global const float *x, ulong i, ulong count, ulong step) {
    return step ? load_part(x + i, count, 0.0f) : (vfloat)(x[0]);
}

__kernel void binary(binary_place at, __global const float *a, __global const float *b, __global float *z) {
    ulong2 place = divide(get_global_id(0), at.part.pieces); /* (block of rows, piece of them) */
    ulong first = place.y * at.part.run, end = min(first + at.part.run, at.part.length);
    ulong end_row = min((place.x + 1) * at.part.rows_each, at.part.rows);
    for (ulong row = place.x * at.part.rows_each; row < end_row; row++) {
        ulong2 from = row_start(&at.outer, row) + (ulong2)(at.a_at, at.b_at);
        __global float *to = z + at.z_at + row * at.part.length;
        for (ulong i = first; i < end; i += CG_WIDTH) {
            vfloat value = CG_JOIN(CG_ROW, _value)(load_step(a + from.x, i, end - i, at.part.step_a),
                                                   load_step(b + from.y, i, end - i, at.part.step_b), at.p0, at.p1, at.p2);
            put_part(value, to + i, end - i, at.add);
        }
    }
}

#define BACKWARD(kernel_name, rule)                                                                                    \
    __kernel void kernel_name(binary_place at, __global const float *a, __global const float *b, __global float *d,    \
                              __global const float *dz) {                                                              \
        ulong2 place = divide(get_global_id(0), at.part.pieces);                                                       \
        ulong first = place.y * at.part.run, end = min(first + at.part.run, at.part.length);                           \
        ulong end_row = min((place.x + 1) * at.part.rows_each, at.part.rows);                                          \
        for (ulong row = place.x * at.part.rows_each; row < end_row; row++) {                                          \
            ulong2 from = row_start(&at.outer, row) + (ulong2)(at.a_at, at.b_at);                                      \
            for (ulong i = first; i < end; i += CG_WIDTH) {                                                            \
                vfloat value =                                                                                         \
                    rule(load_step(a + from.x, i, end - i, at.part.step_a),                                            \
                         load_step(b + from.y, i, end - i, at.part.step_b),                                            \
                         load_part(dz + at.dz_at + row * at.part.length + i, end - i, 0.0f), at.p0, at.p1, at.p2);     \
                put_part(value, d + at.z_at + row * at.part.length + i, end - i, at.add);                              \
            }                                                                                                          \
        }                                                                                                              \
    }
BACKWARD(binary_backward_a, CG_JOIN(CG_ROW, _gradient_a))
BACKWARD(binary_backward_b, CG_JOIN(CG_ROW, _gradient_b))

#endif
