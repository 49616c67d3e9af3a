/*
 * Proof 4: what every case must do beside computing the right numbers. Cheap, on the device alone but for the extreme
 * values: a second backward adds to the first; a leaf that wants no gradient gets none and changes no other; one tensor
 * in the place of two gets the gradients of both; +-80, zeros, equal and denormal numbers give what double gives.
 */
#include "proof.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "compare.h"
#include "probe.h"

/* Sums in another order: a gradient may be made of several contributions. */
static const compare_rule same_sum = {.rtol = 1e-5, .atol = 1e-5, .trusted = true};

/* Far from 0, where functions saturate and exponentials meet; ties, zeros and what a device may take for 0. */
static const double extremes[] = {80, -80, 0, 0, 1, 1, -1, 1e-40};

#define EXTREME_RTOL 1e-3
#define EXTREME_ATOL 1e-4

static cg_status expect_gradient(const probe_leaf *leaf, const double *expected, double scale) {
    char name[128];
    compare_rule rule = same_sum;
    compare_result result;
    rule.scale = scale;
    snprintf(name, sizeof name, "gradient of %s", leaf->name);
    return compare(name, leaf->gradient, expected, &leaf->shape, &rule, &result)
               ? CG_OK
               : cg_fail(CG_ERR_STATE, "%s", result.message);
}

static double largest(const double *values, int64_t count) {
    double size = 0;
    for (int64_t i = 0; i < count; i++) {
        size = isfinite(values[i]) ? fmax(size, fabs(values[i])) : size;
    }
    return size;
}

/* ---- twice ---- */

/* The gradients of all leaves side by side, times a factor; freed by cg_free. */
static cg_status copy_gradients(const test_probe *probe, double factor, double **copy) {
    int64_t total = 0, at = 0;
    for (size_t i = 0; i < probe->n_leaves; i++) {
        total += probe->leaves[i].count;
    }
    CG_TRY(probe_doubles(total, copy));
    for (size_t i = 0; i < probe->n_leaves; i++) {
        for (int64_t j = 0; j < probe->leaves[i].count; j++) {
            (*copy)[at++] = factor * probe->leaves[i].gradient[j];
        }
    }
    return CG_OK;
}

/* Every wanted gradient is that of the copy. */
static cg_status expect_gradients(const test_probe *probe, const double *copy) {
    int64_t at = 0;
    for (size_t i = 0; i < probe->n_leaves; i++) {
        const probe_leaf *leaf = &probe->leaves[i];
        if (leaf->wanted) {
            CG_TRY(expect_gradient(leaf, copy + at, largest(copy + at, leaf->count)));
        }
        at += leaf->count;
    }
    return CG_OK;
}

static cg_status prove_twice(test_probe *probe) {
    double *doubled;
    CG_TRY(probe_backward(probe));
    CG_TRY(copy_gradients(probe, 2, &doubled));
    cg_status status = probe_backward(probe);
    status = status != CG_OK ? status : expect_gradients(probe, doubled);
    cg_free(doubled);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "a second backward, which adds: ");
}

/* ---- frozen ---- */

static void freeze(probe_leaf *leaf) {
    leaf->wanted = false;
    cg_tensor_set_requires_grad(leaf->tensor, false);
}

/* Every other leaf wants no gradient. */
static cg_status prove_frozen_half(const gradcheck_case *test, cg_device *device, size_t half, const double *whole) {
    test_probe probe;
    cg_status status = probe_open(&probe, test, device);
    for (size_t i = half; i < probe.n_leaves && status == CG_OK; i += 2) {
        freeze(&probe.leaves[i]);
    }
    status = status != CG_OK ? status : probe_backward(&probe);
    status = status != CG_OK ? status : expect_gradients(&probe, whole);
    probe_close(&probe);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "every other leaf frozen, from %zu on: ", half);
}

static cg_status prove_frozen(test_probe *probe) {
    double *whole;
    probe_zero_grad(probe);
    CG_TRY(probe_backward(probe));
    CG_TRY(copy_gradients(probe, 1, &whole));
    cg_status status = prove_frozen_half(probe->test, probe->device, 0, whole);
    status = status != CG_OK ? status : prove_frozen_half(probe->test, probe->device, 1, whole);
    cg_free(whole);
    return status;
}

/* ---- one tensor in two places ---- */

static bool has_twins(const test_probe *probe) {
    const gradcheck_input *a = &probe->test->inputs[0], *b = &probe->test->inputs[1];
    return probe->test->n_inputs >= 2 && probe->leaves[0].wanted && probe->leaves[1].wanted && a->row_length == 0 &&
           b->row_length == 0 && cg_shape_equal(&a->shape, &b->shape);
}

/* Input 1 in both places, which must get what both got when they were equal. */
static cg_status prove_in_both_places(const test_probe *apart, const double *sum, double scale) {
    test_probe probe;
    cg_status status = probe_open(&probe, apart->test, apart->device);
    if (status == CG_OK) {
        probe.shares_input = true;
        freeze(&probe.leaves[0]);
        status = probe_backward(&probe);
    }
    status = status != CG_OK ? status : expect_gradient(&probe.leaves[1], sum, scale);
    probe_close(&probe);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "one tensor as inputs 0 and 1: ");
}

static cg_status prove_shared(test_probe *probe) {
    const probe_leaf *first = &probe->leaves[0], *second = &probe->leaves[1];
    double *sum;
    probe_zero_grad(probe);
    CG_TRY(probe_write(&probe->leaves[0], second->values));
    CG_TRY(probe_backward(probe));
    CG_TRY(probe_doubles(second->count, &sum));
    double scale = fmax(largest(first->gradient, first->count), largest(second->gradient, second->count));
    for (int64_t i = 0; i < second->count; i++) {
        sum[i] = first->gradient[i] + second->gradient[i];
    }
    cg_status status = prove_in_both_places(probe, sum, scale);
    cg_free(sum);
    return status == CG_OK ? probe_write(&probe->leaves[0], first->values) : status;
}

/* ---- extreme values ---- */

static cg_status write_extremes(test_probe *probe) {
    for (size_t i = 0; i < probe->test->n_inputs; i++) {
        probe_leaf *leaf = &probe->leaves[i];
        const gradcheck_input *input = &probe->test->inputs[i];
        if (input->values != GRADCHECK_NORMAL || input->classes > 0) {
            continue; /* a domain of its own */
        }
        for (int64_t k = 0; k < leaf->count; k++) {
            leaf->values[k] = (double)(float)extremes[(k + (int64_t)i) % 8];
        }
        CG_TRY(probe_write(leaf, leaf->values));
    }
    return CG_OK;
}

/* What double has and a float can hold, a float must have; what double has not is not asked for. Where everything
 * saturates only rounding is left: what is measured against is at least 1, about the size of weights. */
static cg_status expect_tame(const char *name, const double *actual, const double *expected, int64_t count) {
    double scale = fmax(1, largest(expected, count));
    for (int64_t i = 0; i < count; i++) {
        double bound = EXTREME_RTOL * fabs(expected[i]) + EXTREME_ATOL * scale;
        if (isfinite((float)expected[i]) && !(fabs(actual[i] - expected[i]) <= bound)) {
            return cg_fail(CG_ERR_STATE, "%s: element %lld is %.9g, in double it is %.9g (%.3g is allowed)", name,
                           (long long)i, actual[i], expected[i], bound);
        }
    }
    return CG_OK;
}

static cg_status compare_extremes(const test_probe *device, const test_probe *oracle) {
    CG_TRY(expect_tame("output", device->output, oracle->output, oracle->count));
    for (size_t i = 0; i < oracle->n_leaves; i++) {
        const probe_leaf *leaf = &oracle->leaves[i];
        char name[128];
        snprintf(name, sizeof name, "gradient of %s", leaf->name);
        CG_TRY(leaf->wanted ? expect_tame(name, device->leaves[i].gradient, leaf->gradient, leaf->count) : CG_OK);
    }
    return CG_OK;
}

static cg_status prove_extremes(test_probe *device, test_probe *oracle) {
    probe_zero_grad(device);
    CG_TRY(write_extremes(device));
    CG_TRY(write_extremes(oracle));
    CG_TRY(probe_backward(device));
    CG_TRY(probe_backward(oracle));
    cg_status status = compare_extremes(device, oracle);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "inputs of +-80, zeros, equal and denormal numbers: ");
}

static cg_status prove(test_probe *device, test_probe *oracle) {
    CG_TRY(prove_twice(device));
    CG_TRY(prove_frozen(device));
    CG_TRY(has_twins(device) ? prove_shared(device) : CG_OK);
    return prove_extremes(device, oracle);
}

cg_status gradcheck_edges(const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    test_probe on_device = {.test = test}, in_double = {.test = test};
    cg_status status = probe_open(&on_device, test, device);
    status = status != CG_OK ? status : probe_open(&in_double, test, oracle);
    status = status != CG_OK ? status : prove(&on_device, &in_double);
    probe_close(&on_device);
    probe_close(&in_double);
    return status == CG_OK
               ? CG_OK
               : cg_fail_context(status, "%s, proof 4 (edges) on %s: ", test->name, cg_device_describe(device)->string);
}
