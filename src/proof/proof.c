/* The proofs of a gradient: see proof.h. */
#include "proof.h"

#include <clgrad/random.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "compare.h"
#include "probe.h"

#define EVERY_ELEMENT_LIMIT 3000
#define ATTEMPTS 40

/* By gradcheck_class; the absolute part is times the largest expected. */
static const struct {
    double rtol, atol;
} bounds[] = {
    [GRADCHECK_EXACT] = {0, 0},
    [GRADCHECK_ELEMENTWISE] = {2.5e-7, 1.2e-7},
    [GRADCHECK_REDUCTION] = {1e-5, 5e-6},
    [GRADCHECK_SOFTMAX] = {5e-6, 2e-6},
    [GRADCHECK_NETWORK] = {2e-5, 1e-5},
    [GRADCHECK_FUNCTION] = {7.2e-7, 1.2e-7},
    [GRADCHECK_ACTIVATION] = {2e-6, 1e-6},
};

static bool all_finite(const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

static double largest(const double *values, int64_t count) {
    double size = 0;
    for (int64_t i = 0; i < count; i++) {
        size = fmax(size, fabs(values[i]));
    }
    return size;
}

/* compare, as a status; what is expected must be finite. *worst grows to the error as a share of what it is measured
 * in.
 */
static cg_status expect(const char *name, const double *actual, const double *expected, const cg_shape *shape,
                        const compare_rule *rule, double *worst) {
    int64_t count = cg_shape_numel(shape);
    if (!all_finite(expected, count)) {
        return cg_fail(CG_ERR_NAN, "%s: what is expected is not finite", name);
    }
    compare_result result;
    bool passed = compare(name, actual, expected, shape, rule, &result);
    double scale = largest(expected, count);
    *worst = fmax(*worst, scale > 0 ? result.max_abs / scale : result.max_abs);
    return passed ? CG_OK : cg_fail(CG_ERR_STATE, "%s", result.message);
}

static cg_status expect_gradient(const probe_leaf *leaf, const double *expected, const compare_rule *rule,
                                 double *worst) {
    char name[128];
    snprintf(name, sizeof name, "gradient of %s", leaf->name);
    return expect(name, leaf->gradient, expected, &leaf->shape, rule, worst);
}

/* sum(output(plus) weights) - sum(output(minus) weights), summed in double here, which adds no rounding of its own. */
static cg_status loss_difference(test_probe *probe, probe_leaf *leaf, const double *plus, const double *minus,
                                 double *difference) {
    double *upper;
    CG_TRY(probe_doubles(probe->count, &upper));
    cg_status status = probe_write(leaf, plus);
    status = status != CG_OK ? status : probe_forward(probe);
    memcpy(upper, probe->output, (size_t)probe->count * sizeof *upper);
    status = status != CG_OK ? status : probe_write(leaf, minus);
    status = status != CG_OK ? status : probe_forward(probe);
    *difference = 0;
    for (int64_t i = 0; i < probe->count; i++) {
        *difference += probe->weights[i] * (upper[i] - probe->output[i]);
    }
    cg_free(upper);
    return status != CG_OK ? status : probe_write(leaf, leaf->values);
}

/* Two copies of a leaf's values: cg_free(*plus) frees both. */
static cg_status two_points(const probe_leaf *leaf, double **plus, double **minus) {
    CG_TRY(probe_doubles(2 * leaf->count, plus));
    *minus = *plus + leaf->count;
    memcpy(*plus, leaf->values, (size_t)leaf->count * sizeof **plus);
    memcpy(*minus, leaf->values, (size_t)leaf->count * sizeof **minus);
    return CG_OK;
}

static cg_status numeric_gradient(test_probe *probe, probe_leaf *leaf, double step, double *numeric) {
    double *plus, *minus;
    CG_TRY(two_points(leaf, &plus, &minus));
    cg_status status = CG_OK;
    for (int64_t i = 0; i < leaf->count && status == CG_OK; i++) {
        plus[i] += step;
        minus[i] -= step;
        status = loss_difference(probe, leaf, plus, minus, &numeric[i]);
        numeric[i] /= plus[i] - minus[i];
        plus[i] = minus[i] = leaf->values[i];
    }
    cg_free(plus);
    return status;
}

/* Directions have random sizes and the signs of a gradient, so that the derivative along them is large and no
 * cancellation hides a wrong term. */
static void draw_direction(const probe_leaf *leaf, uint64_t seed, uint64_t stream, double *direction) {
    for (int64_t i = 0; i < leaf->count; i++) {
        double normal = (double)cg_random_normal(seed, stream, (uint64_t)i);
        double size = 0.5 + fabs(normal);
        direction[i] = copysign(size, leaf->gradient[i] == 0 ? normal : leaf->gradient[i]);
    }
}

/* The derivative along a direction, by the gradient and by a central difference. The points are rounded to what the
 * tensor holds first, so that both mean the same step. */
static cg_status derivative(test_probe *probe, probe_leaf *leaf, const double *direction, double step, bool round,
                            double *analytic, double *numeric) {
    double *plus, *minus;
    CG_TRY(two_points(leaf, &plus, &minus));
    *analytic = 0;
    for (int64_t i = 0; i < leaf->count; i++) {
        plus[i] = leaf->values[i] + step * direction[i];
        minus[i] = leaf->values[i] - step * direction[i];
        if (round) {
            plus[i] = (double)(float)plus[i];
            minus[i] = (double)(float)minus[i];
        }
        *analytic += leaf->gradient[i] * (plus[i] - minus[i]) / (2 * step);
    }
    cg_status status = loss_difference(probe, leaf, plus, minus, numeric);
    *numeric /= 2 * step;
    cg_free(plus);
    return status;
}

static cg_status expect_derivative(const test_probe *probe, const probe_leaf *leaf, double analytic, double numeric,
                                   double rtol, double atol) {
    double bound = rtol * (fabs(analytic) + fabs(numeric)) + atol;
    if (!(fabs(analytic - numeric) <= bound)) {
        return cg_fail(CG_ERR_STATE, "gradient of %s %s: along a direction analytic %.9g, numeric %.9g, bound %.3g",
                       leaf->name, cg_shape_print(&leaf->shape, CG_SHAPE_TEXT), analytic, numeric, bound);
    }
    if (fabs(analytic) < 10 * atol && (probe->test->flags & GRADCHECK_TRUSTED) == 0) {
        return cg_fail(CG_ERR_STATE, "gradient of %s: MISTRUSTED, the derivative %.3g says little beside atol %.1g",
                       leaf->name, analytic, atol);
    }
    return CG_OK;
}

static cg_status reference_directions(test_probe *oracle, probe_leaf *leaf, double atol) {
    double *direction;
    CG_TRY(probe_doubles(leaf->count, &direction));
    cg_status status = CG_OK;
    for (uint64_t k = 0; k < GRADCHECK_DIRECTIONS && status == CG_OK; k++) {
        double analytic = 0, numeric = 0;
        draw_direction(leaf, oracle->test->seed, 200 + k, direction);
        status = derivative(oracle, leaf, direction, 1e-6, false, &analytic, &numeric);
        status = status != CG_OK ? status : expect_derivative(oracle, leaf, analytic, numeric, 1e-5, atol);
    }
    cg_free(direction);
    return status;
}

static cg_status reference_elements(test_probe *oracle, probe_leaf *leaf, double scale) {
    double *numeric, worst = 0;
    CG_TRY(probe_doubles(leaf->count, &numeric));
    compare_rule rule = {
        .rtol = 1e-5, .atol = 1e-7, .scale = scale, .trusted = (oracle->test->flags & GRADCHECK_TRUSTED) != 0};
    cg_status status = numeric_gradient(oracle, leaf, 1e-6, numeric);
    status = status != CG_OK ? status : expect_gradient(leaf, numeric, &rule, &worst);
    cg_free(numeric);
    return status;
}

static cg_status prove_reference(test_probe *oracle) {
    CG_TRY(probe_backward(oracle));
    /* The difference's rounding is that of what is computed, divided by the step. */
    double scale = fmax(1.0, largest(oracle->output, oracle->count));
    for (size_t i = 0; i < oracle->n_leaves; i++) {
        scale = fmax(scale, largest(oracle->leaves[i].values, oracle->leaves[i].count));
    }
    for (size_t i = 0; i < oracle->n_leaves; i++) {
        probe_leaf *leaf = &oracle->leaves[i];
        if (leaf->wanted && leaf->count <= EVERY_ELEMENT_LIMIT) {
            CG_TRY(reference_elements(oracle, leaf, scale));
        } else if (leaf->wanted) {
            CG_TRY(reference_directions(oracle, leaf, 1e-7 * scale));
        }
    }
    return CG_OK;
}

cg_status gradcheck_reference(const gradcheck_case *test, cg_device *oracle) {
    test_probe probe;
    cg_status status = probe_open(&probe, test, oracle);
    status = status != CG_OK ? status : prove_reference(&probe);
    probe_close(&probe);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "%s, proof 1 (reference in double): ", test->name);
}

static cg_status same_outputs(const test_probe *actual, const test_probe *expected, const compare_rule *rule,
                              double *worst) {
    for (size_t i = 0; i < expected->n_outputs; i++) {
        const probe_output *wanted = &expected->outputs[i], *got = &actual->outputs[i];
        if (!cg_shape_equal(&got->shape, &wanted->shape)) {
            return cg_fail(CG_ERR_SHAPE, "output %zu is %s, expected %s", i, cg_shape_print(&got->shape, CG_SHAPE_TEXT),
                           cg_shape_print(&wanted->shape, CG_SHAPE_TEXT));
        }
        char name[32];
        snprintf(name, sizeof name, expected->n_outputs == 1 ? "output" : "output %zu", i);
        CG_TRY(
            expect(name, actual->output + got->start, expected->output + wanted->start, &wanted->shape, rule, worst));
    }
    return CG_OK;
}

static cg_status same_buffer(const test_probe *actual, const test_probe *expected, size_t index, compare_rule rule,
                             double *worst) {
    const char *name;
    cg_shape shape;
    double *values = NULL, *wanted = NULL;
    rule.trusted = true; /* counts are constant */
    cg_status status = probe_read_buffer(actual, index, &name, &shape, &values);
    status = status != CG_OK ? status : probe_read_buffer(expected, index, &name, &shape, &wanted);
    status = status != CG_OK ? status : expect(name, values, wanted, &shape, &rule, worst);
    cg_free(values);
    cg_free(wanted);
    return status;
}

static cg_status prove_against(test_probe *actual, test_probe *expected, double *worst) {
    CG_TRY(probe_backward(actual));
    CG_TRY(probe_backward(expected));
    const gradcheck_case *test = actual->test;
    compare_rule rule = {.rtol = bounds[test->tolerance].rtol,
                         .atol = bounds[test->tolerance].atol,
                         .trusted = (test->flags & GRADCHECK_TRUSTED) != 0};
    CG_TRY(same_outputs(actual, expected, &rule, worst));
    size_t buffers = expected->module != NULL ? cg_module_buffer_count(expected->module) : 0;
    for (size_t i = 0; i < buffers; i++) {
        CG_TRY(same_buffer(actual, expected, i, rule, worst));
    }
    rule.rtol *= 4;
    rule.atol *= 4;
    for (size_t i = 0; i < expected->n_leaves; i++) {
        if (expected->leaves[i].wanted) {
            CG_TRY(expect_gradient(&actual->leaves[i], expected->leaves[i].gradient, &rule, worst));
        }
    }
    return CG_OK;
}

/* A direction and a step along which float tells the truth: where the oracle's own difference does. A kink or a bend on
 * the way is the direction's fault, not the device's. Steps below 1e-3 would drown in float's rounding. */
static cg_status find_direction(test_probe *oracle, size_t leaf, uint64_t *stream, double *direction, double *step) {
    *step = 1e-2;
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        double analytic = 0, numeric = 0;
        draw_direction(&oracle->leaves[leaf], oracle->test->seed, (*stream)++, direction);
        CG_TRY(derivative(oracle, &oracle->leaves[leaf], direction, *step, true, &analytic, &numeric));
        if (fabs(analytic - numeric) <= 5e-4 * (fabs(analytic) + fabs(numeric)) + 1e-6) {
            return CG_OK;
        }
        *step /= attempt % 10 == 0 ? 2 : 1;
    }
    return cg_fail(CG_ERR_STATE, "gradient of %s: no direction of %d avoids the kinks, make the case smaller",
                   oracle->leaves[leaf].name, ATTEMPTS);
}

static cg_status prove_leaf(test_probe *device, test_probe *oracle, size_t index, int directions) {
    probe_leaf *leaf = &device->leaves[index];
    double *direction;
    CG_TRY(probe_doubles(leaf->count, &direction));
    uint64_t stream = 300;
    cg_status status = CG_OK;
    for (int k = 0; k < directions && status == CG_OK; k++) {
        double analytic = 0, numeric = 0, step = 0;
        status = find_direction(oracle, index, &stream, direction, &step);
        status = status != CG_OK ? status : derivative(device, leaf, direction, step, true, &analytic, &numeric);
        status = status != CG_OK ? status : expect_derivative(device, leaf, analytic, numeric, 1e-3, 1e-4);
    }
    cg_free(direction);
    return status;
}

static cg_status prove_difference(test_probe *device, test_probe *oracle, int directions) {
    CG_TRY(probe_backward(device));
    CG_TRY(probe_backward(oracle));
    for (size_t i = 0; i < device->n_leaves; i++) {
        if (device->leaves[i].wanted) {
            CG_TRY(prove_leaf(device, oracle, i, directions));
        }
    }
    return CG_OK;
}

/* A case on both devices. */
typedef struct two_probes {
    test_probe device, oracle;
} two_probes;

static cg_status open_both(two_probes *both, const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    CG_TRY(probe_open(&both->device, test, device));
    return probe_open(&both->oracle, test, oracle);
}

/* Closes both and puts the case, the proof and the device in front of a failure. */
static cg_status close_both(two_probes *both, cg_status status, const gradcheck_case *test, const char *title,
                            cg_device *device) {
    probe_close(&both->device);
    probe_close(&both->oracle);
    return status == CG_OK
               ? CG_OK
               : cg_fail_context(status, "%s, %s on %s: ", test->name, title, cg_device_describe(device)->string);
}

cg_status gradcheck_against(const gradcheck_case *test, cg_device *device, cg_device *oracle, double *worst) {
    two_probes both = {.device = {.test = test}, .oracle = {.test = test}};
    double error = 0;
    cg_status status = open_both(&both, test, device, oracle);
    status = status != CG_OK ? status : prove_against(&both.device, &both.oracle, &error);
    if (worst != NULL) {
        *worst = error;
    }
    return close_both(&both, status, test, "proof 2 (against double)", device);
}

cg_status gradcheck_difference(const gradcheck_case *test, cg_device *device, cg_device *oracle, int directions) {
    two_probes both = {.device = {.test = test}, .oracle = {.test = test}};
    cg_status status = open_both(&both, test, device, oracle);
    status = status != CG_OK ? status : prove_difference(&both.device, &both.oracle, directions);
    return close_both(&both, status, test, "proof 3 (difference on the device)", device);
}

cg_status gradcheck_cost(const gradcheck_case *test, cg_device *oracle, int directions, double *multiply_adds) {
    test_probe probe;
    cg_status status = probe_open(&probe, test, oracle);
    *multiply_adds = probe.work * (8.0 + 2.0 * (double)directions * (double)probe.n_leaves);
    probe_close(&probe);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "%s: ", test->name);
}
