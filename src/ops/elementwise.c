/*
 * Elementwise ops: one row of elementwise.def each, with one backward rule per number of inputs. cg_unary and cg_binary
 * take any row; what stands below them names the rows and gives their attributes names.
 */
#include <math.h>

#include <clgrad/ops_shape.h>

#include "ops_common.h"

#define FIRST_ELEMENTWISE CG_OP_ADD

/* The kind of a row of that many inputs; else the tape fails, naming `function`. */
static const cg_op_kind *row_kind(cg_tape *tape, const char *function, uint32_t number, uint32_t n_inputs) {
    const cg_op_kind *kind = number >= FIRST_ELEMENTWISE ? cg_kind(number) : NULL;
    if (kind == NULL || (number - FIRST_ELEMENTWISE) % 4 != 0 || kind->min_inputs != n_inputs) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %u is not the number of an elementwise op of %u input%s", function,
                     number, n_inputs, n_inputs == 1 ? "" : "s");
        return NULL;
    }
    return kind;
}

static void unary_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {node->inputs[0], node->outputs[0], cg_grad_of(tape, node->outputs[0])};
    cg_grad_emit(tape, node->inputs[0], NULL, node->kind->number + 1, node->attrs, inputs, 3);
}

/* The row `number`, which is called `name` here. */
static cg_tensor *unary(cg_tape *tape, const char *name, uint32_t number, cg_tensor *x, const double p[3]) {
    if (!cg_tape_accepts(tape, name, &x, 1) || !cg_ops_float(tape, name, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_elementwise_attrs attrs = {.p = {0}};
    for (int i = 0; i < 3 && p != NULL; i++) {
        attrs.p[i] = p[i];
    }
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), cg_tensor_shape(x));
    cg_record(tape, number, &attrs, &x, 1, &y, 1, unary_backward);
    return y;
}

cg_tensor *cg_unary(cg_tape *tape, uint32_t number, cg_tensor *x, const double p[3]) {
    const cg_op_kind *kind = row_kind(tape, "unary", number, 1);
    return kind != NULL ? unary(tape, kind->name, number, x, p) : cg_tape_fail_status(tape, cg_tape_status(tape));
}

/* Whether the gradient of input `i` is dz as it is: no op is needed for it. */
static bool passes_through(uint32_t number, uint32_t i) {
    return number == CG_OP_ADD || (number == CG_OP_SUB && i == 0);
}

static void binary_backward_of(cg_tape *tape, const cg_node *node, uint32_t i) {
    cg_tensor *dz = cg_grad_of(tape, node->outputs[0]), *target = node->inputs[i];
    bool same = cg_shape_equal(cg_tensor_shape(target), cg_tensor_shape(dz));
    cg_tensor *inputs[] = {node->inputs[0], node->inputs[1], dz};
    uint32_t number = node->kind->number + 1 + i;
    if (passes_through(node->kind->number, i)) {
        cg_ops_sum_to(tape, target, dz, 1.0);
    } else if (same) {
        cg_grad_emit(tape, target, NULL, number, node->attrs, inputs, 3);
    } else {
        cg_tensor *full = cg_tape_tensor(tape, cg_tensor_dtype(dz), cg_tensor_shape(dz));
        cg_record(tape, number, node->attrs, inputs, 3, &full, 1, NULL);
        cg_ops_sum_to(tape, target, full, 1.0);
    }
}

static void binary_backward(cg_tape *tape, const cg_node *node) {
    for (uint32_t i = 0; i < 2; i++) {
        if (cg_grad_wanted(tape, node->inputs[i])) {
            binary_backward_of(tape, node, i);
        }
    }
}

/* What has nothing to give back to its inputs. */
static bool is_comparison(uint32_t number) {
    return number >= CG_OP_EQ && number <= CG_OP_GE;
}

cg_tensor *cg_binary(cg_tape *tape, uint32_t number, cg_tensor *a, cg_tensor *b) {
    const cg_op_kind *kind = row_kind(tape, "binary", number, 2);
    cg_tensor *inputs[] = {a, b};
    if (kind == NULL || !cg_tape_accepts(tape, kind->name, inputs, 2) || !cg_ops_float(tape, kind->name, a)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (cg_tensor_dtype(a) != cg_tensor_dtype(b)) {
        return cg_tape_fail(tape, CG_ERR_DTYPE, "%s: a is %s, b is %s", kind->name, cg_dtype_name(cg_tensor_dtype(a)),
                            cg_dtype_name(cg_tensor_dtype(b)));
    }
    cg_shape shape;
    if (cg_shape_broadcast(cg_tensor_shape(a), cg_tensor_shape(b), &shape) != CG_OK) {
        return cg_tape_fail_status(tape, cg_fail_context(CG_ERR_SHAPE, "%s: ", kind->name));
    }
    cg_tensor *z = cg_tape_tensor(tape, cg_tensor_dtype(a), &shape);
    cg_record(tape, number, NULL, inputs, 2, &z, 1, is_comparison(number) ? NULL : binary_backward);
    return z;
}

/* Rows without attributes: cg_NAME(tape, x) and cg_NAME(tape, a, b). */
#define FRONT_UNARY(NAME, name)                                                                                        \
    cg_tensor *cg_##name(cg_tape *tape, cg_tensor *x) {                                                                \
        return cg_unary(tape, CG_OP_##NAME, x, NULL);                                                                  \
    }
#define FRONT_BINARY(NAME, name)                                                                                       \
    cg_tensor *cg_##name(cg_tape *tape, cg_tensor *a, cg_tensor *b) {                                                  \
        return cg_binary(tape, CG_OP_##NAME, a, b);                                                                    \
    }

FRONT_BINARY(ADD, add)
FRONT_BINARY(SUB, sub)
FRONT_BINARY(MUL, mul)
FRONT_BINARY(DIV, div)
FRONT_BINARY(POW, pow)
FRONT_BINARY(MAXIMUM, maximum)
FRONT_BINARY(MINIMUM, minimum)
FRONT_BINARY(EQ, eq)
FRONT_BINARY(NE, ne)
FRONT_BINARY(LT, lt)
FRONT_BINARY(LE, le)
FRONT_BINARY(GT, gt)
FRONT_BINARY(GE, ge)

FRONT_UNARY(NEG, neg)
FRONT_UNARY(SQUARE, square)
FRONT_UNARY(ABS, abs)
FRONT_UNARY(EXP, exp)
FRONT_UNARY(LOG, log)
FRONT_UNARY(LOG1P, log1p)
FRONT_UNARY(SQRT, sqrt)
FRONT_UNARY(RSQRT, rsqrt)
FRONT_UNARY(SIN, sin)
FRONT_UNARY(COS, cos)
FRONT_UNARY(ERF, erf)
FRONT_UNARY(TANH, tanh)
FRONT_UNARY(SIGMOID, sigmoid)
FRONT_UNARY(RELU, relu)
FRONT_UNARY(SILU, silu)
FRONT_UNARY(MISH, mish)
FRONT_UNARY(HARDSWISH, hardswish)
FRONT_UNARY(HARDSIGMOID, hardsigmoid)
FRONT_UNARY(LOGSIGMOID, logsigmoid)
FRONT_UNARY(TANHSHRINK, tanhshrink)
FRONT_UNARY(SOFTSIGN, softsign)

cg_tensor *cg_scale(cg_tape *tape, cg_tensor *x, double factor) {
    return cg_unary(tape, CG_OP_SCALE, x, (double[]){factor, 0, 0});
}

cg_tensor *cg_power(cg_tape *tape, cg_tensor *x, double exponent) {
    return cg_unary(tape, CG_OP_POWER, x, (double[]){exponent, 0, 0});
}

cg_tensor *cg_clamp(cg_tape *tape, cg_tensor *x, double min, double max) {
    if (isnan(min) || isnan(max)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "clamp: the bounds are %g and %g: numbers expected", min, max);
    }
    return cg_unary(tape, CG_OP_CLAMP, x, (double[]){min, max, 0});
}

cg_tensor *cg_general_relu(cg_tape *tape, cg_tensor *x, double leak, double sub, double maxv) {
    return cg_unary(tape, CG_OP_GENERAL_RELU, x, (double[]){leak, sub, maxv});
}

cg_tensor *cg_gelu(cg_tape *tape, cg_tensor *x, bool tanh_form) {
    return cg_unary(tape, tanh_form ? CG_OP_GELU_TANH : CG_OP_GELU, x, NULL);
}

cg_tensor *cg_softplus(cg_tape *tape, cg_tensor *x, double beta, double threshold) {
    if (!(beta != 0.0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "softplus: beta is %g: a number other than 0 expected", beta);
    }
    return cg_unary(tape, CG_OP_SOFTPLUS, x, (double[]){beta, threshold, 0});
}

cg_tensor *cg_elu(cg_tape *tape, cg_tensor *x, double alpha) {
    return cg_unary(tape, CG_OP_ELU, x, (double[]){alpha, 1.0, 1.0});
}

cg_tensor *cg_selu(cg_tape *tape, cg_tensor *x) {
    return unary(tape, "selu", CG_OP_ELU, x,
                 (double[]){1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0});
}

cg_tensor *cg_celu(cg_tape *tape, cg_tensor *x, double alpha) {
    if (!(alpha != 0.0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "celu: alpha is %g: a number other than 0 expected", alpha);
    }
    return unary(tape, "celu", CG_OP_ELU, x, (double[]){alpha, 1.0, alpha});
}

cg_tensor *cg_relu6(cg_tape *tape, cg_tensor *x) {
    return unary(tape, "relu6", CG_OP_HARDTANH, x, (double[]){0, 6, 0});
}

cg_tensor *cg_hardtanh(cg_tape *tape, cg_tensor *x, double min, double max) {
    if (!(min <= max)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "hardtanh: min %g must not be larger than max %g", min, max);
    }
    return cg_unary(tape, CG_OP_HARDTANH, x, (double[]){min, max, 0});
}

/* The two shrinks are 0 from -lambda to lambda: without one below 0 the parts would overlap. */
static cg_tensor *shrink(cg_tape *tape, uint32_t number, cg_tensor *x, double lambda) {
    if (!(lambda >= 0.0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: lambda is %g: at least 0 expected", cg_kind(number)->name,
                            lambda);
    }
    return cg_unary(tape, number, x, (double[]){lambda, 0, 0});
}

cg_tensor *cg_softshrink(cg_tape *tape, cg_tensor *x, double lambda) {
    return shrink(tape, CG_OP_SOFTSHRINK, x, lambda);
}

cg_tensor *cg_hardshrink(cg_tape *tape, cg_tensor *x, double lambda) {
    return shrink(tape, CG_OP_HARDSHRINK, x, lambda);
}

cg_tensor *cg_threshold(cg_tape *tape, cg_tensor *x, double threshold, double value) {
    return cg_unary(tape, CG_OP_THRESHOLD, x, (double[]){threshold, value, 0});
}

cg_tensor *cg_leaky_relu(cg_tape *tape, cg_tensor *x, double negative_slope) {
    return cg_unary(tape, CG_OP_LEAKY_RELU, x, (double[]){negative_slope, 0, 0});
}

/* weight as [channels, 1, 1, ...], so that it broadcasts along axis 1. */
cg_tensor *cg_prelu(cg_tape *tape, cg_tensor *x, cg_tensor *weight) {
    cg_tensor *inputs[] = {x, weight};
    if (!cg_tape_accepts(tape, "prelu", inputs, 2)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    int64_t slopes = cg_tensor_numel(weight), channels = shape->rank < 2 ? 1 : shape->dim[1];
    if (cg_tensor_shape(weight)->rank > 1 || (slopes != 1 && slopes != channels)) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "prelu: input is %s, weight %s: [1] or [%lld] expected",
                            cg_shape_print(shape, CG_SHAPE_TEXT),
                            cg_shape_print(cg_tensor_shape(weight), CG_SHAPE_TEXT), (long long)channels);
    }
    cg_shape spread = CG_SHAPE(slopes);
    while (slopes > 1 && spread.rank < shape->rank - 1) {
        spread.dim[spread.rank++] = 1;
    }
    return cg_binary(tape, CG_OP_PRELU, x, cg_reshape(tape, weight, &spread));
}

/* The condition's place among the inputs of mask has no gradient, so a copy of it stands in that wants none. */
cg_tensor *cg_where(cg_tape *tape, cg_tensor *condition, cg_tensor *a, cg_tensor *b) {
    cg_tensor *inputs[] = {condition, a, b};
    if (!cg_tape_accepts(tape, "where", inputs, 3)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_tensor *choice = cg_tape_alias(tape, condition, cg_tensor_shape(condition));
    cg_tensor *zero = cg_ops_filled(tape, cg_tensor_dtype(condition), &CG_SCALAR, 0.0);
    cg_tensor *chosen = cg_binary(tape, CG_OP_MASK, a, choice);
    cg_tensor *other = cg_binary(tape, CG_OP_MASK, b, cg_eq(tape, choice, zero));
    return cg_ops_result(tape, "where", cg_add(tape, chosen, other));
}

cg_tensor *cg_glu(cg_tape *tape, cg_tensor *x, int axis) {
    if (!cg_tape_accepts(tape, "glu", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int counted = cg_ops_axis(tape, "glu", x, axis);
    if (counted < 0) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int64_t size = cg_tensor_shape(x)->dim[counted];
    if (size % 2 != 0) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "glu: axis %d of shape %s is odd: it is cut into halves", axis,
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    cg_tensor *gate = cg_sigmoid(tape, cg_slice(tape, x, counted, size / 2, size, 1));
    return cg_mul(tape, cg_slice(tape, x, counted, 0, size / 2, 1), gate);
}
