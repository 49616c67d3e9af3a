/*
 * What lets one text be compiled for float and for double: the type `real`, the names of elementwise.def, and
 * REF(matmul), which is cg_ref_matmul_f32 or cg_ref_matmul_f64. Sums and transcendental functions of the structured
 * kinds are computed in double in both: this is a reference.
 */
#ifndef CLGRAD_REFERENCE_REAL_H
#define CLGRAD_REFERENCE_REAL_H

#include <math.h>

#include <clgrad/op_kinds.h>

#ifdef CG_REFERENCE_F64
typedef double real;
#define REF(name) cg_ref_##name##_f64
#define ABS(x) fabs(x)
#define EXP(x) exp(x)
#define EXPM1(x) expm1(x)
#define LOG(x) log(x)
#define LOG1P(x) log1p(x)
#define SQRT(x) sqrt(x)
#define SIN(x) sin(x)
#define COS(x) cos(x)
#define TANH(x) tanh(x)
#define ERF(x) erf(x)
#define POW(x, y) pow(x, y)
#else
typedef float real;
#define REF(name) cg_ref_##name##_f32
#define ABS(x) fabsf(x)
#define EXP(x) expf(x)
#define EXPM1(x) expm1f(x)
#define LOG(x) logf(x)
#define LOG1P(x) log1pf(x)
#define SQRT(x) sqrtf(x)
#define SIN(x) sinf(x)
#define COS(x) cosf(x)
#define TANH(x) tanhf(x)
#define ERF(x) erff(x)
#define POW(x, y) powf(x, y)
#endif
#define R(constant) ((real)(constant))

/* The first element of an operand. */
static inline real *elements(const cg_operand *operand) {
    return (real *)operand->buffer + operand->offset;
}

/* The same of an input that may be absent: NULL. */
static inline real *optional_elements(const cg_op *op, uint32_t input) {
    return op->n_inputs > input && op->inputs[input].buffer != NULL ? elements(&op->inputs[input]) : NULL;
}

/* Writes an element of an output, or adds to it where the op says so. */
static inline void put_to(const cg_op *op, uint32_t output, real *element, double value) {
    *element = (real)(op->accumulate >> output & 1u ? *element + value : value);
}

static inline void put(const cg_op *op, real *element, double value) {
    put_to(op, 0, element, value);
}

/* The largest of `count` elements `stride` apart, and log(sum(exp(x - largest))): apart, since exp(x) may overflow and
 * their sum loses digits where the largest is large. */
typedef struct log_sum {
    double largest, log;
} log_sum;

static inline log_sum log_sum_exp(const real *x, int64_t count, int64_t stride) {
    double largest = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        largest = (double)x[i * stride] > largest ? (double)x[i * stride] : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        sum += exp((double)x[i * stride] - largest);
    }
    return (log_sum){largest, log(sum)};
}

#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) cg_status REF(name)(const cg_op *op);
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx)                                                                            \
    cg_status REF(name)(const cg_op *op);                                                                              \
    cg_status REF(name##_backward)(const cg_op *op);
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    cg_status REF(name)(const cg_op *op);                                                                              \
    cg_status REF(name##_backward_a)(const cg_op *op);                                                                 \
    cg_status REF(name##_backward_b)(const cg_op *op);
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY

#endif
