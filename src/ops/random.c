/* Random numbers by the tape's stream, and dropout. */
#include "ops_common.h"

static cg_tensor *draw(cg_tape *tape, cg_dtype dtype, const cg_shape *shape, cg_random_attrs attrs) {
    cg_tensor *counter = cg_tape_draw(tape, &attrs.seed, &attrs.stream);
    cg_tensor *y = cg_tape_tensor(tape, dtype, shape);
    cg_record(tape, CG_OP_RANDOM, &attrs, &counter, 1, &y, 1, NULL);
    return y;
}

static cg_dtype real_of(const cg_tape *tape) {
    return cg_device_real(cg_tape_device(tape));
}

cg_tensor *cg_uniform(cg_tape *tape, const cg_shape *shape, double low, double high) {
    if (!cg_ops_shape_fits(tape, "uniform", shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (!(low <= high)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "uniform: low %g is above high %g", low, high);
    }
    return draw(tape, real_of(tape), shape, (cg_random_attrs){.distribution = CG_UNIFORM, .a = low, .b = high});
}

cg_tensor *cg_normal(cg_tape *tape, const cg_shape *shape, double mean, double std) {
    if (!cg_ops_shape_fits(tape, "normal", shape)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (!(std >= 0)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "normal: std %g: at least 0 expected", std);
    }
    return draw(tape, real_of(tape), shape, (cg_random_attrs){.distribution = CG_NORMAL, .a = mean, .b = std});
}

static bool is_probability(cg_tape *tape, const char *op, double p) {
    if (!(p >= 0 && p <= 1)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: a probability of %g: 0 to 1 expected", op, p);
    }
    return cg_tape_status(tape) == CG_OK;
}

cg_tensor *cg_bernoulli(cg_tape *tape, const cg_shape *shape, double probability) {
    if (!cg_ops_shape_fits(tape, "bernoulli", shape) || !is_probability(tape, "bernoulli", probability)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return draw(tape, real_of(tape), shape, (cg_random_attrs){.distribution = CG_BERNOULLI, .a = probability, .b = 1});
}

/* x times a mask of that shape, which holds 0 or 1 / (1 - p). */
static cg_tensor *masked(cg_tape *tape, cg_tensor *x, const cg_shape *shape, double p) {
    if (p == 0.0 || cg_tensor_numel(x) == 0) {
        return x;
    }
    cg_random_attrs attrs = {.distribution = CG_BERNOULLI, .a = 1.0 - p, .b = p < 1.0 ? 1.0 / (1.0 - p) : 0.0};
    return cg_mul(tape, x, draw(tape, cg_tensor_dtype(x), shape, attrs));
}

cg_tensor *cg_dropout(cg_tape *tape, cg_tensor *x, double p) {
    if (!cg_tape_accepts(tape, "dropout", &x, 1) || !cg_ops_float(tape, "dropout", x) ||
        !is_probability(tape, "dropout", p)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return masked(tape, x, cg_tensor_shape(x), p);
}

cg_tensor *cg_feature_dropout(cg_tape *tape, cg_tensor *x, double p) {
    if (!cg_tape_accepts(tape, "feature_dropout", &x, 1) || !cg_ops_float(tape, "feature_dropout", x) ||
        !is_probability(tape, "feature_dropout", p)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape channels = *cg_tensor_shape(x);
    if (channels.rank < 2) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "feature_dropout: x is %s: [n, channels, ..] expected",
                            cg_shape_print(&channels, CG_SHAPE_TEXT));
    }
    for (int i = 2; i < channels.rank; i++) {
        channels.dim[i] = 1;
    }
    return masked(tape, x, &channels, p);
}
