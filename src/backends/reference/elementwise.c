/* Every row of elementwise.def as a loop over the output's elements; operands that broadcast are indexed by axis. */
#include "real.h"

/* The element of `shape` that belongs to element `flat` of `out`, by PyTorch's rules of broadcasting. */
static int64_t element_of(const cg_shape *shape, const cg_shape *out, int64_t flat) {
    int64_t index = 0, stride = 1;
    for (int i = out->rank - 1, axis = shape->rank - 1; i >= 0 && axis >= 0; i--, axis--) {
        index += shape->dim[axis] == 1 ? 0 : flat % out->dim[i] * stride;
        stride *= shape->dim[axis];
        flat /= out->dim[i];
    }
    return index;
}

static real at(const cg_op *op, int input, int64_t flat) {
    const cg_operand *operand = &op->inputs[input];
    return elements(operand)[element_of(&operand->shape, &op->outputs[0].shape, flat)];
}

#define LOOP(function, declarations, value)                                                                            \
    cg_status REF(function)(const cg_op *op) {                                                                         \
        const cg_elementwise_attrs *attrs = op->attrs;                                                                 \
        real p0 = R(attrs->p[0]), p1 = R(attrs->p[1]), p2 = R(attrs->p[2]);                                            \
        real *out = elements(&op->outputs[0]);                                                                         \
        for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {                                   \
            declarations;                                                                                              \
            real result = value;                                                                                       \
            out[i] = op->accumulate & 1u ? out[i] + result : result;                                                   \
            (void)p0, (void)p1, (void)p2;                                                                              \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }

#define X real x = at(op, 0, i)
#define X_Y_DY                                                                                                         \
    real x = at(op, 0, i), y = at(op, 1, i), dy = at(op, 2, i);                                                        \
    (void)x, (void)y, (void)dy
#define A_B real a = at(op, 0, i), b = at(op, 1, i)
#define A_B_DZ                                                                                                         \
    real a = at(op, 0, i), b = at(op, 1, i), dz = at(op, 2, i);                                                        \
    (void)a, (void)b, (void)dz

#define CG_UNARY(number, NAME, name, forward, gradient) LOOP(name, X, forward) LOOP(name##_backward, X_Y_DY, gradient)
#define CG_BINARY(number, NAME, name, forward, gradient_a, gradient_b)                                                 \
    LOOP(name, A_B, forward)                                                                                           \
    LOOP(name##_backward_a, A_B_DZ, gradient_a)                                                                        \
    LOOP(name##_backward_b, A_B_DZ, gradient_b)
#include <clgrad/elementwise.def>
