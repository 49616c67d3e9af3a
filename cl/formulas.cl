/*
 * The rows of elementwise.def as functions of vectors: `?:` chooses lane by lane. The names begin with row_, since a
 * driver may have macros called tanh or exp.
 */
#include "prelude.cl"

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
