/* where: choosing between two tensors, what is not chosen, gradients, broadcasting. */
#include "devices.h"
#include "gradcheck.h"
#include "tensors.h"

#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static cg_tensor *build_where(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_where(tape, cg_gt(tape, inputs[0], inputs[1]), inputs[2], inputs[3]);
}

/* The condition is a comparison of constants. */
static gradcheck_case where_case(cg_shape condition, cg_shape a, cg_shape b) {
    return (gradcheck_case){.name = "where",
                            .build = build_where,
                            .tolerance = GRADCHECK_REDUCTION,
                            .flags = GRADCHECK_TRUSTED,
                            .n_inputs = 4,
                            .inputs = {{.shape = condition, .constant = true},
                                       {.shape = condition, .constant = true},
                                       {.shape = a},
                                       {.shape = b}}};
}

Test(where, of_every_broadcast) {
    const gradcheck_case cases[] = {
        where_case(CG_SHAPE(65), CG_SHAPE(65), CG_SHAPE(65)),
        where_case(CG_SHAPE(5, 1), CG_SHAPE(5, 7), CG_SHAPE(7)),
        where_case(CG_SHAPE(5, 7), CG_SCALAR, CG_SHAPE(5, 1)),
    };
    gradcheck_all(cases, sizeof cases / sizeof *cases);
}

Test(where, takes_nothing_of_what_is_not_chosen) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *condition = test_tensor(device, CG_SHAPE(4), (double[]){1, 0, -2, NAN});
    cg_tensor *a = test_tensor(device, CG_SHAPE(4), (double[]){1, NAN, 3, INFINITY});
    cg_tensor *b = test_tensor(device, CG_SHAPE(4), (double[]){NAN, 20, INFINITY, NAN});
    cg_tensor *ones = test_tensor(device, CG_SHAPE(4), (double[]){1, 1, 1, 1});
    cg_tensor_set_requires_grad(a, true);
    cg_tensor *chosen = cg_where(tape, condition, a, b);
    test_expect("where", chosen, CG_SHAPE(4), (double[]){1, 20, 3, INFINITY}, 0, 0);
    cr_assert(cg_backward_from(tape, chosen, ones) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tape_flush(tape) == CG_OK, "%s", cg_error_message());
    test_expect("gradient", cg_tensor_grad(a), CG_SHAPE(4), (double[]){1, 0, 1, 1}, 0, 0);
    cg_tape_destroy(tape);
    cg_tensor_destroy(condition);
    cg_tensor_destroy(a);
    cg_tensor_destroy(b);
    cg_tensor_destroy(ones);
    cg_device_close(device);
}

static void expect_error(cg_tape *tape, cg_tensor *failed, const char *part) {
    (void)failed;
    cr_expect(cg_tape_status(tape) != CG_OK && strstr(cg_tape_error(tape), part) != NULL, "'%s' lacks '%s'",
              cg_tape_error(tape), part);
    cg_tape_reset(tape);
}

/* The arguments of the ops that check more than shapes. */
Test(where, activations_refuse_numbers_that_make_no_sense) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), NULL), *two = test_tensor(device, CG_SHAPE(2), NULL);
    expect_error(tape, cg_clamp(tape, x, NAN, 1), "clamp: the bounds are nan and 1");
    expect_error(tape, cg_softplus(tape, x, 0, 20), "softplus: beta is 0");
    expect_error(tape, cg_celu(tape, x, 0), "celu: alpha is 0");
    expect_error(tape, cg_hardtanh(tape, x, 2, 1), "hardtanh: min 2 must not be larger than max 1");
    expect_error(tape, cg_softshrink(tape, x, -1), "softshrink: lambda is -1");
    expect_error(tape, cg_hardshrink(tape, x, NAN), "hardshrink: lambda is nan");
    expect_error(tape, cg_prelu(tape, x, two), "prelu: input is [2, 3], weight [2]");
    expect_error(tape, cg_glu(tape, x, 1), "glu: axis 1 of shape [2, 3] is odd");
    expect_error(tape, cg_glu(tape, x, 2), "glu: axis 2");
    expect_error(tape, cg_where(tape, x, two, x), "mask: ");
    expect_error(tape, cg_unary(tape, CG_OP_ADD, x, NULL), "unary: 1000 is not the number");
    expect_error(tape, cg_binary(tape, CG_OP_COPY, x, x), "binary: 1 is not the number");
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(two);
    cg_device_close(device);
}
