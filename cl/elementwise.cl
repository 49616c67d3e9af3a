/*
 * Elementwise ops: the formulas are the rows of elementwise.def, one program a row (-DCG_ROW=row_relu
 * -DCG_UNARY_ROW=1). The names begin with row_, since a driver may have macros called tanh or exp. The rows are
 * compiled for vectors: `?:` chooses lane by lane, and the last vector of a run is filled up with zeros. An item walks
 * one run of a row; a row is what lies between two jumps of a broadcast operand.
 *
 * Variants: -DCG_ROW={CG_UNARY} -DCG_UNARY_ROW=1
 * Variants: -DCG_ROW={CG_BINARY} -DCG_UNARY_ROW=0
 */
#include "axes.cl"

#ifndef CG_ROW
#define CG_ROW row_relu
#define CG_UNARY_ROW 1
#endif
#ifndef CG_UNARY_ROW
#define CG_UNARY_ROW 0
#endif

#define R(constant) constant##f
#define ABS fabs
#define EXP exp
#define EXPM1 expm1
#define LOG log
#define LOG1P log1p
#define SQRT sqrt
#define SIN sin
#define COS cos
#define TANH tanh
#define ERF erf
#define POW(x, y) pow((vfloat)(x), (vfloat)(y))

#define CG_UNARY(number, NAME, name, Y, DX)                                                                            \
    static inline vfloat row_##name##_value(vfloat x, float p0, float p1, float p2) {                                  \
        return Y;                                                                                                      \
    }                                                                                                                  \
    static inline vfloat row_##name##_gradient(vfloat x, vfloat y, vfloat dy, float p0, float p1, float p2) {          \
        return DX;                                                                                                     \
    }
#define CG_BINARY(number, NAME, name, Z, DA, DB)                                                                       \
    static inline vfloat row_##name##_value(vfloat a, vfloat b, float p0, float p1, float p2) {                        \
        return Z;                                                                                                      \
    }                                                                                                                  \
    static inline vfloat row_##name##_gradient_a(vfloat a, vfloat b, vfloat dz, float p0, float p1, float p2) {        \
        return DA;                                                                                                     \
    }                                                                                                                  \
    static inline vfloat row_##name##_gradient_b(vfloat a, vfloat b, vfloat dz, float p0, float p1, float p2) {        \
        return DB;                                                                                                     \
    }
#include "elementwise.def"

#if CG_UNARY_ROW

__kernel void unary(__global const float *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run, int add,
                    float p0, float p1, float p2) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        vfloat value = CG_JOIN(CG_ROW, _value)(load_part(x + x_at + i, end - i, 0.0f), p0, p1, p2);
        put_part(value, y + y_at + i, end - i, add);
    }
}

__kernel void unary_backward(__global const float *x, ulong x_at, __global const float *y, ulong y_at,
                             __global const float *dy, ulong dy_at, __global float *dx, ulong dx_at, ulong n, ulong run,
                             int add, float p0, float p1, float p2) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i += CG_WIDTH) {
        vfloat value =
            CG_JOIN(CG_ROW, _gradient)(load_part(x + x_at + i, end - i, 0.0f), load_part(y + y_at + i, end - i, 0.0f),
                                       load_part(dy + dy_at + i, end - i, 0.0f), p0, p1, p2);
        put_part(value, dx + dx_at + i, end - i, add);
    }
}

#else

static inline vfloat load_step(__global const float *x, ulong i, ulong count, ulong step) {
    return step ? load_part(x + i, count, 0.0f) : (vfloat)(x[0]);
}

__kernel void binary(__global const float *a, ulong a_at, __global const float *b, ulong b_at, __global float *z,
                     ulong z_at, axes outer, share part, int add, float p0, float p1, float p2) {
    ulong2 place = divide(get_global_id(0), part.pieces); /* (block of rows, piece of them) */
    ulong first = place.y * part.run, end = min(first + part.run, part.length);
    ulong end_row = min((place.x + 1) * part.rows_each, part.rows);
    for (ulong row = place.x * part.rows_each; row < end_row; row++) {
        ulong2 at = row_start(&outer, row) + (ulong2)(a_at, b_at);
        __global float *to = z + z_at + row * part.length;
        for (ulong i = first; i < end; i += CG_WIDTH) {
            vfloat value = CG_JOIN(CG_ROW, _value)(load_step(a + at.x, i, end - i, part.step_a),
                                                   load_step(b + at.y, i, end - i, part.step_b), p0, p1, p2);
            put_part(value, to + i, end - i, add);
        }
    }
}

#define BACKWARD(kernel_name, rule)                                                                                    \
    __kernel void kernel_name(__global const float *a, ulong a_at, __global const float *b, ulong b_at,                \
                              __global const float *dz, ulong dz_at, __global float *d, ulong d_at, axes outer,        \
                              share part, int add, float p0, float p1, float p2) {                                     \
        ulong2 place = divide(get_global_id(0), part.pieces);                                                          \
        ulong first = place.y * part.run, end = min(first + part.run, part.length);                                    \
        ulong end_row = min((place.x + 1) * part.rows_each, part.rows);                                                \
        for (ulong row = place.x * part.rows_each; row < end_row; row++) {                                             \
            ulong2 at = row_start(&outer, row) + (ulong2)(a_at, b_at);                                                 \
            for (ulong i = first; i < end; i += CG_WIDTH) {                                                            \
                vfloat value =                                                                                         \
                    rule(load_step(a + at.x, i, end - i, part.step_a), load_step(b + at.y, i, end - i, part.step_b),   \
                         load_part(dz + dz_at + row * part.length + i, end - i, 0.0f), p0, p1, p2);                    \
                put_part(value, d + d_at + row * part.length + i, end - i, add);                                       \
            }                                                                                                          \
        }                                                                                                              \
    }
BACKWARD(binary_backward_a, CG_JOIN(CG_ROW, _gradient_a))
BACKWARD(binary_backward_b, CG_JOIN(CG_ROW, _gradient_b))

#endif
