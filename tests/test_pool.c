/* Pooling, padding, resizing: known values, NaN and ties, and wrong arguments. */
#include "devices.h"
#include "failures.h"
#include "tensors.h"

#include <clgrad/nn.h>
#include <clgrad/spatial.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static cg_device *device;
static cg_tape *tape;
static cg_tensor *image, *row; /* [1, 1, 3, 4]: 1 .. 12; [1, 4]: 1 .. 4 */

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    cr_assert(tape != NULL, "%s", cg_error_message());
    image = test_tensor(device, CG_SHAPE(1, 1, 3, 4), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    row = test_tensor(device, CG_SHAPE(1, 4), (double[]){1, 2, 3, 4});
    cg_tensor_set_requires_grad(image, true);
    cg_tensor_set_requires_grad(row, true);
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_tensor_destroy(image);
    cg_tensor_destroy(row);
    cg_device_close(device);
}

TestSuite(pool, .init = open_device, .fini = close_device);

/* The gradient of the sum of y with respect to x, a row. */
static void expect_gradient(cg_tensor *x, cg_tensor *y, const double *expected) {
    cr_assert(cg_backward(tape, cg_sum(tape, y, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    test_expect("gradient", cg_tensor_grad(x), *cg_tensor_shape(x), expected, 1e-6, 1e-6);
    cg_tensor_zero_grad(x);
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
}

Test(pool, the_last_window_of_ceil_mode_hangs_over_but_never_begins_behind_the_input) {
    cg_pool_options options = {.kernel = {2, 3}, .ceil_mode = true};
    test_expect("max_pool", cg_max_pool(tape, image, 2, &options), CG_SHAPE(1, 1, 2, 2), (double[]){7, 8, 11, 12}, 0,
                0);
    options = (cg_pool_options){.kernel = {2}, .stride = {3}, .padding = {1}, .ceil_mode = true};
    test_expect("max_pool", cg_max_pool(tape, row, 1, &options), CG_SHAPE(1, 2), (double[]){1, 4}, 0, 0);
}

Test(pool, a_mean_counts_the_padding_or_not) {
    cg_pool_options options = {.kernel = {3}, .stride = {2}, .padding = {1}, .ceil_mode = true};
    test_expect("avg_pool", cg_avg_pool(tape, row, 1, &options), CG_SHAPE(1, 3), (double[]){1, 3, 2}, 1e-6, 0);
    options.exclude_pad = true;
    test_expect("avg_pool", cg_avg_pool(tape, row, 1, &options), CG_SHAPE(1, 3), (double[]){1.5, 3, 4}, 1e-6, 0);
    options.divisor = 2;
    test_expect("avg_pool", cg_avg_pool(tape, row, 1, &options), CG_SHAPE(1, 3), (double[]){1.5, 4.5, 2}, 1e-6, 0);
}

Test(pool, adaptive_windows_overlap_where_sizes_do_not_divide) {
    test_expect("adaptive", cg_adaptive_avg_pool(tape, row, 1, (int64_t[]){3}), CG_SHAPE(1, 3),
                (double[]){1.5, 2.5, 3.5}, 1e-6, 0);
    test_expect("adaptive", cg_adaptive_max_pool(tape, image, 2, (int64_t[]){0, 1}), CG_SHAPE(1, 1, 3, 1),
                (double[]){4, 8, 12}, 0, 0);
}

Test(pool, nan_is_the_largest_and_of_equals_the_first_gets_the_gradient) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 6), (double[]){1, NAN, INFINITY, 2, 2, -INFINITY});
    cg_tensor_set_requires_grad(x, true);
    cg_pool_options options = {.kernel = {3}};
    cg_tensor *y = cg_max_pool(tape, x, 1, &options);
    test_expect("max_pool", y, CG_SHAPE(1, 2), (double[]){NAN, 2}, 0, 0);
    expect_gradient(x, y, (double[]){0, 1, 0, 1, 0, 0});
    cg_tensor_destroy(x);
}

Test(pool, a_window_of_minus_infinity_still_has_a_place) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 2), (double[]){-INFINITY, -INFINITY});
    cg_tensor_set_requires_grad(x, true);
    cg_tensor *y = cg_max_pool(tape, x, 1, &(cg_pool_options){.kernel = {2}});
    expect_gradient(x, y, (double[]){1, 0});
    cg_tensor_destroy(x);
}

Test(pool, padding_mirrors_repeats_and_goes_round) {
    const int64_t two_and_one[] = {2, 1};
    test_expect("constant", cg_pad(tape, row, two_and_one, 1, CG_PAD_CONSTANT, -0.5), CG_SHAPE(1, 7),
                (double[]){-0.5, -0.5, 1, 2, 3, 4, -0.5}, 0, 0);
    test_expect("reflect", cg_pad(tape, row, two_and_one, 1, CG_PAD_REFLECT, 0), CG_SHAPE(1, 7),
                (double[]){3, 2, 1, 2, 3, 4, 3}, 0, 0);
    test_expect("replicate", cg_pad(tape, row, two_and_one, 1, CG_PAD_REPLICATE, 0), CG_SHAPE(1, 7),
                (double[]){1, 1, 1, 2, 3, 4, 4}, 0, 0);
    test_expect("circular", cg_pad(tape, row, two_and_one, 1, CG_PAD_CIRCULAR, 0), CG_SHAPE(1, 7),
                (double[]){3, 4, 1, 2, 3, 4, 1}, 0, 0);
    test_expect("cut", cg_pad(tape, row, (int64_t[]){-1, 1}, 1, CG_PAD_CONSTANT, 0), CG_SHAPE(1, 4),
                (double[]){2, 3, 4, 0}, 0, 0);
}

Test(pool, the_gradient_of_padding_adds_what_was_repeated) {
    const int64_t three_and_two[] = {3, 2};
    expect_gradient(row, cg_pad(tape, row, three_and_two, 1, CG_PAD_REFLECT, 0), (double[]){1, 3, 3, 2});
    expect_gradient(row, cg_pad(tape, row, three_and_two, 1, CG_PAD_REPLICATE, 0), (double[]){4, 1, 1, 3});
    expect_gradient(row, cg_pad(tape, row, (int64_t[]){4, 4}, 1, CG_PAD_CIRCULAR, 0), (double[]){3, 3, 3, 3});
    expect_gradient(row, cg_pad(tape, row, (int64_t[]){-1, 2}, 1, CG_PAD_CONSTANT, 0), (double[]){0, 1, 1, 1});
}

Test(pool, resizing_copies_or_draws_lines) {
    cg_interpolate_options nearest = {.size = {6}}, linear = {.size = {7}, .mode = CG_LINEAR};
    test_expect("nearest", cg_interpolate(tape, cg_reshape(tape, row, &CG_SHAPE(1, 1, 4)), 1, &nearest),
                CG_SHAPE(1, 1, 6), (double[]){1, 1, 2, 3, 3, 4}, 0, 0);
    linear.align_corners = true;
    test_expect("linear", cg_interpolate(tape, row, 1, &linear), CG_SHAPE(1, 7), (double[]){1, 1.5, 2, 2.5, 3, 3.5, 4},
                1e-6, 0);
    linear = (cg_interpolate_options){.factor = {2}, .mode = CG_LINEAR};
    test_expect("linear", cg_interpolate(tape, row, 1, &linear), CG_SHAPE(1, 8),
                (double[]){1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4}, 1e-6, 0);
}

Test(pool, an_empty_batch_stays_empty) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(0, 2, 4, 4), NULL);
    cg_pool_options two = {.kernel = {2, 2}};
    cg_interpolate_options doubled = {.factor = {2, 2}};
    test_expect("max_pool", cg_max_pool(tape, x, 2, &two), CG_SHAPE(0, 2, 2, 2), NULL, 0, 0);
    test_expect("avg_pool", cg_avg_pool(tape, x, 2, &two), CG_SHAPE(0, 2, 2, 2), NULL, 0, 0);
    test_expect("pad", cg_pad(tape, x, (int64_t[]){1, 1, 0, 0}, 2, CG_PAD_REFLECT, 0), CG_SHAPE(0, 2, 4, 6), NULL, 0,
                0);
    test_expect("interpolate", cg_interpolate(tape, x, 2, &doubled), CG_SHAPE(0, 2, 8, 8), NULL, 0, 0);
    cg_tensor_destroy(x);
}

/* Wrong arguments. */

Test(pool, wrong_windows_are_named) {
    FAILS(cg_max_pool(tape, image, 2, &(cg_pool_options){.kernel = {2}}), CG_ERR_ARGUMENT, "kernel size 0", "axis 1");
    FAILS(cg_max_pool(tape, image, 2, &(cg_pool_options){.kernel = {4, 1}}), CG_ERR_SHAPE, "covers 4", "3");
    FAILS(cg_max_pool(tape, image, 2, &(cg_pool_options){.kernel = {2, 2}, .padding = {0, 2}}), CG_ERR_ARGUMENT,
          "padding 2", "half");
    FAILS(cg_max_pool(tape, image, 2, &(cg_pool_options){.kernel = {2, 2}, .dilation = {3, 1}}), CG_ERR_SHAPE,
          "covers 4", "3");
    FAILS(cg_avg_pool(tape, image, 2, &(cg_pool_options){.kernel = {2, 2}, .stride = {-1, 1}}), CG_ERR_ARGUMENT,
          "stride -1", "axis 0");
    FAILS(cg_avg_pool(tape, image, 2, &(cg_pool_options){.kernel = {2, 2}, .divisor = -3}), CG_ERR_ARGUMENT, "-3",
          "divisor");
    FAILS(cg_avg_pool(tape, image, 3, &(cg_pool_options){.kernel = {2, 2}}), CG_ERR_ARGUMENT, "3 axes", "avg_pool");
    FAILS(cg_avg_pool(tape, row, 2, &(cg_pool_options){.kernel = {2, 2}}), CG_ERR_SHAPE, "[1, 4]", "avg_pool");
    FAILS(cg_adaptive_avg_pool(tape, image, 2, (int64_t[]){1, -1}), CG_ERR_ARGUMENT, "-1", "axis 1");
    FAILS(cg_adaptive_max_pool(tape, image, 2, (int64_t[]){16777217, 1}), CG_ERR_ARGUMENT, "16777217", "axis 0");
}

Test(pool, wrong_padding_is_named) {
    FAILS(cg_pad(tape, row, (int64_t[]){4, 0}, 1, CG_PAD_REFLECT, 0), CG_ERR_ARGUMENT, "4 elements", "reflect");
    FAILS(cg_pad(tape, row, (int64_t[]){0, 5}, 1, CG_PAD_CIRCULAR, 0), CG_ERR_ARGUMENT, "5 elements", "circular");
    FAILS(cg_pad(tape, row, (int64_t[]){-1, 0}, 1, CG_PAD_REPLICATE, 0), CG_ERR_ARGUMENT, "-1 elements", "replicate");
    FAILS(cg_pad(tape, row, (int64_t[]){-2, -2}, 1, CG_PAD_CONSTANT, 0), CG_ERR_SHAPE, "leave none", "4");
    FAILS(cg_pad(tape, row, (int64_t[]){1, 1, 1, 1, 1, 1}, 3, CG_PAD_CONSTANT, 0), CG_ERR_SHAPE, "[1, 4]", "3 axes");
    FAILS(cg_pad(tape, row, (int64_t[]){1, 1, 1, 1}, 2, CG_PAD_REFLECT, 0), CG_ERR_SHAPE, "[1, 4]", "pad");
    FAILS(cg_pad(tape, row, (int64_t[]){1, 1}, 0, CG_PAD_CONSTANT, 0), CG_ERR_ARGUMENT, "0 axes", "pad");
}

Test(pool, wrong_sizes_are_named) {
    FAILS(cg_interpolate(tape, row, 1, &(cg_interpolate_options){.factor = {0.1}}), CG_ERR_ARGUMENT, "0.1", "axis 0");
    FAILS(cg_interpolate(tape, row, 1, &(cg_interpolate_options){.factor = {NAN}}), CG_ERR_ARGUMENT, "nan", "axis 0");
    FAILS(cg_interpolate(tape, row, 1, &(cg_interpolate_options){.factor = {1e300}}), CG_ERR_ARGUMENT, "1e+300", "4");
    FAILS(cg_interpolate(tape, row, 1, &(cg_interpolate_options){.size = {-2}}), CG_ERR_ARGUMENT, "-2", "axis 0");
    FAILS(cg_interpolate(tape, image, 3, &(cg_interpolate_options){.size = {2, 2}}), CG_ERR_ARGUMENT, "3 axes", "");
    FAILS(cg_interpolate(tape, row, 2, &(cg_interpolate_options){.size = {2, 2}}), CG_ERR_SHAPE, "[1, 4]", "");
}

Test(pool, wrong_shuffles_are_named) {
    FAILS(cg_pixel_shuffle(tape, row, 2), CG_ERR_SHAPE, "[1, 4]", "pixel_shuffle");
    FAILS(cg_pixel_shuffle(tape, image, 2), CG_ERR_SHAPE, "[1, 1, 3, 4]", "multiple of 4");
    FAILS(cg_pixel_shuffle(tape, image, INT64_MAX), CG_ERR_ARGUMENT, "9223372036854775807", "factor");
    FAILS(cg_pixel_unshuffle(tape, image, 2), CG_ERR_SHAPE, "[1, 1, 3, 4]", "multiples of 2");
    FAILS(cg_channel_shuffle(tape, image, 0), CG_ERR_ARGUMENT, "0 groups", "[1, 1, 3, 4]");
    FAILS(cg_channel_shuffle(tape, row, 1), CG_ERR_SHAPE, "[1, 4]", "channel_shuffle");
}

static void expect_no_module(const char *text, const char *word) {
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, text, &module) == CG_ERR_ARGUMENT, "%s was taken", text);
    cr_assert(strstr(cg_error_message(), word) != NULL, "%s: '%s' does not say %s", text, cg_error_message(), word);
}

Test(pool, layers_say_what_does_not_fit) {
    expect_no_module("MaxPool2d()", "kernel_size");
    expect_no_module("MaxPool2d(3, padding=2)", "half");
    expect_no_module("MaxPool2d(3, padding=-1)", "-1");
    expect_no_module("MaxPool2d((2, 2, 2))", "(2, 2, 2)");
    expect_no_module("AvgPool2d(2, divisor_override=0)", "divisor_override");
    expect_no_module("AdaptiveAvgPool1d(None)", "None");
    expect_no_module("ZeroPad2d((1, 2))", "(1, 2)");
    expect_no_module("Upsample()", "one of them");
    expect_no_module("Upsample(3, scale_factor=2)", "both given");
    expect_no_module("Upsample((2, 3), mode='linear')", "1 axis");
    expect_no_module("Upsample(2, mode='bicubic')", "'bilinear'");
    expect_no_module("Upsample(2, align_corners=True)", "nearest");
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, "Upsample(2, mode='bilinear')", &module) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_resolve(module, &CG_SHAPE(1, 2, 3), NULL) == CG_ERR_SHAPE);
    cr_assert(strstr(cg_error_message(), "[1, 2, 3]") != NULL, "%s", cg_error_message());
    cg_module_destroy(module);
}
