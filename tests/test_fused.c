/* Ops that are several in one, against these: the proofs, the same bits, and where Sequential uses them. */
#include "device_and_tape.h"
#include "devices.h"
#include "failures.h"
#include "gradcheck.h"
#include "tensors.h"

#include <clgrad/nn.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* As modules, whose weights are no extreme numbers: at a sum that cancels, float and double may fall on two sides of
 * the kink. */
Test(fused, have_the_gradients_of_their_definition) {
    const gradcheck_case cases[] = {
        {.name = "linear_relu", .module = "Linear(7, 5), ReLU()", .inputs = {{.shape = CG_SHAPE(2, 7)}}},
        {.name = "linear_relu without bias",
         .module = "Linear(3, 4, bias=False), ReLU()",
         .inputs = {{.shape = CG_SHAPE(2, 1, 3)}}},
        {.name = "linear_relu of odd sizes", .module = "Linear(33, 3), ReLU()", .inputs = {{.shape = CG_SHAPE(2, 33)}}},
        {.name = "batch_norm_relu", .module = "BatchNorm1d(2), ReLU()", .inputs = {{.shape = CG_SHAPE(3, 2, 5)}}},
        {.name = "batch_norm_relu in eval",
         .module = "BatchNorm1d(2), ReLU()",
         .eval = true,
         .inputs = {{.shape = CG_SHAPE(3, 2, 5)}}},
    };
    gradcheck_case all[COUNT(cases)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        all[i] = cases[i];
        all[i].tolerance = GRADCHECK_NETWORK;
        all[i].n_inputs = 1;
    }
    gradcheck_all(all, COUNT(all));
}

TestSuite(fusion, .init = open_device, .fini = close_device);

static void watch(void *context, const cg_module *module, const char *path, const cg_tensor *output, double flops) {
    (void)module, (void)path, (void)output, (void)flops;
    ++*(int *)context;
}

/* Output, gradient of the input, and the number of ops of a forward. */
typedef struct outcome {
    double *output, *gradient;
    size_t ops;
} outcome;

static outcome run(cg_module *module, cg_tensor *x) {
    outcome result = {NULL, NULL, 0};
    cg_tensor *y = cg_module_forward(module, tape, x);
    cr_assert(cg_tape_status(tape) == CG_OK, "%s", cg_tape_error(tape));
    result.ops = cg_tape_length(tape);
    result.output = test_doubles(cg_tensor_numel(y));
    result.gradient = test_doubles(cg_tensor_numel(x));
    cr_assert(cg_backward(tape, cg_sum(tape, cg_square(tape, y), CG_ALL_AXES, false)) == CG_OK, "%s",
              cg_error_message());
    cr_assert(cg_tensor_read_f64(y, result.output, cg_tensor_numel(y)) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_read_f64(cg_tensor_grad(x), result.gradient, cg_tensor_numel(x)) == CG_OK);
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    cg_tensor_zero_grad(x);
    return result;
}

/* Who observes sees each layer's own output: then nothing is one with what follows it. All bits are the same. */
Test(fusion, sequential_makes_a_layer_and_its_relu_one_op_of_the_same_bits) {
    static const struct {
        const char *text;
        int64_t shape[4];
        int rank, joined, modules;
    } cases[] = {
        {"Linear(9, 7), ReLU(), Linear(7, 3), ReLU(), ReLU()", {5, 9}, 2, 2, 6},
        {"Linear(70, 65, bias=False), ReLU(inplace=True)", {33, 70}, 2, 1, 3},
        {"Conv2d(2, 3, 3, bias=False), BatchNorm2d(3), ReLU()", {2, 2, 5, 6}, 4, 1, 4},
        {"BatchNorm1d(5, affine=False), ReLU(), Sequential(Linear(5, 2), GELU()), ReLU()", {7, 5}, 2, 1, 7},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_module *module = NULL;
        cg_shape shape = {.rank = cases[i].rank};
        memcpy(shape.dim, cases[i].shape, sizeof cases[i].shape);
        cr_assert(cg_module_parse(device, cases[i].text, &module) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_module_init(module, 3) == CG_OK, "%s", cg_error_message());
        cg_tensor *x = test_normal(device, shape, 5);
        cg_tensor_set_requires_grad(x, true);
        outcome fused = run(module, x);
        int calls = 0;
        cg_module_observe(module, watch, &calls);
        outcome apart = run(module, x);
        cr_expect(calls == cases[i].modules, "%s: %d modules were seen", cases[i].text, calls);
        cr_expect(fused.ops + (size_t)cases[i].joined == apart.ops, "%s: %zu ops, apart %zu", cases[i].text, fused.ops,
                  apart.ops);
        cg_tensor *again = cg_module_forward(module, tape, x);
        size_t bytes = (size_t)cg_tensor_numel(again) * sizeof(double);
        cg_tape_reset(tape);
        cr_expect(memcmp(fused.output, apart.output, bytes) == 0, "%s: other outputs", cases[i].text);
        bytes = (size_t)cg_tensor_numel(x) * sizeof(double);
        cr_expect(memcmp(fused.gradient, apart.gradient, bytes) == 0, "%s: other gradients", cases[i].text);
        free(fused.output), free(fused.gradient), free(apart.output), free(apart.gradient);
        cg_tensor_destroy(x);
        cg_module_destroy(module);
    }
}

Test(fusion, not_a_number_stays_and_wrong_arguments_are_named) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 2), (double[]){1, NAN});
    cg_tensor *weight = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, 1, -1, 0});
    cg_tensor *bias = test_tensor(device, CG_SHAPE(3), NULL), *row = test_tensor(device, CG_SHAPE(2), NULL);
    double values[2];
    cr_assert(cg_tensor_read_f64(cg_linear_relu(tape, x, weight, NULL), values, 2) == CG_OK, "%s", cg_error_message());
    cr_assert(values[0] != values[0], "%g", values[0]);
    cg_tape_reset(tape);
    FAILS(cg_linear_relu(tape, x, bias, NULL), CG_ERR_SHAPE, "linear_relu: input is [1, 2]", "weight is [3]");
    FAILS(cg_linear_relu(tape, x, weight, bias), CG_ERR_SHAPE, "linear_relu", "bias is [3]");
    FAILS(cg_batch_norm_relu(tape, row, &(cg_batch_norm_options){.training = true}), CG_ERR_SHAPE, "batch_norm_relu",
          "[2]");
    FAILS(cg_batch_norm_relu(tape, x, &(cg_batch_norm_options){.training = true}), CG_ERR_SHAPE, "batch_norm_relu",
          "more than one value");
    cg_tensor_destroy(x);
    cg_tensor_destroy(weight);
    cg_tensor_destroy(bias);
    cg_tensor_destroy(row);
}
