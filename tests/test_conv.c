/* Convolution: known values, gradients at sizes where kernels cut their work, an empty batch, wrong arguments. */
#include "device_and_tape.h"
#include "devices.h"
#include "failures.h"
#include "gradcheck.h"
#include "tensors.h"

#include <clgrad/nn.h>
#include <clgrad/spatial.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

TestSuite(conv, .init = open_device, .fini = close_device);

Test(conv, a_kernel_slides_over_the_input_and_is_not_flipped) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 1, 2, 3), (double[]){1, 2, 3, 4, 5, 6});
    cg_tensor *weight = test_tensor(device, CG_SHAPE(1, 1, 2, 2), (double[]){1, 10, 100, 1000});
    cg_tensor *bias = test_tensor(device, CG_SHAPE(1), (double[]){0.5});
    test_expect("conv", cg_conv(tape, x, weight, bias, NULL), CG_SHAPE(1, 1, 1, 2), (double[]){5421.5, 6532.5}, 0, 0);
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
    cg_tensor_destroy(bias);
}

Test(conv, a_transposed_one_spreads_each_element) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 2), (double[]){1, 2});
    cg_tensor *weight = test_tensor(device, CG_SHAPE(1, 1, 3), (double[]){1, 10, 100});
    cg_conv_options options = {.stride = {2}, .extra = {1}};
    test_expect("conv_transpose", cg_conv_transpose(tape, x, weight, NULL, &options), CG_SHAPE(1, 6),
                (double[]){1, 10, 102, 20, 200, 0}, 0, 0);
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
}

/* Padding meets NaN and infinity nowhere: what is outside the input is not multiplied by a weight. */
Test(conv, infinite_weights_do_not_meet_the_padding) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 1, 3), (double[]){1, 2, 3});
    cg_tensor *weight = test_tensor(device, CG_SHAPE(1, 1, 1), (double[]){INFINITY});
    cg_tensor *y = cg_conv(tape, x, weight, NULL, NULL);
    test_expect("conv", y, CG_SHAPE(1, 1, 3), (double[]){INFINITY, INFINITY, INFINITY}, 0, 0);
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
}

static void check_sum_of_channels(int64_t length) {
    enum { CHANNELS = 5, FILTERS = 2, LONGEST = 300 };
    double x_values[CHANNELS * LONGEST], y_values[FILTERS * LONGEST];
    for (int64_t i = 0; i < CHANNELS * length; i++) {
        x_values[i] = (double)(i % length);
    }
    for (int64_t i = 0; i < FILTERS * length; i++) {
        y_values[i] = CHANNELS * (double)(i % length);
    }
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, CHANNELS, length), x_values);
    cg_tensor *weight = test_tensor(device, CG_SHAPE(FILTERS, CHANNELS, 1), (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
    test_expect("conv", cg_conv(tape, x, weight, NULL, NULL), CG_SHAPE(1, FILTERS, length), y_values, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
}

/* The cpu keeps what a library needs for 256 sizes; others take their places, and those come back. */
Test(conv, takes_any_number_of_sizes) {
    const int64_t longest = strcmp(test_device_string(), "cpu") == 0 ? 300 : 3;
    for (int64_t length = 1; length <= longest; length++) {
        check_sum_of_channels(length);
    }
    check_sum_of_channels(1);
}

/* Gradients of the ops themselves. */

static cg_tensor *build_conv(cg_tape *its, cg_tensor **inputs, const void *context) {
    return cg_conv(its, inputs[0], inputs[1], inputs[2], context);
}

static cg_tensor *build_transpose(cg_tape *its, cg_tensor **inputs, const void *context) {
    return cg_conv_transpose(its, inputs[0], inputs[1], inputs[2], context);
}

typedef struct sizes {
    cg_shape x, weight;
    int64_t bias;
    cg_conv_options options;
} sizes;

static void check(const char *name, cg_tensor *(*build)(cg_tape *, cg_tensor **, const void *), const sizes *all,
                  size_t count) {
    gradcheck_case cases[16];
    for (size_t i = 0; i < count; i++) {
        cases[i] = (gradcheck_case){
            .name = name,
            .build = build,
            .context = &all[i].options,
            .tolerance = GRADCHECK_REDUCTION,
            .seed = i,
            .n_inputs = 3,
            .inputs = {{.shape = all[i].x}, {.shape = all[i].weight, .scale = 0.2}, {.shape = CG_SHAPE(all[i].bias)}}};
    }
    gradcheck_all(cases, count);
}

Test(conv_gradients, of_sizes_where_kernels_cut_their_work) {
    const sizes all[] = {
        {CG_SHAPE(1, 2, 3, 3), CG_SHAPE(3, 2, 2, 2), 3, {.groups = 1}},
        {CG_SHAPE(1, 8, 31, 33), CG_SHAPE(2, 8, 3, 3), 2, {.padding = {1, 1}}}, /* several blocks of an image */
        {CG_SHAPE(5, 3, 7, 6), CG_SHAPE(65, 3, 3, 2), 65, {.stride = {2, 1}}},  /* over 64 filters */
        {CG_SHAPE(9, 2, 15, 13), CG_SHAPE(3, 2, 3, 3), 3, {.groups = 1}},  /* long sums for the weight's gradient */
        {CG_SHAPE(1, 300, 400), CG_SHAPE(2, 300, 9), 2, {.padding = {4}}}, /* more columns than are held at once */
        {CG_SHAPE(19, 4, 9, 9), CG_SHAPE(8, 1, 3, 3), 8, {.groups = 4, .padding = {1, 1}}},
        {CG_SHAPE(19, 6, 9, 9), CG_SHAPE(9, 2, 3, 3), 9, {.groups = 3, .dilation = {2, 2}, .padding = {3, 3}}},
        {CG_SHAPE(1, 257, 3), CG_SHAPE(2, 257, 1), 2, {.groups = 1}},       /* one term behind a list of 256 */
        {CG_SHAPE(2, 3, 60), CG_SHAPE(3, 3, 40), 3, {.padding = {20}}},     /* more taps than bits */
        {CG_SHAPE(7, 66, 3, 3), CG_SHAPE(34, 66, 1, 1), 34, {.groups = 1}}, /* a product of the images themselves */
        {CG_SHAPE(2, 3, 9, 8, 7), CG_SHAPE(5, 3, 3, 3, 3), 5, {.stride = {2, 1, 3}, .padding = {1, 2, 0}}},
    };
    check("conv", build_conv, all, COUNT(all));
}

Test(conv_gradients, of_transposed_ones) {
    const sizes all[] = {
        {CG_SHAPE(1, 2, 3, 3), CG_SHAPE(2, 3, 2, 2), 3, {.stride = {2, 2}}},
        {CG_SHAPE(5, 7, 9, 11), CG_SHAPE(7, 5, 3, 4), 5, {.stride = {2, 3}, .padding = {1, 2}, .extra = {1, 2}}},
        {CG_SHAPE(2, 6, 17), CG_SHAPE(6, 2, 5), 4, {.groups = 2, .dilation = {3}, .extra = {2}}},
        {CG_SHAPE(2, 3, 3, 4, 3), CG_SHAPE(3, 4, 2, 3, 2), 4, {.stride = {2, 1, 2}, .extra = {1, 0, 1}}},
    };
    check("conv_transpose", build_transpose, all, COUNT(all));
}

Test(conv, an_empty_batch_has_an_empty_output_and_gradients_of_0) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(0, 2, 5, 5), NULL);
    cg_tensor *weight = test_normal(device, CG_SHAPE(3, 2, 3, 3), 1), *bias = test_normal(device, CG_SHAPE(3), 2);
    cg_tensor_set_requires_grad(weight, true);
    cg_tensor_set_requires_grad(bias, true);
    cg_tensor *y = cg_conv(tape, x, weight, bias, NULL), *dy = test_tensor(device, CG_SHAPE(0, 3, 3, 3), NULL);
    cr_assert(cg_backward_from(tape, y, dy) == CG_OK, "%s", cg_error_message());
    test_expect("output", y, CG_SHAPE(0, 3, 3, 3), NULL, 0, 0);
    test_expect("gradient of weight", cg_tensor_grad(weight), CG_SHAPE(3, 2, 3, 3), (double[54]){0}, 0, 0);
    test_expect("gradient of bias", cg_tensor_grad(bias), CG_SHAPE(3), (double[3]){0}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(dy);
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
    cg_tensor_destroy(bias);
}

/* Wrong arguments. */

/* A convolution of tensors of these shapes; bias 0: none. The tensors live until the tape forgets them. */
static cg_tensor *made[3];

static cg_tensor *conv_of(cg_shape x, cg_shape weight, int64_t bias, cg_conv_options options, bool transposed) {
    for (size_t i = 0; i < COUNT(made); i++) {
        cg_tensor_destroy(made[i]);
        made[i] = NULL;
    }
    made[0] = test_tensor(device, x, NULL);
    made[1] = test_tensor(device, weight, NULL);
    made[2] = bias > 0 ? test_tensor(device, CG_SHAPE(bias), NULL) : NULL;
    return (transposed ? cg_conv_transpose : cg_conv)(tape, made[0], made[1], made[2], &options);
}

static void close_with_tensors(void) {
    cg_tape_destroy(tape);
    for (size_t i = 0; i < COUNT(made); i++) {
        cg_tensor_destroy(made[i]);
    }
    cg_device_close(device);
}

TestSuite(conv_errors, .init = open_device, .fini = close_with_tensors);

static const cg_conv_options plain;

Test(conv_errors, ranks_and_channels_are_named) {
    FAILS(conv_of(CG_SHAPE(2, 2, 3, 3, 3, 3), CG_SHAPE(4, 2, 3, 3), 0, plain, false), CG_ERR_SHAPE,
          "[2, 2, 3, 3, 3, 3]", "2 spatial axes");
    FAILS(conv_of(CG_SHAPE(3, 3), CG_SHAPE(4, 3, 3, 3), 0, plain, false), CG_ERR_SHAPE, "[3, 3]", "conv");
    FAILS(conv_of(CG_SHAPE(2, 2, 3, 3), CG_SHAPE(4, 2), 0, plain, false), CG_ERR_SHAPE, "[4, 2]", "kernel");
    FAILS(conv_of(CG_SHAPE(2, 2, 3, 3), CG_SHAPE(4, 2, 0, 3), 0, plain, false), CG_ERR_SHAPE, "[4, 2, 0, 3]", "");
    FAILS(conv_of(CG_SHAPE(2, 3, 5, 5), CG_SHAPE(4, 2, 3, 3), 0, plain, false), CG_ERR_SHAPE, "[2, 3, 5, 5]",
          "2 input channels");
    FAILS(conv_of(CG_SHAPE(2, 3, 5, 5), CG_SHAPE(4, 2, 3, 3), 0, plain, true), CG_ERR_SHAPE, "[2, 3, 5, 5]",
          "4 input channels");
    FAILS(conv_of(CG_SHAPE(2, 2, 5, 5), CG_SHAPE(4, 2, 3, 3), 3, plain, false), CG_ERR_SHAPE, "[3]", "[4]");
    FAILS(conv_of(CG_SHAPE(2, 2, 5, 0), CG_SHAPE(4, 2, 3, 3), 0, plain, false), CG_ERR_SHAPE, "[2, 2, 5, 0]", "empty");
}

Test(conv_errors, groups_must_divide_the_channels) {
    FAILS(conv_of(CG_SHAPE(1, 4, 5, 5), CG_SHAPE(4, 1, 3, 3), 0, (cg_conv_options){.groups = 3}, false),
          CG_ERR_ARGUMENT, "3 groups", "[4, 1, 3, 3]");
    FAILS(conv_of(CG_SHAPE(1, 5, 5, 5), CG_SHAPE(4, 2, 3, 3), 0, (cg_conv_options){.groups = 2}, false), CG_ERR_SHAPE,
          "2 groups", "[1, 5, 5, 5]");
    FAILS(conv_of(CG_SHAPE(1, 4, 5, 5), CG_SHAPE(4, 4, 3, 3), 0, (cg_conv_options){.groups = -1}, false),
          CG_ERR_ARGUMENT, "-1 groups", "");
}

Test(conv_errors, numbers_out_of_range_are_named) {
    cg_shape x = CG_SHAPE(1, 2, 5, 5), w = CG_SHAPE(2, 2, 3, 3);
    FAILS(conv_of(x, w, 0, (cg_conv_options){.stride = {1, -2}}, false), CG_ERR_ARGUMENT, "stride -2", "axis 1");
    FAILS(conv_of(x, w, 0, (cg_conv_options){.padding = {-1}}, false), CG_ERR_ARGUMENT, "padding -1", "axis 0");
    FAILS(conv_of(x, w, 0, (cg_conv_options){.dilation = {INT64_MAX}}, false), CG_ERR_ARGUMENT, "dilation", "16777216");
    FAILS(conv_of(x, w, 0, (cg_conv_options){.extra = {3}}, true), CG_ERR_ARGUMENT, "output padding 3", "stride 1");
}

Test(conv_errors, a_result_without_elements_or_with_too_many_is_refused) {
    FAILS(conv_of(CG_SHAPE(1, 2, 5, 5), CG_SHAPE(2, 2, 6, 3), 0, plain, false), CG_ERR_SHAPE, "covers 6", "5");
    FAILS(conv_of(CG_SHAPE(1, 2, 5, 5), CG_SHAPE(2, 2, 3, 3), 0, (cg_conv_options){.dilation = {1, 3}}, false),
          CG_ERR_SHAPE, "covers 7", "5");
    FAILS(conv_of(CG_SHAPE(1, 2, 1, 5), CG_SHAPE(2, 2, 2, 3), 0, (cg_conv_options){.padding = {1, 0}}, true),
          CG_ERR_SHAPE, "output of 0", "padding 1");
    cg_conv_options vast = {.padding = {16777216, 16777216, 16777216}};
    FAILS(conv_of(CG_SHAPE(1, 1, 2, 2, 2), CG_SHAPE(1, 1, 1, 1, 1), 0, vast, false), CG_ERR_SHAPE, "33554434",
          "more elements");
}

Test(conv_errors, an_absent_or_integer_tensor_is_refused) {
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(1, 1, 1), (int64_t[]){0});
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 1, 1), NULL);
    FAILS(cg_conv(tape, NULL, x, NULL, NULL), CG_ERR_ARGUMENT, "conv", "NULL");
    FAILS(cg_conv(tape, x, NULL, NULL, NULL), CG_ERR_ARGUMENT, "conv", "NULL");
    FAILS(cg_conv(tape, classes, classes, NULL, NULL), CG_ERR_DTYPE, "i64", "conv");
    FAILS(cg_conv(tape, x, classes, NULL, NULL), CG_ERR_DTYPE, "i64", "weight");
    FAILS(cg_conv_transpose(tape, classes, x, NULL, NULL), CG_ERR_DTYPE, "i64", "conv_transpose");
    cg_tensor_destroy(classes);
    cg_tensor_destroy(x);
}

static void expect_no_module(const char *text, const char *word) {
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, text, &module) == CG_ERR_ARGUMENT, "%s was taken", text);
    cr_assert(strstr(cg_error_message(), word) != NULL, "%s: '%s' does not say %s", text, cg_error_message(), word);
}

Test(conv_errors, layers_say_what_does_not_fit) {
    expect_no_module("Conv2d(3, 4)", "kernel_size");
    expect_no_module("Conv2d(3, 4, 0)", "positive");
    expect_no_module("Conv2d(3, 4, (3, 3, 3))", "(3, 3, 3)");
    expect_no_module("Conv2d(3, 4, 3, groups=2)", "2 groups");
    expect_no_module("Conv2d(3, 4, 3, padding='sane')", "'same'");
    expect_no_module("Conv2d(3, 4, 3, stride=2, padding='same')", "stride 2");
    expect_no_module("Conv2d(3, 4, 3, padding=-1)", "-1");
    expect_no_module("ConvTranspose2d(3, 4, 3, padding='same')", "'same'");
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, "LazyConv2d(4, 3, groups=2)", &module) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_resolve(module, &CG_SHAPE(1, 3, 5, 5), NULL) == CG_ERR_ARGUMENT);
    cr_assert(cg_module_resolve(module, &CG_SHAPE(5, 5), NULL) == CG_ERR_SHAPE);
    cr_assert(strstr(cg_error_message(), "[5, 5]") != NULL, "%s", cg_error_message());
    cg_shape output;
    cr_assert(cg_module_resolve(module, &CG_SHAPE(1, 4, 5, 5), &output) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_shape_equal(&output, &CG_SHAPE(1, 4, 3, 3)));
    char text[64];
    cg_module_print(module, text, sizeof text);
    cr_assert_str_eq(text, "Conv2d(4, 4, 3, groups=2)");
    cg_module_destroy(module);
}
