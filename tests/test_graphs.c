/* Gradients of graphs: shared tensors, views, inputs without gradient, several backwards. On the device under test. */
#include "devices.h"
#include "gradcheck.h"
#include "probe.h"
#include "tensors.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cg_tensor *build_times_itself(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_mul(tape, inputs[0], inputs[0]);
}

static cg_tensor *build_plus_itself(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_add(tape, inputs[0], inputs[0]);
}

static cg_tensor *build_times_its_transpose(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_matmul(tape, inputs[0], inputs[0], &(cg_matmul_options){.transpose_b = true});
}

/* relu(x) y + mean over rows of x^2 + x: four paths from x. */
static cg_tensor *build_diamond(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    cg_tensor *x = inputs[0];
    cg_tensor *product = cg_mul(tape, cg_relu(tape, x), inputs[1]);
    cg_tensor *mean = cg_mean(tape, cg_square(tape, x), 2, true);
    return cg_add(tape, cg_add(tape, product, mean), x);
}

Test(graphs, a_tensor_used_more_than_once) {
    const gradcheck_input inputs[] = {{.shape = CG_SHAPE(5, 7)}, {.shape = CG_SHAPE(7)}};
    gradcheck_case cases[] = {
        {.name = "x x", .build = build_times_itself},
        {.name = "x + x", .build = build_plus_itself},
        {.name = "x x^T", .build = build_times_its_transpose},
        {.name = "diamond", .build = build_diamond, .n_kinks = 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cases[i].tolerance = GRADCHECK_REDUCTION;
        cases[i].n_inputs = i == 3 ? 2 : 1;
        cases[i].inputs[0] = inputs[0];
        cases[i].inputs[1] = inputs[1];
    }
    gradcheck_all(cases, COUNT(cases));
}

/* [2, 3, 4] seen as [6, 4], as [8, 3] and as [2, 12], with ops between that would notice a mix-up. */
static cg_tensor *build_views(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    cg_tensor *rows = cg_reshape(tape, inputs[0], &CG_SHAPE(6, -1));
    cg_tensor *scaled = cg_mul(tape, rows, inputs[1]);
    cg_tensor *product = cg_matmul(tape, cg_reshape(tape, scaled, &CG_SHAPE(8, 3)), inputs[2], NULL);
    cg_tensor *folded = cg_reshape(tape, product, &CG_SHAPE(2, 4, 3));
    cg_tensor *flat = cg_flatten(tape, folded, 1, -1);
    return cg_add(tape, flat, cg_flatten(tape, cg_square(tape, inputs[0]), 1, 2));
}

static cg_tensor *build_only_views(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_flatten(tape, cg_reshape(tape, inputs[0], &CG_SHAPE(4, 3, 2)), 0, 1);
}

/* The view is used beside what it shows. */
static cg_tensor *build_view_and_base(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    cg_tensor *flat = cg_reshape(tape, inputs[0], &CG_SHAPE(-1));
    cg_tensor *sum = cg_sum(tape, cg_square(tape, flat), CG_ALL_AXES, false);
    return cg_mul(tape, inputs[0], sum);
}

Test(graphs, flow_through_views) {
    const gradcheck_input x = {.shape = CG_SHAPE(2, 3, 4)};
    const gradcheck_case cases[] = {
        {.name = "views",
         .build = build_views,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 3,
         .inputs = {x, {.shape = CG_SHAPE(4)}, {.shape = CG_SHAPE(3, 3)}}},
        {.name = "only views", .build = build_only_views, .tolerance = GRADCHECK_EXACT, .n_inputs = 1, .inputs = {x}},
        {.name = "view and base",
         .build = build_view_and_base,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 1,
         .inputs = {x}},
    };
    gradcheck_all(cases, COUNT(cases));
}

static cg_tensor *build_mul(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_mul(tape, inputs[0], inputs[1]);
}

static cg_tensor *build_matmul(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_matmul(tape, inputs[0], inputs[1], NULL);
}

static cg_tensor *build_linear(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_linear(tape, inputs[0], inputs[1], inputs[2]);
}

Test(graphs, stop_at_inputs_that_want_no_gradient) {
    const gradcheck_case cases[] = {
        {.name = "mul",
         .build = build_mul,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(3, 4), .constant = true}, {.shape = CG_SHAPE(4)}}},
        {.name = "matmul, a",
         .build = build_matmul,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(7, 5), .constant = true}, {.shape = CG_SHAPE(5, 3)}}},
        {.name = "matmul, b",
         .build = build_matmul,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(7, 5)}, {.shape = CG_SHAPE(5, 3), .constant = true}}},
        {.name = "linear, x",
         .build = build_linear,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 3,
         .inputs = {{.shape = CG_SHAPE(4, 7), .constant = true}, {.shape = CG_SHAPE(5, 7)}, {.shape = CG_SHAPE(5)}}},
    };
    gradcheck_all(cases, COUNT(cases));
}

Test(graphs, add_up_over_two_backwards_until_they_are_zeroed) {
    cg_device *device = test_device_open();
    const gradcheck_case test = {.name = "matmul",
                                 .build = build_matmul,
                                 .n_inputs = 2,
                                 .inputs = {{.shape = CG_SHAPE(7, 5)}, {.shape = CG_SHAPE(5, 3)}}};
    test_probe probe;
    cr_assert(probe_open(&probe, &test, device) == CG_OK, "%s", cg_error_message());
    double once[35], twice[35];
    cr_assert(probe_backward(&probe) == CG_OK, "%s", cg_error_message());
    for (int i = 0; i < 35; i++) {
        once[i] = probe.leaves[0].gradient[i];
        twice[i] = 2 * once[i];
    }
    cr_assert(probe_backward(&probe) == CG_OK, "%s", cg_error_message());
    test_expect("after two", cg_tensor_grad(probe.leaves[0].tensor), CG_SHAPE(7, 5), twice, 1e-6, 1e-6);
    probe_zero_grad(&probe);
    cr_assert(probe_backward(&probe) == CG_OK, "%s", cg_error_message());
    test_expect("after zero_grad", cg_tensor_grad(probe.leaves[0].tensor), CG_SHAPE(7, 5), once, 0, 0);
    probe_close(&probe);
    cg_device_close(device);
}

Test(graphs, of_two_losses_on_one_tape_add_up) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(3), (double[]){1, -2, 3});
    cg_tensor_set_requires_grad(x, true);
    cr_assert(cg_backward(tape, cg_sum(tape, cg_square(tape, x), CG_ALL_AXES, false)) == CG_OK);
    cr_assert(cg_backward(tape, cg_mean(tape, cg_scale(tape, x, 6), CG_ALL_AXES, false)) == CG_OK);
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("2 x + 2", cg_tensor_grad(x), CG_SHAPE(3), (double[]){4, -2, 8}, 0, 0);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_device_close(device);
}

Test(graphs, of_the_symbolic_rule) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(4), (double[]){-1, 0, 0.5, 7});
    cg_tensor *nine = test_tensor(device, CG_SHAPE(1), (double[]){9});
    cg_tensor_set_requires_grad(x, true);
    cg_tensor *y = cg_add(tape, cg_scale(tape, cg_square(tape, x), 3), nine);
    test_expect("3 x^2 + 9", y, CG_SHAPE(4), (double[]){12, 9, 9.75, 156}, 0, 0);
    cr_assert(cg_backward(tape, cg_sum(tape, y, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("6 x", cg_tensor_grad(x), CG_SHAPE(4), (double[]){-6, 0, 3, 42}, 0, 0);
    cr_assert(cg_tensor_grad(nine) == NULL);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(nine);
    cg_device_close(device);
}
