/* Every row of updates.def as a loop over the elements of a parameter. */
#include "real.h"

typedef real value;
typedef real number;

/* An output or input that may be absent. */
static real *present(const cg_operand *operands, uint32_t count, uint32_t index) {
    return index < count && operands[index].buffer != NULL ? elements(&operands[index]) : NULL;
}

static real first_or_zero(const cg_op *op, uint32_t input) {
    const real *element = present(op->inputs, op->n_inputs, input);
    return element != NULL ? *element : R(0.0);
}

#define HAS(k) (at[(k)] != NULL)
#define LOAD(k) (at[(k)] != NULL ? at[(k)][i] : R(0.0))
#define STORE(k, state)                                                                                                \
    if (at[(k)] != NULL) {                                                                                             \
        at[(k)][i] = state;                                                                                            \
    }

#define CG_UPDATE(NAME, name, statements)                                                                              \
    cg_status REF(name)(const cg_op *op) {                                                                             \
        const real *h = elements(&op->inputs[0]), *grad = elements(&op->inputs[1]);                                    \
        const real n0 = first_or_zero(op, 2), n1 = first_or_zero(op, 3);                                               \
        real *param = elements(&op->outputs[0]), *at[CG_UPDATE_MAX_STATES];                                            \
        for (uint32_t k = 0; k < CG_UPDATE_MAX_STATES; k++) {                                                          \
            at[k] = present(op->outputs, op->n_outputs, k + 1);                                                        \
        }                                                                                                              \
        for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {                                   \
            value p = param[i], g = grad[i], s0 = LOAD(0), s1 = LOAD(1), s2 = LOAD(2);                                 \
            statements param[i] = p;                                                                                   \
            STORE(0, s0)                                                                                               \
            STORE(1, s1)                                                                                               \
            STORE(2, s2)                                                                                               \
        }                                                                                                              \
        (void)n0, (void)n1;                                                                                            \
        return CG_OK;                                                                                                  \
    }
#include <clgrad/updates.def>
