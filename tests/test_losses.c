/* Losses with weights, ignored classes, smoothing and probabilities: PyTorch's values and gradients, edges, bad input.
 * Numbers are torch.nn.functional's in float64. */
#include "devices.h"
#include "failures.h"
#include "tensors.h"

#include <clgrad/losses.h>
#include <clgrad/nn.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE 2e-6
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cg_device *device;
static cg_tape *tape;
static cg_tensor *x, *target, *weight; /* [3, 3] that wants a gradient, [3] of i64, [3] */

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    cr_assert(tape != NULL, "%s", cg_error_message());
    x = test_tensor(device, CG_SHAPE(3, 3), (double[]){0, 1, 2, 2, 1, 0, 1, 3, -1});
    target = test_classes(device, CG_I64, CG_SHAPE(3), (int64_t[]){2, 1, 0});
    weight = test_tensor(device, CG_SHAPE(3), (double[]){0.5, 2, 0.25});
    cg_tensor_set_requires_grad(x, true);
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(target);
    cg_tensor_destroy(weight);
    cg_device_close(device);
}

TestSuite(losses, .init = open_device, .fini = close_device);

/* The loss and the gradient of `leaf`; ends the step. */
static void expect_step(const char *name, cg_tensor *loss, double value, cg_tensor *leaf, const double *grad) {
    cr_assert(cg_backward(tape, loss) == CG_OK, "%s: %s", name, cg_error_message());
    test_expect(name, loss, CG_SCALAR, &value, CLOSE, 0);
    test_expect(name, cg_tensor_grad(leaf), *cg_tensor_shape(leaf), grad, CLOSE, 1e-6);
    cr_assert(cg_tape_run(tape) == CG_OK);
    cg_tensor_zero_grad(leaf);
}

static cg_tensor *cross_entropy(cg_tensor *input, cg_tensor *classes, cg_cross_entropy_options options,
                                cg_reduction reduction) {
    return cg_cross_entropy_loss(tape, input, classes, &options, reduction);
}

Test(losses, a_mean_is_weighted_and_leaves_out_what_is_ignored) {
    expect_step("weight", cross_entropy(x, target, (cg_cross_entropy_options){weight, -100, 0}, CG_REDUCE_MEAN),
                1.450392448818111, x,
                (double[]){0.008184597560943675, 0.022248042823163422, -0.03043264038410711, 0.4838116041998704,
                           -0.5492883846874199, 0.0654767804875494, -0.1604890131225094, 0.15760242403587904,
                           0.00288658908663032});
    expect_step("ignored", cross_entropy(x, target, (cg_cross_entropy_options){NULL, 1, 0}, CG_REDUCE_MEAN),
                1.27526879647214, x,
                (double[]){0.04501528658519022, 0.12236423552739882, -0.1673795221125891, 0, 0, 0, -0.4413447860869008,
                           0.43340666609866735, 0.00793811998823338});
    test_expect("none", cross_entropy(x, target, (cg_cross_entropy_options){weight, 2, 0}, CG_REDUCE_NONE), CG_SHAPE(3),
                (double[]){0, 2.8152119288887607, 1.0714658142499498}, CLOSE, 0);
}

Test(losses, smoothing_spreads_the_weighted_target) {
    expect_step("smoothed", cross_entropy(x, target, (cg_cross_entropy_options){weight, 0, 0.3}, CG_REDUCE_MEAN),
                1.2516278553085813, x,
                (double[]){-0.004216107588146132, -0.039943194677929346, 0.04415930226607547, 0.47301271152125623,
                           -0.528924360436984, 0.05591164891572766, 0, 0, 0});
}

/* The mean of nothing is NaN, its gradient 0. */
Test(losses, of_which_all_is_ignored) {
    cg_tensor *none = test_classes(device, CG_I32, CG_SHAPE(3), (int64_t[]){-100, -100, -100});
    static const double zeros[9] = {0};
    expect_step("mean", cg_cross_entropy(tape, x, none, CG_REDUCE_MEAN), NAN, x, zeros);
    expect_step("sum", cg_cross_entropy(tape, x, none, CG_REDUCE_SUM), 0, x, zeros);
    expect_step("nll", cg_nll_loss(tape, x, none, weight, -100, CG_REDUCE_MEAN), NAN, x, zeros);
    expect_step("smoothed", cross_entropy(x, none, (cg_cross_entropy_options){NULL, -100, 0.5}, CG_REDUCE_MEAN), NAN, x,
                zeros);
    cg_tensor_destroy(none);
}

Test(losses, of_which_all_but_one_is_ignored) {
    cg_tensor *one = test_classes(device, CG_I64, CG_SHAPE(3), (int64_t[]){-100, 1, -100});
    static const double grad[9] = {0, 0, 0, 0.6652409557748219, -0.7552715289452021, 0.0900305731703805};
    expect_step("mean", cg_cross_entropy(tape, x, one, CG_REDUCE_MEAN), 1.4076059644443804, x, grad);
    expect_step("weighted", cross_entropy(x, one, (cg_cross_entropy_options){weight, -100, 0}, CG_REDUCE_MEAN),
                1.4076059644443804, x, grad);
    cg_tensor_destroy(one);
}

Test(losses, of_which_all_weights_are_0) {
    cg_tensor *zero = test_tensor(device, CG_SHAPE(3), NULL);
    test_expect("mean", cross_entropy(x, target, (cg_cross_entropy_options){zero, -100, 0}, CG_REDUCE_MEAN), CG_SCALAR,
                (double[]){NAN}, 0, 0);
    test_expect("sum", cg_nll_loss(tape, x, target, zero, -100, CG_REDUCE_SUM), CG_SCALAR, (double[]){0}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(zero);
}

Test(losses, an_ignored_row_may_hold_anything) {
    cg_tensor *log_p = test_tensor(device, CG_SHAPE(2, 2), (double[]){-INFINITY, NAN, -1, -2});
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){-100, 1});
    cg_tensor_set_requires_grad(log_p, true);
    expect_step("nll", cg_nll_loss(tape, log_p, classes, NULL, -100, CG_REDUCE_MEAN), 2, log_p,
                (double[]){0, 0, 0, -1});
    cg_tensor_destroy(log_p);
    cg_tensor_destroy(classes);
}

Test(losses, of_an_empty_batch) {
    cg_tensor *empty = test_tensor(device, CG_SHAPE(0, 3), NULL), *rows = test_tensor(device, CG_SHAPE(0, 3), NULL);
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(0), NULL);
    static const double nan = NAN, zero = 0;
    test_expect("mean", cg_cross_entropy(tape, empty, classes, CG_REDUCE_MEAN), CG_SCALAR, &nan, 0, 0);
    test_expect("sum", cg_cross_entropy(tape, empty, classes, CG_REDUCE_SUM), CG_SCALAR, &zero, 0, 0);
    test_expect("nll", cg_nll_loss(tape, empty, classes, NULL, 0, CG_REDUCE_MEAN), CG_SCALAR, &nan, 0, 0);
    test_expect("probabilities", cg_cross_entropy(tape, empty, rows, CG_REDUCE_MEAN), CG_SCALAR, &nan, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(empty);
    cg_tensor_destroy(rows);
    cg_tensor_destroy(classes);
}

/* More rows than one worker divides, in a mean whose value is known: every third row is ignored. */
Test(losses, of_very_many_rows) {
    int64_t n = cg_device_describe(device)->simulator ? 1000 : 65537 * 3;
    int64_t *labels = calloc((size_t)n, sizeof *labels);
    cr_assert(labels != NULL);
    for (int64_t i = 0; i < n; i++) {
        labels[i] = i % 3;
    }
    cg_tensor *logits = test_tensor(device, CG_SHAPE(n, 2), NULL);
    cg_tensor *classes = test_classes(device, CG_I32, CG_SHAPE(n), labels);
    test_expect("mean", cross_entropy(logits, classes, (cg_cross_entropy_options){NULL, 2, 0}, CG_REDUCE_MEAN),
                CG_SCALAR, (double[]){log(2)}, 1e-5, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(logits);
    cg_tensor_destroy(classes);
    free(labels);
}

Test(losses, binary_cross_entropy_of_certain_probabilities_is_finite) {
    cg_tensor *p = test_tensor(device, CG_SHAPE(4), (double[]){0, 1, 0.5, 0.25});
    cg_tensor *y = test_tensor(device, CG_SHAPE(4), (double[]){1, 0, 0, 1});
    cg_tensor_set_requires_grad(p, true);
    expect_step("bce", cg_bce_loss(tape, p, y, NULL, CG_REDUCE_SUM), 202.07944154167984, p,
                (double[]){-1e12, 1e12, 2, -4});
    cg_tensor *wide = test_tensor(device, CG_SHAPE(2), (double[]){-0.5, 1.5}),
              *ones = test_tensor(device, CG_SHAPE(2), NULL);
    test_expect("beyond", cg_bce_loss(tape, wide, ones, NULL, CG_REDUCE_NONE), CG_SHAPE(2), (double[]){NAN, NAN}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(p);
    cg_tensor_destroy(y);
    cg_tensor_destroy(wide);
    cg_tensor_destroy(ones);
}

Test(losses, of_classes_name_what_does_not_fit) {
    cg_tensor *two = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1});
    cg_tensor *column = test_tensor(device, CG_SHAPE(3, 1), NULL), *scalar = test_tensor(device, CG_SCALAR, NULL);
    FAILS(cg_nll_loss(tape, x, two, NULL, -100, CG_REDUCE_MEAN), CG_ERR_SHAPE, "nll_loss: the input is [3, 3]", "[2]");
    FAILS(cg_nll_loss(tape, x, weight, NULL, -100, CG_REDUCE_MEAN), CG_ERR_DTYPE, "classes in i64 or i32", "nll_loss");
    FAILS(cg_nll_loss(tape, scalar, target, NULL, -100, CG_REDUCE_MEAN), CG_ERR_SHAPE, "[]", "there are no classes");
    FAILS(cg_nll_loss(tape, target, target, NULL, -100, CG_REDUCE_MEAN), CG_ERR_DTYPE, "nll_loss", "i64");
    FAILS(cg_nll_loss(tape, x, target, column, -100, CG_REDUCE_MEAN), CG_ERR_SHAPE, "the weight is [3, 1]",
          "each of 3 classes");
    FAILS(cg_nll_loss(tape, x, target, target, -100, CG_REDUCE_MEAN), CG_ERR_DTYPE, "the weight is i64", "nll_loss");
    FAILS(cg_nll_loss(tape, x, target, NULL, -100, (cg_reduction)7), CG_ERR_ARGUMENT, "7", "reduction");
    FAILS(cross_entropy(x, x, (cg_cross_entropy_options){NULL, 0, 0}, CG_REDUCE_MEAN), CG_ERR_ARGUMENT,
          "ignore_index 0 goes with classes", "cross_entropy");
    FAILS(cross_entropy(x, target, (cg_cross_entropy_options){NULL, -100, 1.5}, CG_REDUCE_MEAN), CG_ERR_ARGUMENT,
          "label_smoothing is 1.5", "0 to 1");
    FAILS(cross_entropy(x, target, (cg_cross_entropy_options){NULL, -100, NAN}, CG_REDUCE_MEAN), CG_ERR_ARGUMENT,
          "label_smoothing is", "0 to 1");
    cg_tensor_destroy(two);
    cg_tensor_destroy(column);
    cg_tensor_destroy(scalar);
}

Test(losses, of_two_classes_name_a_weight_that_does_not_broadcast) {
    cg_tensor *two = test_tensor(device, CG_SHAPE(2), NULL), *cube = test_tensor(device, CG_SHAPE(2, 3, 3), NULL);
    FAILS(cg_bce_loss(tape, x, x, two, CG_REDUCE_MEAN), CG_ERR_SHAPE, "bce_loss: the weight is [2]", "[3, 3]");
    FAILS(cg_bce_loss(tape, x, weight, NULL, CG_REDUCE_MEAN), CG_ERR_SHAPE, "bce_loss", "[3]");
    FAILS(cg_bce_with_logits_loss(tape, x, x, cube, NULL, CG_REDUCE_MEAN), CG_ERR_SHAPE, "the weight is [2, 3, 3]",
          "[3, 3]");
    FAILS(cg_bce_with_logits_loss(tape, x, x, NULL, two, CG_REDUCE_MEAN), CG_ERR_SHAPE, "the pos_weight is [2]",
          "[3, 3]");
    FAILS(cg_multilabel_soft_margin_loss(tape, x, x, two, CG_REDUCE_MEAN), CG_ERR_SHAPE, "the weight is [2]", "[3, 3]");
    cg_tensor_destroy(two);
    cg_tensor_destroy(cube);
}

static void expect_class_error(const char *name, cg_tensor *loss) {
    double value = 0;
    cr_expect(cg_tensor_read_f64(loss, &value, 1) == CG_ERR_INDEX, "%s", name);
    cr_expect(strstr(cg_error_message(), "class 3 of row 1 is not in 0..2") != NULL, "%s: %s", name,
              cg_error_message());
    cg_tape_reset(tape);
}

/* Found at the read, with its place; what is ignored may be any number. */
Test(losses, a_class_out_of_range_is_named) {
    cg_tensor *bad = test_classes(device, CG_I64, CG_SHAPE(3), (int64_t[]){0, 3, 7});
    const cg_cross_entropy_options plain = {NULL, 7, 0}, weighted = {weight, 7, 0}, smoothed = {NULL, 7, 0.1};
    expect_class_error("plain", cross_entropy(x, bad, plain, CG_REDUCE_MEAN));
    expect_class_error("sum", cross_entropy(x, bad, plain, CG_REDUCE_SUM));
    expect_class_error("weighted", cross_entropy(x, bad, weighted, CG_REDUCE_MEAN));
    expect_class_error("smoothed", cross_entropy(x, bad, smoothed, CG_REDUCE_MEAN));
    expect_class_error("nll", cg_nll_loss(tape, x, bad, NULL, 7, CG_REDUCE_MEAN));
    cg_tensor_destroy(bad);
}

static const struct {
    const char *text, *printed, *buffer;
    cg_shape shape;
    double values[4];
} tensors[] = {
    {"NLLLoss(torch.tensor([0.5, 1, True]))",
     "NLLLoss(weight=torch.tensor([0.5, 1, True]))",
     "weight",
     {{3}, 1},
     {0.5, 1, 1}},
    {"BCELoss(weight=tensor(data=((1, 2), (3, -4))))",
     "BCELoss(weight=torch.tensor(data=((1, 2), (3, -4))))",
     "weight",
     {{2, 2}, 2},
     {1, 2, 3, -4}},
    {"BCELoss(torch.tensor(2.5))", "BCELoss(weight=torch.tensor(2.5))", "weight", {{0}, 0}, {2.5}},
    {"CrossEntropyLoss(torch.ones(2))", "CrossEntropyLoss(weight=torch.ones(2))", "weight", {{2}, 1}, {1, 1}},
    {"BCEWithLogitsLoss(pos_weight=torch.zeros((2, 1)))",
     "BCEWithLogitsLoss(pos_weight=torch.zeros((2, 1)))",
     "pos_weight",
     {{2, 1}, 2},
     {0, 0}},
    {"BCEWithLogitsLoss(pos_weight=ones(1, 2))",
     "BCEWithLogitsLoss(pos_weight=torch.ones(1, 2))",
     "pos_weight",
     {{1, 2}, 2},
     {1, 1}},
    {"MultiLabelSoftMarginLoss(torch.full((3,), fill_value=0.25))",
     "MultiLabelSoftMarginLoss(weight=torch.full((3,), fill_value=0.25))",
     "weight",
     {{3}, 1},
     {0.25, 0.25, 0.25}},
    {"NLLLoss(torch.linspace(0.5, 2, 4))",
     "NLLLoss(weight=torch.linspace(0.5, 2, 4))",
     "weight",
     {{4}, 1},
     {0.5, 1, 1.5, 2}},
    {"NLLLoss(torch.linspace(3, 4, steps=1))",
     "NLLLoss(weight=torch.linspace(3, 4, steps=1))",
     "weight",
     {{1}, 1},
     {3}},
};

Test(losses, weights_are_written_as_pytorch_writes_them) {
    for (size_t i = 0; i < COUNT(tensors); i++) {
        char printed[128];
        cg_module *loss = NULL;
        cr_assert(cg_module_parse(device, tensors[i].text, &loss) == CG_OK, "%s", cg_error_message());
        cg_module_print(loss, printed, sizeof printed);
        cr_expect_str_eq(printed, tensors[i].printed);
        cr_assert_eq(cg_module_buffer_count(loss), 1);
        cg_tensor *buffer = cg_module_find(loss, tensors[i].buffer);
        cr_assert_not_null(buffer, "%s", tensors[i].text);
        test_expect(tensors[i].text, buffer, tensors[i].shape, tensors[i].values, 0, 0);
        cg_module_destroy(loss);
    }
}

Test(losses, text_that_is_wrong_is_named) {
    static const char *const cases[][2] = {
        {"NLLLoss(3)", "NLLLoss: weight is 3, expected a tensor such as torch.ones(3) or None"},
        {"NLLLoss([1, 2])", "weight is [1, 2], expected a tensor"},
        {"NLLLoss(ReLU())", "weight is ReLU(), expected a tensor"},
        {"NLLLoss(torch.tensor([1, 'a']))", "NLLLoss: weight: torch.tensor: expected numbers in lists"},
        {"NLLLoss(torch.tensor([[1, 2], [3]]))", "lists that make a tensor of shape [2, 2]"},
        {"NLLLoss(torch.tensor([[1], 2]))", "lists that make a tensor of shape [2, 1]"},
        {"NLLLoss(torch.tensor([1, [2]]))", "lists that make a tensor of shape [2]"},
        {"NLLLoss(torch.tensor([[[[[[[[[1]]]]]]]]]))", "lists that make a tensor of shape [1, 1, 1, 1, 1, 1, 1, 1]"},
        {"NLLLoss(torch.tensor())", "torch.tensor: data is missing"},
        {"NLLLoss(torch.tensor(1, 2))", "torch.tensor is given 2 arguments"},
        {"NLLLoss(torch.tensor('a'))", "torch.tensor: data is 'a', expected a number, True or False or a list"},
        {"NLLLoss(torch.ones(-1))", "the shape is [-1], expected sizes of at least 0"},
        {"NLLLoss(torch.ones(3000000000, 3000000000))", "at most 1048576 elements"},
        {"NLLLoss(torch.ones(1, 1, 1, 1, 1, 1, 1, 1, 1))", "9 axes, expected at most 8"},
        {"NLLLoss(torch.ones(2.5))", "size is 2.5, expected an integer"},
        {"NLLLoss(torch.ones((2, 3), 4))", "expected sizes one after the other, or in one tuple"},
        {"NLLLoss(torch.full((3,)))", "fill_value is missing"},
        {"NLLLoss(torch.full(3, 1))", "size is 3, expected"},
        {"NLLLoss(torch.linspace(0, 1, -2))", "the shape is [-2]"},
        {"NLLLoss(torch.rand(3))", "weight is torch.rand(3), expected a tensor such as torch.ones(3)"},
        {"NLLLoss(ignore_index=1.5)", "ignore_index is 1.5, expected an integer"},
        {"NLLLoss(reduction='max')", "reduction is 'max', expected 'mean', 'sum' or 'none'"},
        {"NLLLoss(size_average=True)", "size_average=True is not there yet"},
        {"CrossEntropyLoss(label_smoothing=1.5)", "CrossEntropyLoss: label_smoothing is 1.5, expected 0 to 1"},
        {"CrossEntropyLoss(label_smoothing=nan)", "label_smoothing is nan, expected 0 to 1"},
        {"BCELoss(pos_weight=torch.ones(1))", "BCELoss has no argument pos_weight"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_module *loss = NULL;
        cr_expect(cg_module_parse(device, cases[i][0], &loss) != CG_OK, "%s", cases[i][0]);
        cr_expect(strstr(cg_error_message(), cases[i][1]) != NULL, "%s: %s", cases[i][0], cg_error_message());
        cr_expect_null(loss);
        cg_module_destroy(loss);
    }
}
