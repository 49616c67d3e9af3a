/* Every differentiable op through the three proofs, on the device under test. */
#include "devices.h"
#include "gradcheck.h"

#include <criterion/criterion.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CHECK(cases) gradcheck_all(cases, COUNT(cases))

/* Binary ops: every kind of broadcasting. */

typedef struct binary {
    cg_tensor *(*op)(cg_tape *tape, cg_tensor *a, cg_tensor *b);
} binary;

static cg_tensor *build_binary(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return ((const binary *)context)->op(tape, inputs[0], inputs[1]);
}

static void check_binary(const char *name, binary op) {
    const cg_shape shapes[][2] = {
        {CG_SHAPE(1), CG_SHAPE(1)},
        {CG_SHAPE(255), CG_SHAPE(255)},
        {CG_SHAPE(257), CG_SHAPE(257)},
        {CG_SHAPE(3, 5, 7), CG_SHAPE(3, 5, 7)},
        {CG_SHAPE(4, 6), CG_SCALAR},
        {CG_SCALAR, CG_SHAPE(4, 6)},
        {CG_SHAPE(4, 6), CG_SHAPE(1)},
        {CG_SHAPE(4, 6), CG_SHAPE(6)},       /* a row */
        {CG_SHAPE(6), CG_SHAPE(4, 6)},       /* of the left side */
        {CG_SHAPE(4, 6), CG_SHAPE(4, 1)},    /* a column */
        {CG_SHAPE(4, 1), CG_SHAPE(1, 6)},    /* both sides */
        {CG_SHAPE(5, 1, 3), CG_SHAPE(2, 1)}, /* both sides, different ranks */
        {CG_SHAPE(2, 3, 4), CG_SHAPE(3, 1)},
        {CG_SHAPE(2, 3, 4), CG_SHAPE(2, 1, 4)},
        {CG_SHAPE(2, 1, 3, 1, 2), CG_SHAPE(4, 1, 5, 1)},
        {CG_SHAPE(63, 65, 33), CG_SHAPE(65, 1)},
    };
    gradcheck_case cases[COUNT(shapes)];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        cases[i] = (gradcheck_case){.name = name,
                                    .build = build_binary,
                                    .context = &op,
                                    .tolerance = GRADCHECK_REDUCTION,
                                    .seed = i,
                                    .n_inputs = 2,
                                    .inputs = {{.shape = shapes[i][0]}, {.shape = shapes[i][1]}}};
        if (cg_shape_equal(&shapes[i][0], &shapes[i][1])) {
            cases[i].tolerance = GRADCHECK_ELEMENTWISE;
        }
    }
    CHECK(cases);
}

Test(gradients, add_of_every_broadcast) {
    check_binary("add", (binary){cg_add});
}

Test(gradients, sub_of_every_broadcast) {
    check_binary("sub", (binary){cg_sub});
}

Test(gradients, mul_of_every_broadcast) {
    check_binary("mul", (binary){cg_mul});
}

/* Unary elementwise ops. */

static cg_tensor *build_scale(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_scale(tape, inputs[0], *(const double *)context);
}

static cg_tensor *build_square(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_square(tape, inputs[0]);
}

static cg_tensor *build_relu(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_relu(tape, inputs[0]);
}

typedef struct general_relu {
    double leak, sub, maxv;
} general_relu;

static cg_tensor *build_general_relu(cg_tape *tape, cg_tensor **inputs, const void *context) {
    const general_relu *p = context;
    return cg_general_relu(tape, inputs[0], p->leak, p->sub, p->maxv);
}

/* The case in every shape that an elementwise kernel may stumble over. */
static void check_unary(gradcheck_case test) {
    const cg_shape shapes[] = {CG_SHAPE(7),   CG_SHAPE(63),     CG_SHAPE(64),         CG_SHAPE(65),
                               CG_SHAPE(255), CG_SHAPE(5, 257), CG_SHAPE(3, 1, 5, 2), CG_SHAPE(63, 65, 33)};
    gradcheck_case cases[COUNT(shapes)];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        cases[i] = test;
        cases[i].seed = i;
        cases[i].n_inputs = 1;
        cases[i].inputs[0].shape = shapes[i];
    }
    CHECK(cases);
}

Test(gradients, scale) {
    const double factor = -0.3;
    check_unary((gradcheck_case){
        .name = "scale", .build = build_scale, .context = &factor, .tolerance = GRADCHECK_ELEMENTWISE});
}

Test(gradients, square) {
    check_unary((gradcheck_case){.name = "square", .build = build_square, .tolerance = GRADCHECK_ELEMENTWISE});
}

Test(gradients, relu) {
    check_unary((gradcheck_case){.name = "relu", .build = build_relu, .tolerance = GRADCHECK_EXACT, .n_kinks = 1});
}

Test(gradients, general_relu_with_leak_shift_and_clamp) {
    const general_relu variants[] = {{0, 0, INFINITY}, {0.1, 0.4, INFINITY}, {0, 0.5, 1.0}, {0.2, -0.3, 2.0}};
    for (size_t i = 0; i < COUNT(variants); i++) {
        check_unary((gradcheck_case){.name = "general_relu",
                                     .build = build_general_relu,
                                     .context = &variants[i],
                                     .tolerance = GRADCHECK_ELEMENTWISE,
                                     .n_kinks = isinf(variants[i].maxv) ? 1 : 2,
                                     .kinks = {0, variants[i].maxv + variants[i].sub}});
    }
}

/* matmul and linear. */

static cg_tensor *build_matmul(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_matmul(tape, inputs[0], inputs[1], context);
}

static gradcheck_case matmul_case(const cg_matmul_options *options, cg_shape a, cg_shape b) {
    return (gradcheck_case){.name = "matmul",
                            .build = build_matmul,
                            .context = options,
                            .tolerance = GRADCHECK_REDUCTION,
                            .n_inputs = 2,
                            .inputs = {{.shape = a}, {.shape = b}}};
}

Test(gradients, matmul_of_odd_sizes) {
    const gradcheck_case cases[] = {
        matmul_case(NULL, CG_SHAPE(1, 1), CG_SHAPE(1, 1)),
        matmul_case(NULL, CG_SHAPE(7, 5), CG_SHAPE(5, 3)),
        matmul_case(NULL, CG_SHAPE(1, 17), CG_SHAPE(17, 9)),
        matmul_case(NULL, CG_SHAPE(9, 17), CG_SHAPE(17, 1)),
        matmul_case(NULL, CG_SHAPE(9, 1), CG_SHAPE(1, 13)),
        matmul_case(NULL, CG_SHAPE(33, 17), CG_SHAPE(17, 9)),
        matmul_case(NULL, CG_SHAPE(63, 65), CG_SHAPE(65, 33)),
        matmul_case(NULL, CG_SHAPE(255, 17), CG_SHAPE(17, 257)),
        matmul_case(NULL, CG_SHAPE(31, 257), CG_SHAPE(257, 2)),
        matmul_case(NULL, CG_SHAPE(64, 64), CG_SHAPE(64, 64)),
        matmul_case(NULL, CG_SHAPE(256, 64), CG_SHAPE(64, 128)),
        matmul_case(NULL, CG_SHAPE(130, 70), CG_SHAPE(70, 67)),
    };
    CHECK(cases);
}

/* All three forms of a transpose: a' [m, k], b' [k, n]. */
Test(gradients, matmul_of_transposes) {
    const int64_t sizes[][3] = {{7, 5, 3}, {1, 5, 3}, {63, 65, 33}, {17, 257, 31}, {129, 33, 65}};
    const cg_matmul_options options[] = {
        {.transpose_a = true}, {.transpose_b = true}, {.transpose_a = true, .transpose_b = true}};
    gradcheck_case cases[COUNT(sizes) * COUNT(options)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        const cg_matmul_options *form = &options[i % COUNT(options)];
        int64_t m = sizes[i / COUNT(options)][0], k = sizes[i / COUNT(options)][1], n = sizes[i / COUNT(options)][2];
        cg_shape a = form->transpose_a ? CG_SHAPE(k, m) : CG_SHAPE(m, k);
        cg_shape b = form->transpose_b ? CG_SHAPE(n, k) : CG_SHAPE(k, n);
        cases[i] = matmul_case(form, a, b);
    }
    CHECK(cases);
}

Test(gradients, matmul_of_batches) {
    const cg_matmul_options ta = {.transpose_a = true}, tb = {.transpose_b = true};
    const cg_matmul_options both = {.transpose_a = true, .transpose_b = true};
    const gradcheck_case cases[] = {
        matmul_case(NULL, CG_SHAPE(3, 7, 5), CG_SHAPE(3, 5, 4)),
        matmul_case(NULL, CG_SHAPE(2, 3, 7, 5), CG_SHAPE(2, 3, 5, 4)),
        matmul_case(NULL, CG_SHAPE(3, 7, 5), CG_SHAPE(5, 4)), /* b is shared */
        matmul_case(&ta, CG_SHAPE(3, 5, 7), CG_SHAPE(3, 5, 4)),
        matmul_case(&tb, CG_SHAPE(3, 7, 5), CG_SHAPE(3, 4, 5)),
        matmul_case(&both, CG_SHAPE(3, 5, 7), CG_SHAPE(3, 4, 5)),
        matmul_case(&ta, CG_SHAPE(3, 5, 7), CG_SHAPE(5, 4)),
        matmul_case(&tb, CG_SHAPE(3, 7, 5), CG_SHAPE(4, 5)),
        matmul_case(&both, CG_SHAPE(3, 5, 7), CG_SHAPE(4, 5)),
        matmul_case(NULL, CG_SHAPE(5, 33, 17), CG_SHAPE(5, 17, 31)),
    };
    CHECK(cases);
}

/* Rows longer than what is used, NaN in between. */
static gradcheck_case long_rows_case(const cg_matmul_options *options, cg_shape a, cg_shape b) {
    gradcheck_case test = matmul_case(options, a, b);
    test.name = "matmul with long rows";
    test.inputs[0].row_length = options->lda;
    test.inputs[1].row_length = options->ldb;
    return test;
}

Test(gradients, matmul_of_long_rows) {
    const cg_matmul_options lda = {.lda = 9}, ldb = {.ldb = 7}, both = {.lda = 70, .ldb = 40};
    const cg_matmul_options transposed = {.transpose_a = true, .transpose_b = true, .lda = 9, .ldb = 8};
    const gradcheck_case cases[] = {
        long_rows_case(&lda, CG_SHAPE(7, 5), CG_SHAPE(5, 3)),
        long_rows_case(&ldb, CG_SHAPE(7, 5), CG_SHAPE(5, 3)),
        long_rows_case(&both, CG_SHAPE(63, 65), CG_SHAPE(65, 33)),
        long_rows_case(&transposed, CG_SHAPE(5, 7), CG_SHAPE(3, 5)),
    };
    CHECK(cases);
}

static cg_tensor *build_linear(cg_tape *tape, cg_tensor **inputs, const void *context) {
    const bool *bias = context;
    return cg_linear(tape, inputs[0], inputs[1], *bias ? inputs[2] : NULL);
}

static gradcheck_case linear_case(const bool *bias, cg_shape x, cg_shape weight) {
    return (gradcheck_case){.name = *bias ? "linear" : "linear without bias",
                            .build = build_linear,
                            .context = bias,
                            .tolerance = GRADCHECK_REDUCTION,
                            .n_inputs = *bias ? 3 : 2,
                            .inputs = {{.shape = x}, {.shape = weight}, {.shape = CG_SHAPE(weight.dim[0])}}};
}

Test(gradients, linear) {
    const bool with = true, without = false;
    const gradcheck_case cases[] = {
        linear_case(&with, CG_SHAPE(4, 7), CG_SHAPE(5, 7)),
        linear_case(&without, CG_SHAPE(4, 7), CG_SHAPE(5, 7)),
        linear_case(&with, CG_SHAPE(2, 3, 7), CG_SHAPE(5, 7)),
        linear_case(&without, CG_SHAPE(2, 3, 7), CG_SHAPE(5, 7)),
        linear_case(&with, CG_SHAPE(4, 7), CG_SHAPE(1, 7)),
        linear_case(&with, CG_SHAPE(1, 7), CG_SHAPE(5, 7)),
        linear_case(&with, CG_SHAPE(4, 1), CG_SHAPE(5, 1)),
        linear_case(&with, CG_SHAPE(7), CG_SHAPE(5, 7)),
        linear_case(&with, CG_SHAPE(63, 65), CG_SHAPE(33, 65)),
        linear_case(&with, CG_SHAPE(257, 31), CG_SHAPE(17, 31)),
    };
    CHECK(cases);
}

/* Reductions. */

typedef struct reduce_options {
    cg_tensor *(*op)(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);
    uint32_t axes;
    bool keepdim;
} reduce_options;

static cg_tensor *build_reduction(cg_tape *tape, cg_tensor **inputs, const void *context) {
    const reduce_options *p = context;
    return p->op(tape, inputs[0], p->axes, p->keepdim);
}

/* One axis, neighbours, axes apart, all; of sizes around the work-group. Around 1, since what cancels leaves little but
 * the rounding of the sums on the way, and how they are split is each machine's own. */
static void check_reduction(const char *name, cg_tensor *(*op)(cg_tape *, cg_tensor *, uint32_t, bool)) {
    const uint32_t axes[] = {1, 2, 4, 3, 6, 5, 7, CG_ALL_AXES};
    const cg_shape shapes[] = {CG_SHAPE(5, 7, 3), CG_SHAPE(2, 257, 3), CG_SHAPE(1, 3, 255), CG_SHAPE(31, 33, 17)};
    reduce_options contexts[COUNT(axes)];
    gradcheck_case cases[COUNT(axes) * COUNT(shapes)];
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t of_axes = i / COUNT(shapes), of_shape = i % COUNT(shapes);
        contexts[of_axes] = (reduce_options){op, axes[of_axes], of_axes % 2 == 0};
        cases[i] = (gradcheck_case){.name = name,
                                    .build = build_reduction,
                                    .context = &contexts[of_axes],
                                    .tolerance = GRADCHECK_REDUCTION,
                                    .n_inputs = 1,
                                    .inputs = {{.shape = shapes[of_shape], .offset = 1}}};
        /* A sum over everything has a constant gradient; so has one over all but an axis of one. */
        bool constant = axes[of_axes] >= 7 || (axes[of_axes] == 6 && of_shape == 2);
        cases[i].flags = constant ? GRADCHECK_TRUSTED : 0;
    }
    CHECK(cases);
}

Test(gradients, sum_over_every_choice_of_axes) {
    check_reduction("sum", cg_sum);
}

Test(gradients, mean_over_every_choice_of_axes) {
    check_reduction("mean", cg_mean);
}

Test(gradients, sum_of_a_scalar_and_over_no_axis) {
    const reduce_options all = {cg_sum, CG_ALL_AXES, false}, none = {cg_mean, 0, false};
    const gradcheck_case cases[] = {
        {.name = "sum of a scalar",
         .build = build_reduction,
         .context = &all,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 1,
         .inputs = {{.shape = CG_SCALAR}}},
        {.name = "mean over no axis",
         .build = build_reduction,
         .context = &none,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 1,
         .inputs = {{.shape = CG_SHAPE(3, 4)}}},
    };
    CHECK(cases);
}

/* Softmax and losses. */

static cg_tensor *build_log_softmax(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_log_softmax(tape, inputs[0], *(const int *)context);
}

static gradcheck_case log_softmax_case(const int *axis, cg_shape shape, double offset) {
    return (gradcheck_case){.name = "log_softmax",
                            .build = build_log_softmax,
                            .context = axis,
                            .tolerance = GRADCHECK_SOFTMAX,
                            .flags = offset != 0 ? GRADCHECK_NO_DIFFERENCE : 0,
                            .n_inputs = 1,
                            .inputs = {{.shape = shape, .offset = offset}}};
}

Test(gradients, log_softmax) {
    const int first = 0, second = 1, last = -1;
    const gradcheck_case cases[] = {
        log_softmax_case(&first, CG_SHAPE(5, 7, 3), 0), log_softmax_case(&second, CG_SHAPE(5, 7, 3), 0),
        log_softmax_case(&last, CG_SHAPE(5, 7, 3), 0),  log_softmax_case(&last, CG_SHAPE(2), 0),
        log_softmax_case(&last, CG_SHAPE(17, 10), 0),   log_softmax_case(&first, CG_SHAPE(257, 3), 0),
        log_softmax_case(&last, CG_SHAPE(3, 257), 0),   log_softmax_case(&second, CG_SHAPE(63, 65, 33), 0),
    };
    CHECK(cases);
}

Test(gradients, log_softmax_far_from_zero) {
    const int first = 0, last = -1;
    const gradcheck_case cases[] = {
        log_softmax_case(&last, CG_SHAPE(5, 7), 1e4),
        log_softmax_case(&last, CG_SHAPE(5, 7), -1e4),
        log_softmax_case(&first, CG_SHAPE(65, 3), 1e4),
    };
    CHECK(cases);
}

Test(gradients, log_softmax_over_one_element_is_zero) {
    const int last = -1;
    gradcheck_case test = log_softmax_case(&last, CG_SHAPE(4, 1), 0);
    test.flags = GRADCHECK_TRUSTED;
    gradcheck_all(&test, 1);
}

static cg_tensor *build_cross_entropy(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_cross_entropy(tape, inputs[0], inputs[1], *(const cg_reduction *)context);
}

static gradcheck_case cross_entropy_case(const cg_reduction *reduction, int64_t n, int64_t classes, double offset) {
    return (gradcheck_case){
        .name = "cross_entropy",
        .build = build_cross_entropy,
        .context = reduction,
        .tolerance = GRADCHECK_SOFTMAX,
        .flags = offset != 0 ? GRADCHECK_NO_DIFFERENCE : 0,
        .seed = (uint64_t)n,
        .n_inputs = 2,
        .inputs = {{.shape = CG_SHAPE(n, classes), .offset = offset}, {.shape = CG_SHAPE(n), .classes = classes}}};
}

static const cg_reduction reductions[] = {CG_REDUCE_MEAN, CG_REDUCE_SUM, CG_REDUCE_NONE};

Test(gradients, cross_entropy_of_every_reduction) {
    for (size_t i = 0; i < COUNT(reductions); i++) {
        const gradcheck_case cases[] = {
            cross_entropy_case(&reductions[i], 1, 2, 0),   cross_entropy_case(&reductions[i], 5, 3, 0),
            cross_entropy_case(&reductions[i], 64, 10, 0), cross_entropy_case(&reductions[i], 63, 65, 0),
            cross_entropy_case(&reductions[i], 3, 257, 0), cross_entropy_case(&reductions[i], 257, 10, 0),
        };
        CHECK(cases);
    }
}

Test(gradients, cross_entropy_far_from_zero) {
    for (size_t i = 0; i < COUNT(reductions); i++) {
        const gradcheck_case cases[] = {
            cross_entropy_case(&reductions[i], 7, 10, 1e4),
            cross_entropy_case(&reductions[i], 7, 10, -1e4),
        };
        CHECK(cases);
    }
}

static cg_tensor *build_mse_loss(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_mse_loss(tape, inputs[0], inputs[1], *(const cg_reduction *)context);
}

static gradcheck_case mse_case(const cg_reduction *reduction, cg_shape shape, bool target_is_constant) {
    return (gradcheck_case){.name = "mse_loss",
                            .build = build_mse_loss,
                            .context = reduction,
                            .tolerance = GRADCHECK_REDUCTION,
                            .n_inputs = 2,
                            .inputs = {{.shape = shape}, {.shape = shape, .constant = target_is_constant}}};
}

Test(gradients, mse_loss_of_every_reduction) {
    for (size_t i = 0; i < COUNT(reductions); i++) {
        const gradcheck_case cases[] = {
            mse_case(&reductions[i], CG_SHAPE(1, 1), true),    mse_case(&reductions[i], CG_SHAPE(5, 1), true),
            mse_case(&reductions[i], CG_SHAPE(5, 3), false),   mse_case(&reductions[i], CG_SHAPE(257), true),
            mse_case(&reductions[i], CG_SHAPE(2, 3, 5), true), mse_case(&reductions[i], CG_SHAPE(63, 65), false),
        };
        CHECK(cases);
    }
}

/* Large and tiny values, where a formula that is right on paper overflows. */
Test(gradients, keep_their_size_far_from_one) {
    gradcheck_case cases[] = {
        matmul_case(NULL, CG_SHAPE(7, 5), CG_SHAPE(5, 3)),
        {.name = "square", .build = build_square, .n_inputs = 1, .inputs = {{.shape = CG_SHAPE(5, 7), .scale = 1e15}}},
        {.name = "square", .build = build_square, .n_inputs = 1, .inputs = {{.shape = CG_SHAPE(5, 7), .scale = 1e-12}}},
    };
    cases[0].inputs[0].scale = 1e12;
    cases[0].inputs[1].scale = 1e-12;
    cg_device *device = test_device_open(), *oracle = test_oracle_open();
    for (size_t i = 0; i < COUNT(cases); i++) {
        cases[i].tolerance = GRADCHECK_REDUCTION;
        cr_assert(gradcheck_against(&cases[i], device, oracle, NULL) == CG_OK, "%s", cg_error_message());
    }
    cg_device_close(oracle);
    cg_device_close(device);
}
