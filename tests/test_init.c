/* Initial weights: bounds, moments, and the same bits on every device. */
#include "devices.h"

#include <clgrad/nn.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensors.h"

typedef struct moments {
    double mean, std, low, high;
} moments;

static moments measured(cg_tensor *tensor) {
    int64_t count = cg_tensor_numel(tensor);
    double *values = test_doubles(count), sum = 0, squares = 0;
    cr_assert_eq(cg_tensor_read_f64(tensor, values, count), CG_OK, "%s", cg_error_message());
    moments m = {.low = INFINITY, .high = -INFINITY};
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
        squares += values[i] * values[i];
        m.low = fmin(m.low, values[i]);
        m.high = fmax(m.high, values[i]);
    }
    m.mean = sum / (double)count;
    m.std = sqrt(squares / (double)count - m.mean * m.mean);
    free(values);
    return m;
}

/* Six standard errors of a mean and of a standard deviation over the elements: a right draw fails once in 10^8. */
static void expect_moments(const char *name, cg_tensor *tensor, double mean, double std) {
    double count = (double)cg_tensor_numel(tensor);
    moments m = measured(tensor);
    cr_expect_float_eq(m.mean, mean, 6 * std / sqrt(count), "%s: mean %g, expected %g", name, m.mean, mean);
    cr_expect_float_eq(m.std, std, 6 * std / sqrt(2 * count), "%s: std %g, expected %g", name, m.std, std);
}

Test(init, has_the_moments_that_its_name_says) {
    cg_device *device = test_device_open();
    cg_tensor *w = test_tensor(device, CG_SHAPE(100, 30, 4), NULL); /* fan in 120, fan out 400 */
    cr_assert_eq(cg_init_normal(w, 2.0, 0.5, 1, 0), CG_OK, "%s", cg_error_message());
    expect_moments("normal", w, 2.0, 0.5);
    cr_assert_eq(cg_init_uniform(w, -1.0, 3.0, 1, 0), CG_OK);
    expect_moments("uniform", w, 1.0, 4.0 / sqrt(12.0));
    cr_assert_eq(cg_init_scaled_normal(w, CG_FAN_IN, 1, 0), CG_OK);
    expect_moments("scaled, fan in", w, 0, sqrt(1.0 / 120));
    cr_assert_eq(cg_init_scaled_normal(w, CG_FAN_OUT, 1, 0), CG_OK);
    expect_moments("scaled, fan out", w, 0, sqrt(1.0 / 400));
    cr_assert_eq(cg_init_kaiming_normal(w, 0.0, CG_FAN_IN, 1, 0), CG_OK);
    expect_moments("kaiming normal", w, 0, sqrt(2.0 / 120));
    cr_assert_eq(cg_init_kaiming_normal(w, 0.5, CG_FAN_OUT, 1, 0), CG_OK);
    expect_moments("leaky kaiming normal", w, 0, sqrt(2.0 / (1.25 * 400)));
    cr_assert_eq(cg_init_kaiming_uniform(w, 0.0, CG_FAN_IN, 1, 0), CG_OK);
    expect_moments("kaiming uniform", w, 0, sqrt(2.0 / 120));
    cg_tensor_destroy(w);
    cg_device_close(device);
}

Test(init, uniform_stays_within_its_bounds_and_fills_them) {
    cg_device *device = test_device_open();
    cg_tensor *w = test_tensor(device, CG_SHAPE(5000), NULL);
    cr_assert_eq(cg_init_uniform(w, -0.25, 0.75, 7, 3), CG_OK);
    moments m = measured(w);
    cr_expect(m.low >= -0.25 && m.low < -0.24 && m.high <= 0.75 && m.high > 0.74, "%g..%g", m.low, m.high);
    cg_tensor_destroy(w);
    cg_device_close(device);
}

Test(init, wrong_arguments_are_errors) {
    cg_device *device = test_device_open();
    cg_tensor *vector = test_tensor(device, CG_SHAPE(5), NULL);
    cg_tensor *empty = test_tensor(device, CG_SHAPE(0, 5), NULL);
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1});
    cr_expect_eq(cg_init_kaiming_uniform(vector, 0, CG_FAN_IN, 0, 0), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_normal(vector, 0, -1, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_normal(vector, 0, NAN, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_uniform(vector, 1, 0, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_normal(classes, 0, 1, 0, 0), CG_ERR_DTYPE);
    cr_expect_eq(cg_init_kaiming_normal(empty, 0, CG_FAN_OUT, 0, 0), CG_OK, "%s", cg_error_message());
    cg_tensor_destroy(vector);
    cg_tensor_destroy(empty);
    cg_tensor_destroy(classes);
    cg_device_close(device);
}

static const char model[] = "Linear(30, 20), ReLU(), Residual(Linear(20, 20)), Linear(20, 5, bias=False)";

static cg_module *initialised(cg_device *device, const char *text, uint64_t seed) {
    cg_module *module = NULL;
    cr_assert_eq(cg_module_parse(device, text, &module), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_init(module, seed), CG_OK, "%s", cg_error_message());
    return module;
}

/* All parameters behind each other; the caller frees. */
static double *weights(const cg_module *module, int64_t *count) {
    *count = 0;
    for (size_t i = 0; i < cg_module_parameter_count(module); i++) {
        *count += cg_tensor_numel(cg_module_parameter(module, i, NULL));
    }
    double *values = test_doubles(*count), *at = values;
    for (size_t i = 0; i < cg_module_parameter_count(module); i++) {
        cg_tensor *tensor = cg_module_parameter(module, i, NULL);
        cr_assert_eq(cg_tensor_read_f64(tensor, at, cg_tensor_numel(tensor)), CG_OK);
        at += cg_tensor_numel(tensor);
    }
    return values;
}

/* Whether two models have the same bits. */
static bool same_weights(const cg_module *a, const cg_module *b) {
    int64_t n_a, n_b;
    double *x = weights(a, &n_a), *y = weights(b, &n_b);
    bool same = n_a == n_b && memcmp(x, y, (size_t)n_a * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}

Test(init, a_model_has_the_same_weights_on_every_device) {
    cg_device *device = test_device_open(), *oracle = test_oracle_open();
    cg_module *here = initialised(device, model, 42), *there = initialised(oracle, model, 42);
    cr_expect(same_weights(here, there));
    cg_module_destroy(here);
    cg_module_destroy(there);
    cg_device_close(device);
    cg_device_close(oracle);
}

Test(init, a_model_s_weights_follow_the_seed_and_the_place) {
    cg_device *device = test_device_open();
    cg_module *one = initialised(device, model, 1), *again = initialised(device, model, 1);
    cg_module *two = initialised(device, model, 2);
    cr_expect(same_weights(one, again));
    cr_expect_not(same_weights(one, two));
    cg_module_destroy(again);
    again = initialised(device, "Linear(30, 20), Linear(30, 20)", 1);
    cr_expect_not(same_weights(cg_module_child(again, 0, NULL), cg_module_child(again, 1, NULL)));
    cr_expect(same_weights(cg_module_child(one, 0, NULL), cg_module_child(again, 0, NULL)));
    cg_module_destroy(one);
    cg_module_destroy(again);
    cg_module_destroy(two);
    cg_device_close(device);
}

Test(init, linear_is_uniform_within_one_over_the_root_of_its_inputs) {
    cg_device *device = test_device_open();
    cg_module *linear = initialised(device, "Linear(64, 500)", 3);
    static const char *const names[] = {"weight", "bias"};
    for (size_t i = 0; i < 2; i++) {
        cg_tensor *tensor = cg_module_find(linear, names[i]);
        moments m = measured(tensor);
        cr_expect(m.low >= -0.125 && m.high <= 0.125, "%s: %g..%g", names[i], m.low, m.high);
        expect_moments(names[i], tensor, 0, 0.125 / sqrt(3.0));
    }
    cg_module_destroy(linear);
    cg_device_close(device);
}
