/* The proofs of a gradient: see gradcheck.h. */
#include "gradcheck.h"

#include "compare.h"
#include "devices.h"
#include "probe.h"
#include "tensors.h"

#include <clgrad/random.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_ELEMENT_LIMIT 3000
#define DIRECTIONS 3
#define ATTEMPTS 40

/* By gradcheck_class; the absolute part is times the largest expected. */
static const struct {
    double rtol, atol;
} bounds[] = {
    [GRADCHECK_EXACT] = {0, 0},           [GRADCHECK_ELEMENTWISE] = {2.5e-7, 1.2e-7},
    [GRADCHECK_REDUCTION] = {1e-5, 5e-6}, [GRADCHECK_SOFTMAX] = {5e-6, 2e-6},
    [GRADCHECK_NETWORK] = {2e-5, 1e-5},
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

/* compare, as a status; what is expected must be finite. */
static cg_status expect(const char *name, const double *actual, const double *expected, const cg_shape *shape,
                        const compare_rule *rule) {
    if (!all_finite(expected, cg_shape_numel(shape))) {
        return cg_fail(CG_ERR_NAN, "%s: what is expected is not finite", name);
    }
    compare_result result;
    return compare(name, actual, expected, shape, rule, &result) ? CG_OK : cg_fail(CG_ERR_STATE, "%s", result.message);
}

static cg_status expect_gradient(const probe_leaf *leaf, const double *expected, const compare_rule *rule) {
    char name[96];
    snprintf(name, sizeof name, "gradient of %s", leaf->name);
    return expect(name, leaf->gradient, expected, &leaf->shape, rule);
}

/* sum(output(plus) weights) - sum(output(minus) weights), summed in double here, which adds no rounding of its own. */
static cg_status loss_difference(test_probe *probe, probe_leaf *leaf, const double *plus, const double *minus,
                                 double *difference) {
    double *upper = test_doubles(probe->count);
    cg_status status = probe_write(leaf, plus);
    status = status != CG_OK ? status : probe_forward(probe);
    memcpy(upper, probe->output, (size_t)probe->count * sizeof *upper);
    status = status != CG_OK ? status : probe_write(leaf, minus);
    status = status != CG_OK ? status : probe_forward(probe);
    *difference = 0;
    for (int64_t i = 0; i < probe->count; i++) {
        *difference += probe->weights[i] * (upper[i] - probe->output[i]);
    }
    free(upper);
    return status != CG_OK ? status : probe_write(leaf, leaf->values);
}

static cg_status numeric_gradient(test_probe *probe, probe_leaf *leaf, double step, double *numeric) {
    double *plus = test_doubles(leaf->count), *minus = test_doubles(leaf->count);
    memcpy(plus, leaf->values, (size_t)leaf->count * sizeof *plus);
    memcpy(minus, leaf->values, (size_t)leaf->count * sizeof *minus);
    cg_status status = CG_OK;
    for (int64_t i = 0; i < leaf->count && status == CG_OK; i++) {
        plus[i] += step;
        minus[i] -= step;
        status = loss_difference(probe, leaf, plus, minus, &numeric[i]);
        numeric[i] /= plus[i] - minus[i];
        plus[i] = minus[i] = leaf->values[i];
    }
    free(plus);
    free(minus);
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
    double *plus = test_doubles(leaf->count), *minus = test_doubles(leaf->count);
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
    free(plus);
    free(minus);
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
    double *direction = test_doubles(leaf->count);
    cg_status status = CG_OK;
    for (uint64_t k = 0; k < DIRECTIONS && status == CG_OK; k++) {
        double analytic = 0, numeric = 0;
        draw_direction(leaf, oracle->test->seed, 200 + k, direction);
        status = derivative(oracle, leaf, direction, 1e-6, false, &analytic, &numeric);
        status = status != CG_OK ? status : expect_derivative(oracle, leaf, analytic, numeric, 1e-5, atol);
    }
    free(direction);
    return status;
}

static cg_status reference_elements(test_probe *oracle, probe_leaf *leaf, double scale) {
    double *numeric = test_doubles(leaf->count);
    compare_rule rule = {
        .rtol = 1e-5, .atol = 1e-7, .scale = scale, .trusted = (oracle->test->flags & GRADCHECK_TRUSTED) != 0};
    cg_status status = numeric_gradient(oracle, leaf, 1e-6, numeric);
    status = status != CG_OK ? status : expect_gradient(leaf, numeric, &rule);
    free(numeric);
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

static cg_status prove_against(test_probe *actual, test_probe *expected) {
    CG_TRY(probe_backward(actual));
    CG_TRY(probe_backward(expected));
    const gradcheck_case *test = actual->test;
    compare_rule rule = {.rtol = bounds[test->tolerance].rtol,
                         .atol = bounds[test->tolerance].atol,
                         .trusted = (test->flags & GRADCHECK_TRUSTED) != 0};
    if (!cg_shape_equal(&actual->shape, &expected->shape)) {
        return cg_fail(CG_ERR_SHAPE, "the output is %s, expected %s", cg_shape_print(&actual->shape, CG_SHAPE_TEXT),
                       cg_shape_print(&expected->shape, CG_SHAPE_TEXT));
    }
    CG_TRY(expect("output", actual->output, expected->output, &expected->shape, &rule));
    rule.rtol *= 4;
    rule.atol *= 4;
    for (size_t i = 0; i < expected->n_leaves; i++) {
        if (expected->leaves[i].wanted) {
            CG_TRY(expect_gradient(&actual->leaves[i], expected->leaves[i].gradient, &rule));
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

static cg_status prove_leaf(test_probe *device, test_probe *oracle, size_t index) {
    probe_leaf *leaf = &device->leaves[index];
    double *direction = test_doubles(leaf->count);
    uint64_t stream = 300;
    cg_status status = CG_OK;
    for (int k = 0; k < DIRECTIONS && status == CG_OK; k++) {
        double analytic = 0, numeric = 0, step = 0;
        status = find_direction(oracle, index, &stream, direction, &step);
        status = status != CG_OK ? status : derivative(device, leaf, direction, step, true, &analytic, &numeric);
        status = status != CG_OK ? status : expect_derivative(device, leaf, analytic, numeric, 1e-3, 1e-4);
    }
    free(direction);
    return status;
}

static cg_status prove_difference(test_probe *device, test_probe *oracle) {
    CG_TRY(probe_backward(device));
    CG_TRY(probe_backward(oracle));
    for (size_t i = 0; i < device->n_leaves; i++) {
        if (device->leaves[i].wanted) {
            CG_TRY(prove_leaf(device, oracle, i));
        }
    }
    return CG_OK;
}

/* Opens a case on both devices, runs a proof and closes them. */
static cg_status with_probes(const gradcheck_case *test, cg_device *device, cg_device *oracle, const char *title,
                             cg_status (*prove)(test_probe *, test_probe *)) {
    test_probe on_device = {.tape = NULL}, on_oracle = {.tape = NULL};
    cg_status status = probe_open(&on_device, test, device);
    status = status != CG_OK ? status : probe_open(&on_oracle, test, oracle);
    status = status != CG_OK ? status : prove(&on_device, &on_oracle);
    probe_close(&on_device);
    probe_close(&on_oracle);
    return status == CG_OK
               ? CG_OK
               : cg_fail_context(status, "%s, %s on %s: ", test->name, title, cg_device_describe(device)->string);
}

cg_status gradcheck_against(const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    return with_probes(test, device, oracle, "proof 2 (against double)", prove_against);
}

cg_status gradcheck_difference(const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    return with_probes(test, device, oracle, "proof 3 (difference on the device)", prove_difference);
}

/* About what the proofs cost on the device, in multiply-adds. */
static cg_status cost(const gradcheck_case *test, cg_device *oracle, double *multiply_adds) {
    test_probe probe;
    cg_status status = probe_open(&probe, test, oracle);
    *multiply_adds = probe.work * (8.0 + 2.0 * DIRECTIONS * (double)probe.n_leaves);
    probe_close(&probe);
    return status;
}

static void run_case(const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    cg_status status = test_device_is_reference() ? gradcheck_reference(test, oracle) : CG_OK;
    cr_assert(status == CG_OK, "%s", cg_error_message());
    cr_assert(gradcheck_against(test, device, oracle) == CG_OK, "%s", cg_error_message());
    if ((test->flags & GRADCHECK_NO_DIFFERENCE) == 0) {
        cr_assert(gradcheck_difference(test, device, oracle) == CG_OK, "%s", cg_error_message());
    }
}

void gradcheck_all(const gradcheck_case *cases, size_t count) {
    cg_device *device = test_device_open();
    cg_device *oracle = test_oracle_open();
    size_t ran = 0;
    for (size_t i = 0; i < count; i++) {
        double multiply_adds = 0;
        cr_assert(cost(&cases[i], oracle, &multiply_adds) == CG_OK, "%s: %s", cases[i].name, cg_error_message());
        if (multiply_adds <= test_device_budget()) {
            run_case(&cases[i], device, oracle);
            ran++;
        }
    }
    cg_device_close(oracle);
    cg_device_close(device);
    if (ran == 0) {
        cr_skip_test("the budget of %s admits none of %zu cases", test_device_string(), count);
    }
}
