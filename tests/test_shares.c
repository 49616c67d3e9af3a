/*
 * More than one work-item or thread takes at a time, with a rest at the end: how work is cut into shares. What is as
 * small as most tests are is one share, on a CPU.
 */
#include "devices.h"
#include "gradcheck.h"

#include <clgrad/optim.h>

#include <criterion/criterion.h>
#include <math.h>

#include "alloc.h"
#include "tensors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cg_tensor *build_softmax(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_softmax(tape, inputs[0], *(const int *)context);
}

static cg_tensor *build_log_softmax(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_log_softmax(tape, inputs[0], *(const int *)context);
}

/* Rows and columns; the small shape is for a device whose budget has no room for the others. */
static void check_softmax(const char *name, cg_tensor *(*build)(cg_tape *, cg_tensor **, const void *)) {
    const int first = 0, last = -1;
    const struct {
        const int *axis;
        cg_shape shape;
    } shapes[] = {{&last, CG_SHAPE(17, 9)}, {&last, CG_SHAPE(1021, 9)}, {&first, CG_SHAPE(9, 1021)}};
    gradcheck_case cases[COUNT(shapes)];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        cases[i] = (gradcheck_case){.name = name,
                                    .build = build,
                                    .context = shapes[i].axis,
                                    .tolerance = GRADCHECK_SOFTMAX,
                                    .n_inputs = 1,
                                    .inputs = {{.shape = shapes[i].shape}}};
    }
    gradcheck_all(cases, COUNT(cases));
}

Test(shares, softmax) {
    check_softmax("softmax", build_softmax);
}

Test(shares, log_softmax) {
    check_softmax("log_softmax", build_log_softmax);
}

static cg_tensor *build_cross_entropy(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_cross_entropy(tape, inputs[0], inputs[1], *(const cg_reduction *)context);
}

Test(shares, cross_entropy) {
    const cg_reduction reduction = CG_REDUCE_NONE;
    const int64_t rows[] = {17, 1021};
    gradcheck_case cases[COUNT(rows)];
    for (size_t i = 0; i < COUNT(rows); i++) {
        cases[i] =
            (gradcheck_case){.name = "cross_entropy",
                             .build = build_cross_entropy,
                             .context = &reduction,
                             .tolerance = GRADCHECK_SOFTMAX,
                             .n_inputs = 2,
                             .inputs = {{.shape = CG_SHAPE(rows[i], 9)}, {.shape = CG_SHAPE(rows[i]), .classes = 9}}};
    }
    gradcheck_all(cases, COUNT(cases));
}

enum { STEPS = 2 };

/* The parameter of a few steps with gradients 2 p c, in c another value for each element. */
static void stepped(cg_device *device, const char *text, double *p, const double *c, int64_t n) {
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *parameter = test_tensor(device, CG_SHAPE(n), p), *factors = test_tensor(device, CG_SHAPE(n), c);
    cg_tensor_set_requires_grad(parameter, true);
    cg_optimizer *optimizer = NULL;
    cr_assert_eq(cg_optimizer_create(text, &parameter, NULL, 1, &optimizer), CG_OK, "%s", cg_error_message());
    for (int i = 0; i < STEPS; i++) {
        cg_tensor *loss = cg_sum(tape, cg_mul(tape, cg_square(tape, parameter), factors), CG_ALL_AXES, false);
        cr_assert_eq(cg_backward(tape, loss), CG_OK, "%s", cg_error_message());
        cr_assert_eq(cg_optimizer_step(optimizer, tape), CG_OK, "%s", cg_error_message());
        cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
    }
    cr_assert_eq(cg_tensor_read_f64(parameter, p, (size_t)n), CG_OK, "%s", cg_error_message());
    cg_optimizer_destroy(optimizer);
    cg_tape_destroy(tape);
    cg_tensor_destroy(parameter);
    cg_tensor_destroy(factors);
    cg_device_close(device);
}

static void check_optimizer(const char *text) {
    int64_t n = test_device_budget().multiply_adds < 1e6 ? 65 : 10007;
    double *values = cg_alloc((size_t)n * 3 * sizeof *values), *p = values, *expected = values + n, *c = values + 2 * n;
    cr_assert_not_null(values);
    for (int64_t i = 0; i < n; i++) {
        p[i] = expected[i] = (double)(i % 97 - 48) / 32.0;
        c[i] = (double)(i % 31 - 15) / 16.0;
    }
    stepped(test_device_open(), text, p, c, n);
    stepped(test_oracle_open(), text, expected, c, n);
    for (int64_t i = 0; i < n; i++) {
        cr_assert(fabs(p[i] - expected[i]) <= 2e-6 * (1.0 + fabs(expected[i])),
                  "%s: element %lld of %lld is %.9g, not %.9g", text, (long long)i, (long long)n, p[i], expected[i]);
    }
    cg_free(values);
}

Test(shares, optimizer_sgd) {
    check_optimizer("SGD(lr=0.1, weight_decay=0.02)");
    check_optimizer("SGD(lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.01)");
}

Test(shares, optimizer_adam) {
    check_optimizer("Adam(lr=0.01, eps=1e-6, weight_decay=0.1)");
    check_optimizer("AdamW(lr=0.02, amsgrad=True)");
}

Test(shares, optimizer_lamb) {
    check_optimizer("LAMB(lr=0.01)");
}
