/* Losses made of elementwise ops: see losses.h. */
#include <math.h>

#include <clgrad/losses.h>

#include "ops_common.h"

#define PI 3.14159265358979323846

/* True when the tape can go on with input and target; else it has failed, naming `name`. */
static bool accepts(cg_tape *tape, const char *name, cg_tensor *input, cg_tensor *target) {
    cg_tensor *both[] = {input, target};
    if (!cg_tape_accepts(tape, name, both, 2) || !cg_ops_float(tape, name, input) ||
        !cg_ops_alike(tape, name, input, "target", target)) {
        return false;
    }
    if (!cg_shape_equal(cg_tensor_shape(input), cg_tensor_shape(target))) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: input is %s, target is %s: they must be equal (nothing is broadcast)",
                     name, cg_shape_print(cg_tensor_shape(input), CG_SHAPE_TEXT),
                     cg_shape_print(cg_tensor_shape(target), CG_SHAPE_TEXT));
        return false;
    }
    return true;
}

static cg_tensor *failed(cg_tape *tape) {
    return cg_tape_fail_status(tape, cg_tape_status(tape));
}

/* A scalar to compute with. */
static cg_tensor *number(cg_tape *tape, const cg_tensor *like, double value) {
    return cg_ops_filled(tape, cg_tensor_dtype(like), &CG_SCALAR, value);
}

static cg_tensor *one_minus(cg_tape *tape, cg_tensor *x) {
    return cg_sub(tape, number(tape, x, 1), x);
}

cg_tensor *cg_l1_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction) {
    if (!accepts(tape, "l1_loss", input, target)) {
        return failed(tape);
    }
    return cg_ops_reduced(tape, "l1_loss", cg_abs(tape, cg_sub(tape, input, target)), reduction);
}

/* c (d - c / 2) with c = min(d, delta) is d^2 / 2 below delta and delta (d - delta / 2) above, derivative included. */
static cg_tensor *huber(cg_tape *tape, cg_tensor *input, cg_tensor *target, double delta) {
    cg_tensor *distance = cg_abs(tape, cg_sub(tape, input, target));
    cg_tensor *cut = cg_clamp(tape, distance, -INFINITY, delta);
    return cg_mul(tape, cut, cg_sub(tape, distance, cg_scale(tape, cut, 0.5)));
}

cg_tensor *cg_huber_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double delta, cg_reduction reduction) {
    if (!accepts(tape, "huber_loss", input, target)) {
        return failed(tape);
    }
    if (!(delta > 0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "huber_loss: delta %g must be above 0", delta);
    }
    return cg_ops_reduced(tape, "huber_loss", huber(tape, input, target, delta), reduction);
}

cg_tensor *cg_smooth_l1_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double beta, cg_reduction reduction) {
    if (!accepts(tape, "smooth_l1_loss", input, target)) {
        return failed(tape);
    }
    if (!(beta >= 0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "smooth_l1_loss: beta %g must not be negative", beta);
    }
    if (beta == 0) {
        return cg_ops_reduced(tape, "smooth_l1_loss", cg_abs(tape, cg_sub(tape, input, target)), reduction);
    }
    return cg_ops_reduced(tape, "smooth_l1_loss", cg_scale(tape, huber(tape, input, target, beta), 1 / beta),
                          reduction);
}

/* x log(x) is 0 at 0: the logarithm of the smallest float, about -103.3, stands in for minus infinity. */
static cg_tensor *finite_log(cg_tape *tape, cg_tensor *x) {
    return cg_clamp(tape, cg_log(tape, x), -104, INFINITY);
}

cg_tensor *cg_kl_div_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, bool log_target, bool batch_mean,
                          cg_reduction reduction) {
    if (!accepts(tape, "kl_div_loss", input, target)) {
        return failed(tape);
    }
    const cg_shape *shape = cg_tensor_shape(input);
    if (batch_mean && (shape->rank == 0 || shape->dim[0] == 0)) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "kl_div_loss: 'batchmean' of %s, which has no batch",
                            cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    cg_tensor *probability = log_target ? cg_exp(tape, target) : target;
    cg_tensor *logarithm = log_target ? target : finite_log(tape, target);
    cg_tensor *loss = cg_mul(tape, probability, cg_sub(tape, logarithm, input));
    if (!batch_mean) {
        return cg_ops_reduced(tape, "kl_div_loss", loss, reduction);
    }
    return cg_scale(tape, cg_sum(tape, loss, CG_ALL_AXES, false), 1.0 / (double)shape->dim[0]);
}

/* target log(target) - target + log(2 pi target) / 2 where the target is above 1. */
static cg_tensor *stirling(cg_tape *tape, cg_tensor *target) {
    cg_tensor *at_least_one = cg_clamp(tape, target, 1, INFINITY);
    cg_tensor *logarithm = cg_log(tape, at_least_one);
    cg_tensor *half = cg_scale(tape, cg_add(tape, logarithm, number(tape, target, log(2 * PI))), 0.5);
    cg_tensor *sum = cg_add(tape, cg_sub(tape, cg_mul(tape, at_least_one, logarithm), at_least_one), half);
    return cg_mul(tape, sum, cg_gt(tape, target, number(tape, target, 1)));
}

cg_tensor *cg_poisson_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, bool log_input, bool full,
                               double eps, cg_reduction reduction) {
    if (!accepts(tape, "poisson_nll_loss", input, target)) {
        return failed(tape);
    }
    cg_tensor *rate = log_input ? cg_exp(tape, input) : input;
    cg_tensor *log_rate = log_input ? input : cg_log(tape, cg_add(tape, input, number(tape, input, eps)));
    cg_tensor *loss = cg_sub(tape, rate, cg_mul(tape, target, log_rate));
    return cg_ops_reduced(tape, "poisson_nll_loss", full ? cg_add(tape, loss, stirling(tape, target)) : loss,
                          reduction);
}

/* The variance in a shape that broadcasts to the input's; NULL and a failed tape when there is none. */
static cg_tensor *fit_variance(cg_tape *tape, cg_tensor *input, cg_tensor *variance) {
    const cg_shape *x = cg_tensor_shape(input), *v = cg_tensor_shape(variance);
    cg_shape column = *x;
    if (x->rank > 0) {
        column.dim[x->rank - 1] = 1;
    }
    if (cg_shape_equal(v, x) || cg_shape_equal(v, &column)) {
        return variance;
    }
    cg_shape shorter = *x;
    shorter.rank -= x->rank > 0;
    if (cg_shape_equal(v, &shorter)) {
        return cg_reshape(tape, variance, &column);
    }
    cg_tape_fail(tape, CG_ERR_SHAPE,
                 "gaussian_nll_loss: the variance is %s, the input %s: its shape, or 1 for the last axis",
                 cg_shape_print(v, CG_SHAPE_TEXT), cg_shape_print(x, CG_SHAPE_TEXT));
    return NULL;
}

cg_tensor *cg_gaussian_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *variance, bool full,
                                double eps, cg_reduction reduction) {
    if (!accepts(tape, "gaussian_nll_loss", input, target) ||
        !cg_tape_accepts(tape, "gaussian_nll_loss", &variance, 1) ||
        !cg_ops_alike(tape, "gaussian_nll_loss", input, "variance", variance)) {
        return failed(tape);
    }
    cg_tensor *fitting = fit_variance(tape, input, variance);
    if (fitting == NULL) {
        return failed(tape);
    }
    cg_tensor *v = cg_clamp(tape, fitting, eps, INFINITY);
    cg_tensor *square = cg_square(tape, cg_sub(tape, input, target));
    cg_tensor *loss = cg_scale(tape, cg_add(tape, cg_log(tape, v), cg_div(tape, square, v)), 0.5);
    return cg_ops_reduced(tape, "gaussian_nll_loss",
                          full ? cg_add(tape, loss, number(tape, loss, 0.5 * log(2 * PI))) : loss, reduction);
}

/* `positive` where the sign is 1, `negative` where it is -1. */
static cg_tensor *by_sign(cg_tape *tape, cg_tensor *sign, cg_tensor *positive, cg_tensor *negative) {
    cg_tensor *zero = number(tape, sign, 0);
    return cg_add(tape, cg_mul(tape, cg_gt(tape, sign, zero), positive),
                  cg_mul(tape, cg_lt(tape, sign, zero), negative));
}

cg_tensor *cg_hinge_embedding_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double margin,
                                   cg_reduction reduction) {
    if (!accepts(tape, "hinge_embedding_loss", input, target)) {
        return failed(tape);
    }
    cg_tensor *short_of = cg_relu(tape, cg_sub(tape, number(tape, input, margin), input));
    return cg_ops_reduced(tape, "hinge_embedding_loss", by_sign(tape, target, input, short_of), reduction);
}

cg_tensor *cg_soft_margin_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction) {
    if (!accepts(tape, "soft_margin_loss", input, target)) {
        return failed(tape);
    }
    return cg_ops_reduced(tape, "soft_margin_loss", cg_neg(tape, cg_logsigmoid(tape, cg_mul(tape, target, input))),
                          reduction);
}

/* True when the weight, which may be NULL, broadcasts to the input's shape; else the tape fails. */
static bool weight_fits(cg_tape *tape, const char *name, const char *role, cg_tensor *input, cg_tensor *weight) {
    if (weight == NULL) {
        return true;
    }
    const cg_shape *x = cg_tensor_shape(input), *w = cg_tensor_shape(weight);
    cg_shape both;
    if (!cg_tape_accepts(tape, name, &weight, 1) || !cg_ops_alike(tape, name, input, role, weight)) {
        return false;
    }
    if (cg_shape_broadcast(x, w, &both) != CG_OK || !cg_shape_equal(x, &both)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the %s is %s, which does not broadcast to the input's shape %s", name,
                     role, cg_shape_print(w, CG_SHAPE_TEXT), cg_shape_print(x, CG_SHAPE_TEXT));
        return false;
    }
    return true;
}

static cg_tensor *weighted(cg_tape *tape, cg_tensor *loss, cg_tensor *weight) {
    return weight != NULL ? cg_mul(tape, loss, weight) : loss;
}

cg_tensor *cg_bce_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight, cg_reduction reduction) {
    if (!accepts(tape, "bce_loss", input, target) || !weight_fits(tape, "bce_loss", "weight", input, weight)) {
        return failed(tape);
    }
    return cg_ops_reduced(tape, "bce_loss", weighted(tape, cg_binary(tape, CG_OP_BCE, input, target), weight),
                          reduction);
}

/* (1 - target) input - (1 + (pos_weight - 1) target) log(sigmoid(input)) */
static cg_tensor *bce_with_logits(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *pos_weight) {
    cg_tensor *other = cg_mul(tape, one_minus(tape, target), input), *logarithm = cg_logsigmoid(tape, input);
    if (pos_weight != NULL) {
        cg_tensor *one = number(tape, input, 1);
        cg_tensor *more = cg_mul(tape, cg_sub(tape, pos_weight, one), target);
        logarithm = cg_mul(tape, cg_add(tape, more, one), logarithm);
    }
    return cg_sub(tape, other, logarithm);
}

cg_tensor *cg_bce_with_logits_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                                   cg_tensor *pos_weight, cg_reduction reduction) {
    const char *name = "bce_with_logits_loss";
    if (!accepts(tape, name, input, target) || !weight_fits(tape, name, "weight", input, weight) ||
        !weight_fits(tape, name, "pos_weight", input, pos_weight)) {
        return failed(tape);
    }
    cg_tensor *loss = bce_with_logits(tape, input, target, pos_weight);
    return cg_ops_reduced(tape, "bce_with_logits_loss", weighted(tape, loss, weight), reduction);
}

cg_tensor *cg_multilabel_soft_margin_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                                          cg_reduction reduction) {
    const char *name = "multilabel_soft_margin_loss";
    if (!accepts(tape, name, input, target) || !weight_fits(tape, name, "weight", input, weight)) {
        return failed(tape);
    }
    int rank = cg_tensor_shape(input)->rank;
    if (rank == 0) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "multilabel_soft_margin_loss: a scalar has no classes");
    }
    cg_tensor *loss = weighted(tape, bce_with_logits(tape, input, target, NULL), weight);
    return cg_ops_reduced(tape, "multilabel_soft_margin_loss", cg_mean(tape, loss, 1u << (rank - 1), false), reduction);
}

static cg_tensor *cosine(cg_tape *tape, cg_tensor *a, cg_tensor *b, uint32_t axis) {
    cg_tensor *eps = number(tape, a, 1e-12); /* PyTorch's */
    cg_tensor *product = cg_sum(tape, cg_mul(tape, a, b), axis, false);
    cg_tensor *left = cg_add(tape, cg_sum(tape, cg_square(tape, a), axis, false), eps);
    cg_tensor *right = cg_add(tape, cg_sum(tape, cg_square(tape, b), axis, false), eps);
    return cg_mul(tape, product, cg_rsqrt(tape, cg_mul(tape, left, right)));
}

cg_tensor *cg_cosine_embedding_loss(cg_tape *tape, cg_tensor *a, cg_tensor *b, cg_tensor *target, double margin,
                                    cg_reduction reduction) {
    if (!accepts(tape, "cosine_embedding_loss", a, b) || !cg_tape_accepts(tape, "cosine_embedding_loss", &target, 1) ||
        !cg_ops_alike(tape, "cosine_embedding_loss", a, "target", target)) {
        return failed(tape);
    }
    cg_shape rows = *cg_tensor_shape(a);
    bool fits = rows.rank == 1 || rows.rank == 2;
    rows.rank -= fits;
    if (!fits || !cg_shape_equal(&rows, cg_tensor_shape(target))) {
        return cg_tape_fail(
            tape, CG_ERR_SHAPE, "cosine_embedding_loss: inputs are %s, target is %s: [n, d] and [n], or [d] and []",
            cg_shape_print(cg_tensor_shape(a), CG_SHAPE_TEXT), cg_shape_print(cg_tensor_shape(target), CG_SHAPE_TEXT));
    }
    cg_tensor *similarity = cosine(tape, a, b, 1u << rows.rank);
    cg_tensor *above = cg_relu(tape, cg_sub(tape, similarity, number(tape, similarity, margin)));
    return cg_ops_reduced(tape, "cosine_embedding_loss", by_sign(tape, target, one_minus(tape, similarity), above),
                          reduction);
}
