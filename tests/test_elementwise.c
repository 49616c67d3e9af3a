/*
 * Every row of elementwise.def on the device under test: the three proofs over the domain that tests/elementwise.def
 * gives it, and the values and derivatives that PyTorch has at the points of tests/elementwise.txt.
 */
#include "devices.h"
#include "gradcheck.h"
#include "tensors.h"

#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define LEAST_POINTS 8
#define MOST_POINTS 200

typedef struct proof {
    const char *name;
    uint32_t number;
    double p[3];
    gradcheck_case test; /* tolerance, range, kinks */
} proof;

#define P(...)                                                                                                         \
    { __VA_ARGS__ }
#define RANGE(from, to)                                                                                                \
    .inputs = {{.values = GRADCHECK_UNIFORM, .low = (from), .high = (to)},                                             \
               {.values = GRADCHECK_UNIFORM, .low = (from), .high = (to)}}
#define CG_PROOF(label, NAME, torch, parameters, class, ...)                                                           \
    static const proof proof_##label = {                                                                               \
        #label, CG_OP_##NAME, parameters, {.name = #label, .tolerance = GRADCHECK_##class, __VA_ARGS__}};
#include "elementwise.def"
#undef CG_PROOF

static const proof *const proofs[] = {
#define CG_PROOF(label, ...) &proof_##label,
#include "elementwise.def"
#undef CG_PROOF
};

static bool is_comparison(uint32_t number) {
    return number >= CG_OP_EQ && number <= CG_OP_GE;
}

static bool is_binary(uint32_t number) {
    switch (number) {
#define CG_UNARY(index, NAME, name, y, dx)
#define CG_BINARY(index, NAME, name, z, da, db) case CG_OP_##NAME:
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
        return true;
    }
    return false;
}

/* ---- the proofs ---- */

/* Nothing flows back through a comparison; a times it has the gradient (a < b) for a, and none for b. */
static cg_tensor *build(cg_tape *tape, cg_tensor **inputs, const void *context) {
    const proof *row = context;
    if (!is_binary(row->number)) {
        return cg_unary(tape, row->number, inputs[0], row->p);
    }
    cg_tensor *z = cg_binary(tape, row->number, inputs[0], inputs[1]);
    return is_comparison(row->number) ? cg_mul(tape, z, inputs[0]) : z;
}

/* Shapes around a vector's width and, of two inputs, one that broadcasts, whose gradient is a sum. */
static void prove(const proof *row) {
    const cg_shape shapes[][2] = {
        {CG_SHAPE(7), CG_SHAPE(7)}, {CG_SHAPE(65), CG_SHAPE(65)}, {CG_SHAPE(5, 13), CG_SHAPE(5, 1)}};
    gradcheck_case cases[COUNT(shapes)];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        cases[i] = row->test;
        cases[i].build = build;
        cases[i].context = row;
        cases[i].seed = i;
        cases[i].n_inputs = is_binary(row->number) ? 2 : 1;
        cases[i].inputs[0].shape = shapes[i][0];
        cases[i].inputs[1].shape = shapes[i][1];
        cases[i].inputs[1].constant = is_comparison(row->number);
    }
    if (is_binary(row->number)) {
        cases[2].tolerance = GRADCHECK_REDUCTION;
    }
    gradcheck_all(cases, COUNT(cases));
}

/* ---- PyTorch's values ---- */

typedef struct points {
    size_t count;
    double in[2][MOST_POINTS], value[MOST_POINTS], derivative[2][MOST_POINTS];
    bool any_value[MOST_POINTS], any_derivative[2][MOST_POINTS]; /* nothing is expected of it */
} points;

/* The next number of a line; `any` becomes true for a *. */
static double next_number(char **at, bool *any) {
    *at += strspn(*at, " ");
    *any = **at == '*';
    char *end = *at + 1;
    double number = *any ? 0.0 : strtod(*at, &end);
    cr_assert(end > *at, "elementwise.txt: no number in '%s'", *at);
    *at = end;
    return number;
}

static void read_point(points *found, char *line, int inputs) {
    size_t i = found->count++;
    bool any;
    cr_assert(i < MOST_POINTS);
    for (int k = 0; k < inputs; k++) {
        found->in[k][i] = next_number(&line, &any);
    }
    found->value[i] = next_number(&line, &found->any_value[i]);
    for (int k = 0; k < inputs; k++) {
        found->derivative[k][i] = next_number(&line, &found->any_derivative[k][i]);
    }
}

/* The points below the line '= name'. */
static void read_points(const char *name, int inputs, points *found) {
    char line[256], wanted[64];
    bool here = false;
    FILE *file = fopen(TEST_ELEMENTWISE, "r");
    cr_assert(file != NULL, "%s cannot be opened", TEST_ELEMENTWISE);
    snprintf(wanted, sizeof wanted, "= %s\n", name);
    found->count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '=') {
            here = strcmp(line, wanted) == 0;
        } else if (here) {
            read_point(found, line, inputs);
        }
    }
    fclose(file);
    cr_assert(found->count >= LEAST_POINTS, "%s has %zu points in elementwise.txt, at least %d expected: record them",
              name, found->count, LEAST_POINTS);
}

/* Of gradcheck's classes: how far a value may be, as a share of it. */
static double share(gradcheck_class class) {
    return class == GRADCHECK_EXACT         ? 0.0
           : class == GRADCHECK_ELEMENTWISE ? 2.5e-7
           : class == GRADCHECK_FUNCTION    ? 7.2e-7
                                            : 2e-6;
}

static bool is_near(double actual, double expected, double rtol, double atol) {
    double single = (double)(float)expected; /* infinite where a float has no such number */
    if (!isfinite(single)) {
        return isnan(single) ? isnan(actual) : actual == single;
    }
    return fabs(actual - single) <= rtol * fabs(single) + atol;
}

static void expect_values(const proof *row, const points *p, const float *actual) {
    double atol = row->test.tolerance == GRADCHECK_ACTIVATION ? 1e-6
                  : row->test.tolerance == GRADCHECK_EXACT    ? 0
                                                              : 0x1p-126;
    for (size_t i = 0; i < p->count; i++) {
        cr_expect(p->any_value[i] || is_near((double)actual[i], p->value[i], share(row->test.tolerance), atol),
                  "%s(%.9g, %.9g) is %.9g, PyTorch's %.9g", row->name, p->in[0][i], p->in[1][i], (double)actual[i],
                  p->value[i]);
    }
}

static void expect_derivatives(const proof *row, const points *p, int k, const float *actual) {
    double atol = row->test.tolerance == GRADCHECK_EXACT ? 0.0 : 1e-6;
    for (size_t i = 0; i < p->count; i++) {
        cr_expect(p->any_derivative[k][i] ||
                      is_near((double)actual[i], p->derivative[k][i], 4 * share(row->test.tolerance), atol),
                  "%s(%.9g, %.9g): the derivative by input %d is %.9g, PyTorch's %.9g", row->name, p->in[0][i],
                  p->in[1][i], k, (double)actual[i], p->derivative[k][i]);
    }
}

static void compare_with_pytorch(const proof *row) {
    static points found;
    int inputs = is_binary(row->number) ? 2 : 1;
    read_points(row->name, inputs, &found);
    int64_t n = (int64_t)found.count;
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *leaf[2] = {NULL}, *ones = test_tensor(device, CG_SHAPE(n), NULL);
    cr_assert(cg_tensor_fill(ones, 1.0) == CG_OK);
    for (int k = 0; k < inputs; k++) {
        leaf[k] = test_tensor(device, CG_SHAPE(n), found.in[k]);
        cg_tensor_set_requires_grad(leaf[k], true);
    }
    float *values = malloc((size_t)n * sizeof *values);
    cg_tensor *z =
        inputs == 2 ? cg_binary(tape, row->number, leaf[0], leaf[1]) : cg_unary(tape, row->number, leaf[0], row->p);
    cr_assert(cg_tensor_read_f32(z, values, n) == CG_OK, "%s", cg_error_message());
    expect_values(row, &found, values);
    if (!is_comparison(row->number)) {
        cr_assert(cg_backward_from(tape, z, ones) == CG_OK, "%s", cg_error_message());
    }
    for (int k = 0; k < inputs && !is_comparison(row->number); k++) {
        cr_assert(cg_tape_flush(tape) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_read_f32(cg_tensor_grad(leaf[k]), values, n) == CG_OK, "%s", cg_error_message());
        expect_derivatives(row, &found, k, values);
    }
    free(values);
    cg_tape_destroy(tape);
    cg_tensor_destroy(leaf[0]);
    cg_tensor_destroy(leaf[1]);
    cg_tensor_destroy(ones);
    cg_device_close(device);
}

#define CG_PROOF(label, ...)                                                                                           \
    Test(elementwise, label) {                                                                                         \
        prove(&proof_##label);                                                                                         \
        compare_with_pytorch(&proof_##label);                                                                          \
    }
#include "elementwise.def"
#undef CG_PROOF

static void expect_proof(uint32_t number, const char *name) {
    for (size_t i = 0; i < COUNT(proofs); i++) {
        if (proofs[i]->number == number) {
            return;
        }
    }
    cr_expect(false, "%s has no CG_PROOF in tests/elementwise.def", name);
}

Test(elementwise, no_row_is_without_a_proof) {
#define CG_UNARY(index, NAME, name, y, dx) expect_proof(CG_OP_##NAME, #name);
#define CG_BINARY(index, NAME, name, z, da, db) expect_proof(CG_OP_##NAME, #name);
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
}
