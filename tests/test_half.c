/*
 * Numbers of 16 bits: every f16 and many floats through the device's casts against arithmetic in double; tensors of
 * f16 and bf16; networks that keep what is between their ops in them, and their weights.
 */
#include "devices.h"
#include "gradcheck.h"
#include "tensors.h"

#include <clgrad/clgrad.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL 65536

typedef struct format {
    cg_dtype dtype;
    int exponent, fraction; /* bits */
    const char *name;
} format;

static const format f16 = {CG_F16, 5, 10, "f16"}, bf16 = {CG_BF16, 8, 7, "bf16"};

/* What the bits mean, by the definition. */
static double meaning(const format *f, uint16_t bits) {
    int bias = (1 << (f->exponent - 1)) - 1, exponent = bits >> f->fraction & ((1 << f->exponent) - 1);
    double fraction = bits & ((1 << f->fraction) - 1), sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == (1 << f->exponent) - 1) {
        return fraction > 0 ? NAN : sign * INFINITY;
    }
    double whole = exponent > 0 ? ldexp(1.0, f->fraction) : 0.0;
    return sign * ldexp(whole + fraction, (exponent > 0 ? exponent : 1) - bias - f->fraction);
}

/* The nearest that there is, of two the even one. */
static double nearest(const format *f, double value) {
    int bias = (1 << (f->exponent - 1)) - 1, exponent;
    if (!isfinite(value) || value == 0) {
        return value;
    }
    frexp(value, &exponent);
    exponent = exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    double step = ldexp(1.0, exponent - f->fraction), rounded = nearbyint(value / step) * step;
    double largest = ldexp(2.0 - ldexp(1.0, -f->fraction), bias);
    return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

static void expect_same(const format *f, const char *what, double input, double got, double expected) {
    bool same = isnan(expected) ? isnan(got) : got == expected && signbit(got) == signbit(expected);
    cr_assert(same, "%s, %s of %.9g: %.9g, expected %.9g", f->name, what, input, got, expected);
}

static void check_widening(cg_device *device, const format *f) {
    uint16_t *bits = malloc(ALL * sizeof *bits);
    float *wide = malloc(ALL * sizeof *wide);
    cg_tensor *halves;
    for (int i = 0; i < ALL; i++) {
        bits[i] = (uint16_t)i;
    }
    cr_assert(cg_tensor_create(device, f->dtype, &CG_SHAPE(ALL), &halves) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_write(halves, bits, ALL * sizeof *bits) == CG_OK, "%s", cg_error_message());
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *result = cg_cast(tape, halves, CG_F32);
    cr_assert(cg_tensor_read_f32(result, wide, ALL) == CG_OK, "%s", cg_error_message());
    for (int i = 0; i < ALL; i++) {
        expect_same(f, "the float", i, wide[i], meaning(f, bits[i]));
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(halves);
    free(bits);
    free(wide);
}

/* Bits of all kinds of floats, and what lies on both sides of the middle between two halves. */
static float *many_floats(const format *f, int count) {
    float *values = malloc((size_t)count * sizeof *values);
    for (int i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)i * 2654435761u;
        memcpy(&values[i], &bits, sizeof bits);
        if (i % 4 != 0) {
            uint16_t half = (uint16_t)(bits >> 16 & 0x7fffu);
            double low = meaning(f, half), high = meaning(f, (uint16_t)(half + 1));
            float middle = (float)(low + (high - low) / 2);
            values[i] = i % 4 == 1 ? middle : nextafterf(middle, i % 4 == 2 ? INFINITY : -INFINITY);
            values[i] = i & 8 ? -values[i] : values[i];
        }
    }
    return values;
}

static void check_rounding(cg_device *device, const format *f, int count) {
    float *values = many_floats(f, count);
    uint16_t *halves = malloc((size_t)count * sizeof *halves);
    cg_tensor *x;
    cr_assert(cg_tensor_create(device, CG_F32, &CG_SHAPE(count), &x) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_write_f32(x, values, count) == CG_OK, "%s", cg_error_message());
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *result = cg_cast(tape, x, f->dtype);
    cr_assert(cg_tensor_read(result, halves, (size_t)count * sizeof *halves) == CG_OK, "%s", cg_error_message());
    for (int i = 0; i < count; i++) {
        bool tiny = fpclassify(values[i]) == FP_SUBNORMAL; /* a device may take it for 0 */
        if (!tiny || meaning(f, halves[i]) != 0) {
            expect_same(f, "the nearest", values[i], meaning(f, halves[i]), nearest(f, values[i]));
        }
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    free(values);
    free(halves);
}

Test(half, casts_are_exact_or_to_the_nearest) {
    cg_device *device = test_device_open();
    int count = test_device_budget().multiply_adds < 1e7 ? 1 << 14 : 1 << 18;
    check_widening(device, &f16);
    check_widening(device, &bf16);
    check_rounding(device, &f16, count);
    check_rounding(device, &bf16, count);
    cg_device_close(device);
}

Test(half, tensors_are_written_filled_copied_and_read) {
    cg_device *device = test_device_open();
    const double values[] = {1, -2.5, 65504, 1e-7, 3.14159, INFINITY};
    double back[6], expected[6];
    for (int k = 0; k < 2; k++) {
        const format *f = k == 0 ? &f16 : &bf16;
        cg_tensor *x, *y;
        cr_assert(cg_tensor_create(device, f->dtype, &CG_SHAPE(6), &x) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_create(device, f->dtype, &CG_SHAPE(6), &y) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_bytes(x) == 12);
        cr_assert(cg_tensor_write_f64(x, values, 6) == CG_OK && cg_tensor_fill(y, 0.1) == CG_OK);
        cr_assert(cg_tensor_read_f64(y, back, 6) == CG_OK, "%s", cg_error_message());
        cr_expect_eq(back[5], nearest(f, (double)0.1f));
        cg_tape *tape = cg_tape_create(device);
        cr_assert(cg_copy(tape, y, x) == CG_OK && cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_read_f64(y, back, 6) == CG_OK, "%s", cg_error_message());
        for (int i = 0; i < 6; i++) {
            expected[i] = nearest(f, values[i]);
        }
        cr_expect_arr_eq(back, expected, sizeof back);
        cg_tape_destroy(tape);
        cg_tensor_destroy(x);
        cg_tensor_destroy(y);
    }
    cg_device_close(device);
}

#define ROWS 12
#define STEPS 6

/* Trains a little; losses and the peak of memory. */
static uint64_t train(cg_dtype precision, const char *model, const cg_shape *input, double *losses) {
    cg_device *device = test_device_open();
    cr_assert(cg_device_set_precision(device, precision) == CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_device_precision(device), precision);
    cg_module *module;
    cg_optimizer *optimizer;
    cr_assert(cg_module_parse(device, model, &module) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_resolve(module, input, NULL) == CG_OK && cg_module_init(module, 3) == CG_OK, "%s",
              cg_error_message());
    cr_assert(cg_optimizer_parse("SGD(lr=0.05, momentum=0.9)", module, &optimizer) == CG_OK, "%s", cg_error_message());
    double *numbers = malloc((size_t)cg_shape_numel(input) * sizeof *numbers), classes[ROWS];
    for (int64_t i = 0; i < cg_shape_numel(input); i++) {
        numbers[i] = sin((double)(i * i % 1009));
    }
    for (int i = 0; i < ROWS; i++) {
        classes[i] = i % 3;
    }
    cg_tensor *x = test_tensor(device, *input, numbers), *y;
    cr_assert(cg_tensor_create(device, CG_I64, &CG_SHAPE(ROWS), &y) == CG_OK);
    cr_assert(cg_tensor_write_f64(y, classes, ROWS) == CG_OK);
    cg_tape *tape = cg_tape_create(device);
    for (int i = 0; i < STEPS; i++) {
        cg_tensor *loss = cg_cross_entropy(tape, cg_module_forward(module, tape, x), y, CG_REDUCE_MEAN);
        cr_assert(cg_backward(tape, loss) == CG_OK && cg_optimizer_step(optimizer, tape) == CG_OK, "%s",
                  cg_error_message());
        cr_assert(cg_tensor_item(loss, &losses[i]) == CG_OK && cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    }
    cg_device_stats stats;
    cg_device_stats_get(device, &stats);
    cg_tape_destroy(tape);
    cg_optimizer_destroy(optimizer);
    cg_module_destroy(module);
    cg_tensor_destroy(x);
    cg_tensor_destroy(y);
    cg_device_close(device);
    free(numbers);
    return stats.bytes_peak;
}

static void check_network(const char *model, cg_shape input) {
    double whole[STEPS], half[STEPS];
    train(CG_F32, model, &input, whole);
    for (int k = 0; k < 2; k++) {
        double most = k == 0 ? 0.004 : 0.03;
        bool differs = false;
        train(k == 0 ? CG_F16 : CG_BF16, model, &input, half);
        for (int i = 0; i < STEPS; i++) {
            cr_expect(fabs(half[i] - whole[i]) <= most * whole[0], "%s in %s, step %d: loss %g, in f32 %g", model,
                      k == 0 ? "f16" : "bf16", i, half[i], whole[i]);
            differs = differs || half[i] != whole[i];
        }
        cr_expect(differs, "%s: nothing was rounded", model);
        cr_expect(half[STEPS - 1] < half[0], "%s: the loss falls", model);
    }
}

Test(half, networks_learn_as_in_f32) {
    check_network("Linear(10, 16), ReLU(), Linear(16, 16), GELU(), LayerNorm(16), Linear(16, 3)", CG_SHAPE(ROWS, 10));
    if (test_device_budget().multiply_adds < 1e7) {
        return; /* a simulator takes half a minute */
    }
    check_network(
        "Conv2d(2, 4, 3, padding=1), BatchNorm2d(4), ReLU(), MaxPool2d(2), Residual(Conv2d(4, 4, 3, padding=1)), "
        "AvgPool2d(2), Flatten(), Linear(4, 3)",
        CG_SHAPE(ROWS, 2, 5, 4));
}

Test(half, attention_learns_as_in_f32) {
    if (test_device_budget().multiply_adds < 1e7) {
        cr_skip("the ops of such networks are those of others; a simulator takes minutes");
    }
    check_network(
        "TransformerEncoderLayer(8, 2, dim_feedforward=8, dropout=0.0, batch_first=True), Flatten(), Linear(40, 3)",
        CG_SHAPE(ROWS, 5, 8));
}

/* Activations are most of the memory here: 100 times as many as weights. */
Test(half, activations_take_half_of_the_memory) {
    if (test_device_budget().multiply_adds < 1e7) {
        cr_skip("a simulator's memory is not planned");
    }
    const char *model =
        "Conv2d(3, 8, 3, padding=1), Tanh(), Conv2d(8, 8, 3, padding=1), Tanh(), Conv2d(8, 8, 3, padding=1), "
        "Tanh(), Conv2d(8, 8, 3, padding=1), Tanh(), Conv2d(8, 8, 3, padding=1), Tanh(), "
        "Conv2d(8, 8, 3, padding=1), Tanh(), AdaptiveAvgPool2d(1), Flatten(), Linear(8, 3)";
    cg_shape input = CG_SHAPE(ROWS, 3, 16, 16);
    double losses[STEPS];
    uint64_t whole = train(CG_F32, model, &input, losses), half = train(CG_F16, model, &input, losses);
    cr_expect((double)half < 0.8 * (double)whole, "%llu bytes, in f32 %llu", (unsigned long long)half,
              (unsigned long long)whole);
}

/* The outputs of a model whose weights are kept so. */
static void predict(cg_module *module, cg_device *device, double *outputs) {
    static const double input[10] = {1, -1, 0.5, 2, -0.25, 0.1, 3, -2, 0.7, 1.5};
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 5), input);
    cg_tape *tape = cg_tape_create(device);
    cg_tape_set_mode(tape, CG_EVAL);
    cr_assert(cg_tensor_read_f64(cg_module_forward(module, tape, x), outputs, 6) == CG_OK, "%s", cg_error_message());
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
}

Test(half, weights_are_kept_so_and_back) {
    cg_device *device = test_device_open();
    cg_module *module;
    double whole[6], half[6], weights[40], rounded[40];
    cr_assert(cg_module_parse(device, "Linear(5, 8), Tanh(), Linear(8, 3)", &module) == CG_OK);
    cr_assert(cg_module_init(module, 1) == CG_OK);
    predict(module, device, whole);
    cg_tensor *weight = cg_module_parameter(module, 0, NULL);
    cr_assert(cg_tensor_read_f64(weight, weights, 40) == CG_OK);
    for (int k = 0; k < 2; k++) {
        const format *f = k == 0 ? &f16 : &bf16;
        cr_assert(cg_module_to(module, f->dtype) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_read_f64(weight, rounded, 40) == CG_OK && cg_tensor_dtype(weight) == CG_F32);
        predict(module, device, half);
        for (int i = 0; i < 40; i++) {
            cr_expect_eq(rounded[i], nearest(f, weights[i]));
        }
        for (int i = 0; i < 6; i++) {
            cr_expect(half[i] != whole[i] && fabs(half[i] - whole[i]) < (k == 0 ? 2e-3 : 2e-2), "%g, in f32 %g",
                      half[i], whole[i]);
        }
        cr_assert(cg_module_to(module, CG_F32) == CG_OK, "%s", cg_error_message());
        cr_assert(k == 1 || cg_tensor_write_f64(weight, weights, 40) == CG_OK);
    }
    cr_assert(cg_module_to(module, CG_F16) == CG_OK && cg_module_to(module, CG_BF16) == CG_OK);
    cr_assert(cg_tensor_read_f64(weight, rounded, 40) == CG_OK);
    cr_expect_eq(rounded[7], nearest(&bf16, weights[7]), "what was rounded stays so");
    cr_expect_eq(cg_module_to(module, CG_I32), CG_ERR_DTYPE);
    cg_module_destroy(module);
    cg_device_close(device);
}

Test(half, what_is_kept_so_is_written_and_copied_as_f32) {
    cg_device *device = test_device_open();
    const float values[] = {1, -2.5f, 65504, 1e-7f, 3.14159f, INFINITY};
    float back[6];
    for (int k = 0; k < 2; k++) {
        const format *f = k == 0 ? &f16 : &bf16;
        cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), NULL), *copy;
        cr_assert(cg_tensor_keep_as(x, f->dtype) == CG_OK && cg_tensor_dtype(x) == CG_F32, "%s", cg_error_message());
        cr_assert(cg_tensor_write_f32(x, values, 6) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_to(x, device, &copy) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_read_f32(copy, back, 6) == CG_OK, "%s", cg_error_message());
        for (int i = 0; i < 6; i++) {
            cr_expect_eq(back[i], nearest(f, (double)values[i]), "%g as %s", (double)values[i],
                         cg_dtype_name(f->dtype));
        }
        cr_assert(cg_tensor_write_f32(copy, values, 6) == CG_OK && cg_tensor_read_f32(copy, back, 6) == CG_OK);
        cr_expect_arr_eq(back, values, sizeof back, "a copy is not kept so");
        cg_tensor_destroy(x);
        cg_tensor_destroy(copy);
    }
    cg_device_close(device);
}

Test(half, scaled_gradients_come_back_or_are_left_out) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *w = test_tensor(device, CG_SHAPE(3), (double[]){1, 2, 3});
    cg_tensor *scale = test_tensor(device, CG_SCALAR, (double[]){1024});
    cg_tensor_set_requires_grad(w, true);
    bool finite = false;
    cr_assert(cg_backward(tape, cg_mul(tape, cg_sum(tape, cg_square(tape, w), CG_ALL_AXES, false), scale)) == CG_OK);
    cr_assert(cg_unscale_grad(tape, &w, 1, scale, &finite) == CG_OK && finite, "%s", cg_error_message());
    cr_assert(cg_tape_run(tape) == CG_OK);
    test_expect("gradient", cg_tensor_grad(w), CG_SHAPE(3), (double[]){2, 4, 6}, 0, 1e-6);
    cg_tensor_zero_grad(w);
    cg_tape_set_precision(tape, CG_F16);
    cr_assert(cg_tensor_fill(scale, 70000) == CG_OK);
    cr_assert(cg_backward(tape, cg_mul(tape, cg_sum(tape, cg_square(tape, w), CG_ALL_AXES, false), scale)) == CG_OK);
    cr_assert(cg_unscale_grad(tape, &w, 1, scale, &finite) == CG_OK && !finite, "70000 is infinite in f16");
    cr_assert(cg_tape_run(tape) == CG_OK);
    cg_tape_destroy(tape);
    cg_tensor_destroy(w);
    cg_tensor_destroy(scale);
    cg_device_close(device);
}

Test(half, other_precisions_are_refused) {
    cg_device *device = test_device_open();
    cr_expect_eq(cg_device_set_precision(device, CG_F64), CG_ERR_DTYPE);
    cr_expect(strstr(cg_error_message(), "f64") != NULL && strstr(cg_error_message(), "bf16") != NULL, "%s",
              cg_error_message());
    cr_expect_eq(cg_device_set_precision(device, (cg_dtype)77), CG_ERR_DTYPE);
    cr_expect_eq(cg_device_precision(device), CG_F32);
    cg_device_close(device);
    cg_device *oracle = test_oracle_open();
    cr_expect_eq(cg_device_set_precision(oracle, CG_F16), CG_ERR_DTYPE);
    cr_expect(strstr(cg_error_message(), "computes in f64") != NULL, "%s", cg_error_message());
    cg_device_close(oracle);
}
