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
    cr_assert_eq(cg_init_kaiming_normal(w, 0.0, CG_FAN_IN, NULL, 1, 0), CG_OK);
    expect_moments("kaiming normal", w, 0, sqrt(2.0 / 120));
    cr_assert_eq(cg_init_kaiming_normal(w, 0.5, CG_FAN_OUT, NULL, 1, 0), CG_OK);
    expect_moments("leaky kaiming normal", w, 0, sqrt(2.0 / (1.25 * 400)));
    cr_assert_eq(cg_init_kaiming_uniform(w, 0.0, CG_FAN_IN, NULL, 1, 0), CG_OK);
    expect_moments("kaiming uniform", w, 0, sqrt(2.0 / 120));
    cr_assert_eq(cg_init_kaiming_normal(w, 0.0, CG_FAN_IN, "tanh", 1, 0), CG_OK, "%s", cg_error_message());
    expect_moments("kaiming normal of tanh", w, 0, 5.0 / 3 / sqrt(120));
    cr_assert_eq(cg_init_kaiming_uniform(w, 0.0, CG_FAN_OUT, "linear", 1, 0), CG_OK);
    expect_moments("kaiming uniform of linear", w, 0, sqrt(1.0 / 400));
    cr_assert_eq(cg_init_xavier_normal(w, 1.0, 1, 0), CG_OK, "%s", cg_error_message());
    expect_moments("xavier normal", w, 0, sqrt(2.0 / 520));
    cr_assert_eq(cg_init_xavier_uniform(w, 2.0, 1, 0), CG_OK);
    expect_moments("xavier uniform", w, 0, 2 * sqrt(2.0 / 520));
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

/* The mean and standard deviation of each, by numerical integration. */
Test(init, trunc_normal_has_the_moments_of_what_lies_between_the_bounds) {
    static const struct {
        double mean, std, a, b, expected_mean, expected_std;
    } cases[] = {
        {0, 1, -2, 2, 0, 0.879625660},
        {1, 0.5, 0, 1.5, 0.885181410, 0.360472793},
        {0, 1, 2, 3, 2.315821327, 0.248033827},    /* far above the mean */
        {0, 1, -9, -8, -8.121188993, 0.118947647}, /* where doubles near 1 have no digits left */
        {0, 1, 8, 9, 8.121188993, 0.118947647},
    };
    cg_device *device = test_device_open();
    cg_tensor *w = test_tensor(device, CG_SHAPE(4000), NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(cg_init_trunc_normal(w, cases[i].mean, cases[i].std, cases[i].a, cases[i].b, 5, 0), CG_OK, "%s",
                     cg_error_message());
        expect_moments("truncated", w, cases[i].expected_mean, cases[i].expected_std);
        moments m = measured(w);
        cr_expect(m.low >= cases[i].a && m.high <= cases[i].b, "%g..%g", m.low, m.high);
    }
    cg_tensor_destroy(w);
    cg_device_close(device);
}

/* Rows (or columns, of a tall matrix) have length `gain` and stand at right angles. */
static void check_orthogonal(cg_shape shape, double gain) {
    cg_device *device = test_device_open();
    cg_tensor *w = test_tensor(device, shape, NULL);
    int64_t n = cg_tensor_numel(w), rows = shape.dim[0], columns = n / rows;
    double *q = test_doubles(n);
    cr_assert_eq(cg_init_orthogonal(w, gain, 3, 1), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tensor_read_f64(w, q, n), CG_OK);
    bool wide = rows < columns;
    int64_t count = wide ? rows : columns, length = wide ? columns : rows;
    for (int64_t a = 0; a < count; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double product = 0;
            for (int64_t i = 0; i < length; i++) {
                product += wide ? q[a * columns + i] * q[b * columns + i] : q[i * columns + a] * q[i * columns + b];
            }
            cr_assert_float_eq(product, a == b ? gain * gain : 0, 1e-6, "%lld times %lld is %g", (long long)a,
                               (long long)b, product);
        }
    }
    free(q);
    cg_tensor_destroy(w);
    cg_device_close(device);
}

Test(init, orthogonal_is_orthogonal) {
    check_orthogonal(CG_SHAPE(17, 17), 1);
    check_orthogonal(CG_SHAPE(5, 31), 1);
    check_orthogonal(CG_SHAPE(31, 5), 1);
    check_orthogonal(CG_SHAPE(8, 3, 2, 2), 1.5);
    check_orthogonal(CG_SHAPE(1, 1), 2);
}

Test(init, constants_and_identities) {
    cg_device *device = test_device_open();
    cg_tensor *w = test_tensor(device, CG_SHAPE(2, 3), NULL), *c = test_tensor(device, CG_SHAPE(4, 2, 3), NULL);
    cr_expect_eq(cg_init_constant(w, 2.5), CG_OK, "%s", cg_error_message());
    test_expect("constant", w, CG_SHAPE(2, 3), (double[]){2.5, 2.5, 2.5, 2.5, 2.5, 2.5}, 0, 0);
    cr_expect_eq(cg_init_ones(w), CG_OK);
    test_expect("ones", w, CG_SHAPE(2, 3), (double[]){1, 1, 1, 1, 1, 1}, 0, 0);
    cr_expect_eq(cg_init_zeros(w), CG_OK);
    test_expect("zeros", w, CG_SHAPE(2, 3), (double[]){0, 0, 0, 0, 0, 0}, 0, 0);
    cr_expect_eq(cg_init_eye(w), CG_OK, "%s", cg_error_message());
    test_expect("eye", w, CG_SHAPE(2, 3), (double[]){1, 0, 0, 0, 1, 0}, 0, 0);
    double one[24] = {0}, two[24] = {0};
    one[1] = one[(1 * 2 + 1) * 3 + 1] = 1;
    two[1] = two[(1 * 2 + 1) * 3 + 1] = two[(2 * 2 + 0) * 3 + 1] = two[(3 * 2 + 1) * 3 + 1] = 1;
    cr_expect_eq(cg_init_dirac(c, 1), CG_OK, "%s", cg_error_message());
    test_expect("dirac", c, CG_SHAPE(4, 2, 3), one, 0, 0);
    cr_expect_eq(cg_init_dirac(c, 2), CG_OK);
    test_expect("dirac of two groups", c, CG_SHAPE(4, 2, 3), two, 0, 0);
    cg_tensor_destroy(w);
    cg_tensor_destroy(c);
    cg_device_close(device);
}

/* torch.nn.init.calculate_gain */
Test(init, gains) {
    static const struct {
        const char *name;
        double param, gain;
    } cases[] = {{"linear", 0, 1},       {"conv_transpose3d", 0, 1},           {"sigmoid", 0, 1},
                 {"tanh", 0, 5.0 / 3.0}, {"relu", 0, 1.4142135623730951},      {"leaky_relu", 0.01, 1.4141428569978354},
                 {"selu", 0, 0.75},      {"leaky_relu", 2, 0.6324555320336759}};
    double gain;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(cg_init_calculate_gain(cases[i].name, cases[i].param, &gain), CG_OK);
        cr_expect_float_eq(gain, cases[i].gain, 1e-15, "%s: %.17g", cases[i].name, gain);
    }
    cr_expect_eq(cg_init_calculate_gain("rellu", 0, &gain), CG_ERR_NAME);
    cr_expect_not_null(strstr(cg_error_message(), "did you mean relu"), "%s", cg_error_message());
}

Test(init, wrong_arguments_are_errors) {
    cg_device *device = test_device_open();
    cg_tensor *vector = test_tensor(device, CG_SHAPE(5), NULL);
    cg_tensor *empty = test_tensor(device, CG_SHAPE(0, 5), NULL);
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1});
    cr_expect_eq(cg_init_kaiming_uniform(vector, 0, CG_FAN_IN, NULL, 0, 0), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_normal(vector, 0, -1, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_normal(vector, 0, NAN, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_uniform(vector, 1, 0, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_normal(classes, 0, 1, 0, 0), CG_ERR_DTYPE);
    cr_expect_eq(cg_init_ones(classes), CG_ERR_DTYPE);
    cr_expect_eq(cg_init_trunc_normal(vector, 0, 0, -2, 2, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_trunc_normal(vector, 0, 1, 2, 2, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_xavier_normal(vector, 1, 0, 0), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_xavier_uniform(empty, -1, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_kaiming_normal(empty, 0, CG_FAN_IN, "softmax", 0, 0), CG_ERR_NAME);
    cr_expect_eq(cg_init_orthogonal(vector, 1, 0, 0), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_orthogonal(empty, 1, 0, 0), CG_OK);
    cr_expect_eq(cg_init_orthogonal(empty, NAN, 0, 0), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_init_eye(vector), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_eye(empty), CG_OK);
    cr_expect_eq(cg_init_dirac(empty, 1), CG_ERR_SHAPE);
    cr_expect_eq(cg_init_kaiming_normal(empty, 0, CG_FAN_OUT, NULL, 0, 0), CG_OK, "%s", cg_error_message());
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
