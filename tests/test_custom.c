/* Ops that a program registers: refused with a reason, recorded, differentiated, checked, and left to the CPU where a
 * device has no kernel for them. */
#include "devices.h"
#include "tensors.h"

#include <clgrad/custom.h>
#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

/* y = x^3; its gradient is made of ops that exist, so it needs no kind of its own. */
#define CUBE(name, real)                                                                                               \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        real *y = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                               \
        for (size_t i = 0; i < op->outputs[0].extent; i++) {                                                           \
            y[i] = x[i] * x[i] * x[i];                                                                                 \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
CUBE(cube_f32, float)
CUBE(cube_f64, double)

static const char cube_source[] = "kernel void cube(global const float *x, ulong x_at, global float *y, ulong y_at,\n"
                                  "                 ulong n, int accumulate) {\n"
                                  "    ulong i = get_global_id(0);\n"
                                  "    if (i < n) y[y_at + i] = x[x_at + i] * x[x_at + i] * x[x_at + i];\n"
                                  "}\n";

static double factor = 3.0; /* a wrong one is to be found out */

static void cube_rule(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *x = cg_op_input(op, 0), *dy = cg_op_grad_output(tape, op, 0);
    cg_op_grad_add(tape, op, 0, cg_mul(tape, cg_scale(tape, cg_square(tape, x), factor), dy));
}

static cg_op_definition cube_definition(void) {
    return (cg_op_definition){.size = sizeof(cg_op_definition),
                              .name = "cube",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .outputs = 1,
                              .reference_f32 = cube_f32,
                              .reference_f64 = cube_f64,
                              .backward = cube_rule,
                              .opencl_source = cube_source};
}

static uint32_t cube_number(void) {
    const cg_op_definition definition = cube_definition();
    uint32_t number;
    cr_assert_eq(cg_op_register(&definition, &number), CG_OK, "%s", cg_error_message());
    return number;
}

static cg_tensor *cube(cg_tape *tape, uint32_t number, cg_tensor *x) {
    return cg_op_record(tape, number, NULL, &x, 1, cg_tensor_shape(x), NULL);
}

/* The cube's input is used twice: gradients add up. */
static cg_tensor *build(cg_tape *tape, cg_tensor **inputs, const void *number) {
    return cg_mul(tape, cube(tape, *(const uint32_t *)number, inputs[0]), inputs[0]);
}

static void expect_refused(cg_op_definition definition, cg_status expected, const char *part) {
    uint32_t number = 7;
    cr_expect_eq(cg_op_register(&definition, &number), expected, "%s", part);
    cr_expect_not_null(strstr(cg_error_message(), part), "'%s' lacks '%s'", cg_error_message(), part);
    cr_expect_eq(number, 0);
}

Test(custom, definitions_that_are_none_are_refused_with_the_reason) {
    cg_op_definition d = cube_definition();
    d.size = 8;
    expect_refused(d, CG_ERR_ARGUMENT, "size is 8, not");
    d = cube_definition();
    d.name = "Cube!";
    expect_refused(d, CG_ERR_ARGUMENT, "the name is Cube!");
    d.name = NULL;
    expect_refused(d, CG_ERR_ARGUMENT, "the name is NULL");
    d.name = "matmul";
    expect_refused(d, CG_ERR_NAME, "there is an op matmul already");
    d = cube_definition();
    d.reference_f64 = NULL;
    expect_refused(d, CG_ERR_ARGUMENT, "op cube: reference_f32 and reference_f64 are required");
    d = cube_definition();
    d.max_inputs = CG_MAX_INPUTS + 1;
    expect_refused(d, CG_ERR_ARGUMENT, "1 to 9 inputs; at most 8");
    d.max_inputs = 8;
    expect_refused(d, CG_ERR_ARGUMENT, "a kernel of 9 operands; at most 8");
    d = cube_definition();
    d.outputs = 0;
    expect_refused(d, CG_ERR_ARGUMENT, "0 outputs");
    d.outputs = CG_MAX_OUTPUTS + 1;
    expect_refused(d, CG_ERR_ARGUMENT, "outputs; 1 to");
    d = cube_definition();
    d.min_inputs = 2;
    expect_refused(d, CG_ERR_ARGUMENT, "2 to 1 inputs");
    d = cube_definition();
    d.reference_f32 = NULL;
    expect_refused(d, CG_ERR_ARGUMENT, "op cube: reference_f32 and reference_f64 are required");
    d = cube_definition();
    d.name = "";
    expect_refused(d, CG_ERR_ARGUMENT, "the name is ;");
    d = cube_definition();
    d.attrs_size = 2;
    expect_refused(d, CG_ERR_ARGUMENT, "attributes of 2 bytes");
    d = cube_definition();
    d.flags = CG_KIND_UPDATES;
    expect_refused(d, CG_ERR_ARGUMENT, "CG_KIND_ACCUMULATES is the only one");
    cube_number();
    expect_refused(cube_definition(), CG_ERR_NAME, "there is an op cube already");
}

static void expect_failure(cg_tape *tape, cg_tensor *result, cg_status status, const char *part) {
    double value;
    cr_expect_eq(cg_tape_status(tape), status, "%s", part);
    cr_expect_not_null(strstr(cg_tape_error(tape), part), "'%s' lacks '%s'", cg_tape_error(tape), part);
    cr_expect_eq(cg_tensor_item(result, &value), status);
    cg_tape_reset(tape);
}

Test(custom, wrong_use_fails_the_tape) {
    cg_device *device = test_device_open();
    uint32_t number = cube_number();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    cg_tensor *both[] = {x, x}, *none = NULL;
    expect_failure(tape, cg_op_record(tape, number, NULL, both, 2, &CG_SHAPE(2), NULL), CG_ERR_ARGUMENT,
                   "cube: 2 inputs; it takes 1 to 1");
    expect_failure(tape, cg_op_record(tape, number, NULL, &none, 1, &CG_SHAPE(2), NULL), CG_ERR_ARGUMENT,
                   "cube: tensor 0 is NULL");
    expect_failure(tape, cg_op_record(tape, number + 1, NULL, &x, 1, &CG_SHAPE(2), NULL), CG_ERR_ARGUMENT,
                   "is not the number of a registered op");
    expect_failure(tape, cg_op_record(tape, CG_OP_RELU, NULL, &x, 1, &CG_SHAPE(2), NULL), CG_ERR_ARGUMENT,
                   "is not the number of a registered op");
    expect_failure(tape, cg_op_fail(tape, CG_ERR_SHAPE, "cube: %d axes", 9), CG_ERR_SHAPE, "cube: 9 axes");
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(custom, memory_that_runs_out_registers_nothing) {
    const cg_op_definition d = cube_definition();
    uint32_t number = 7;
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status == CG_ERR_MEMORY && call < 10; call++) {
        cg_alloc_fail_at(call);
        status = cg_op_register(&d, &number);
        cg_alloc_fail_at(0);
        cr_expect_eq(number == 0, status != CG_OK);
    }
    cr_expect_eq(status, CG_OK, "%s", cg_error_message());
}

Test(custom, there_is_an_end_to_the_places_for_ops) {
    cg_op_definition d = cube_definition();
    char name[24];
    cg_status status = CG_OK;
    int count = 0;
    for (; status == CG_OK && count < 5000; count++) {
        uint32_t number;
        snprintf(name, sizeof name, "cube_%d", count);
        d.name = name;
        status = cg_op_register(&d, &number);
    }
    cr_expect_eq(status, CG_ERR_STATE);
    cr_expect_not_null(strstr(cg_error_message(), "ops are registered already"), "%s", cg_error_message());
}

/* y and its double, by a factor among the attributes; the rule is the test's. */
typedef struct twice_attrs {
    uint32_t size;
    float factor;
} twice_attrs;

#define TWICE(name, real)                                                                                              \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        for (size_t k = 0; k < 2; k++) {                                                                               \
            real *y = (real *)op->outputs[k].buffer + op->outputs[k].offset;                                           \
            for (size_t i = 0; i < op->outputs[k].extent; i++) {                                                       \
                y[i] = x[i] * (real)((const twice_attrs *)op->attrs)->factor * (real)(k + 1);                          \
            }                                                                                                          \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
TWICE(twice_f32, float)
TWICE(twice_f64, double)

static uint32_t twice_number(const char *name, cg_op_backward_fn rule) {
    const cg_op_definition d = {.size = sizeof d,
                                .name = name,
                                .min_inputs = 1,
                                .max_inputs = 2,
                                .outputs = 2,
                                .attrs_size = sizeof(twice_attrs),
                                .reference_f32 = twice_f32,
                                .reference_f64 = twice_f64,
                                .backward = rule};
    uint32_t number;
    cr_assert_eq(cg_op_register(&d, &number), CG_OK, "%s", cg_error_message());
    return number;
}

static void rule_of_another_shape(cg_tape *tape, const cg_recorded_op *op) {
    cg_op_grad_add(tape, op, 0, cg_sum(tape, cg_op_input(op, 0), CG_ALL_AXES, false));
}

static void rule_without_such_an_op(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *x = cg_op_input(op, 0);
    cg_op_grad_emit(tape, op, 0, 77777, NULL, &x, 1);
}

static void rule_of_two_outputs(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *all[] = {cg_op_input(op, 0), NULL, NULL};
    cg_op_grad_emit(tape, op, 0, CG_OP_NORMALIZE, NULL, all, 3);
}

static void rule_of_too_few(cg_tape *tape, const cg_recorded_op *op) {
    cg_op_grad_emit(tape, op, 0, CG_OP_RELU, NULL, NULL, 0);
}

static void rule_of_too_many(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *all[] = {cg_op_input(op, 0), cg_op_input(op, 0)};
    cg_op_grad_emit(tape, op, 0, CG_OP_RELU, NULL, all, 2);
}

/* Right: input 1 is absent and no output 1 was used. */
static void rule_of_the_first(cg_tape *tape, const cg_recorded_op *op) {
    bool wanted = cg_op_grad_wanted(tape, op, 0) && !cg_op_grad_wanted(tape, op, 1);
    bool given = cg_op_grad_output(tape, op, 0) != NULL && cg_op_grad_output(tape, op, 1) == NULL;
    cr_expect(wanted && given && cg_op_input(op, 9) == NULL && cg_op_output(op, 9) == NULL);
    const twice_attrs *attrs = cg_op_attrs(op);
    cg_tensor *dx = cg_scale(tape, cg_op_grad_output(tape, op, 0), (double)attrs->factor);
    cg_op_grad_add(tape, op, 1, dx);
    cg_op_grad_add(tape, op, 0, dx);
}

/* The gradient of the sum of the first output by a rule. */
static cg_status differentiate(cg_tape *tape, uint32_t number, cg_tensor *x) {
    const twice_attrs attrs = {.factor = 2.5f};
    const cg_shape shapes[] = {CG_SHAPE(2), CG_SHAPE(2)};
    cg_tensor *outputs[2];
    cg_op_record(tape, number, &attrs, &x, 1, shapes, outputs);
    return cg_backward(tape, cg_sum(tape, outputs[0], CG_ALL_AXES, false));
}

Test(custom, rules_that_are_wrong_fail_the_tape) {
    static const struct {
        const char *name, *part;
        cg_op_backward_fn rule;
    } wrong[] = {{"of_another_shape", "a gradient of [] for input 0 of [2]", rule_of_another_shape},
                 {"without_such_an_op", "77777 with 1 inputs is no op of one output", rule_without_such_an_op},
                 {"of_two_outputs", "with 3 inputs is no op of one output", rule_of_two_outputs},
                 {"of_too_few", "with 0 inputs is no op of one output", rule_of_too_few},
                 {"of_too_many", "with 2 inputs is no op of one output", rule_of_too_many}};
    cg_device *device = test_device_open();
    cg_device_set_fallback(device, CG_FALLBACK_ALLOW); /* it has no kernel */
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    cg_tensor_set_requires_grad(x, true);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect_neq(differentiate(tape, twice_number(wrong[i].name, wrong[i].rule), x), CG_OK);
        cr_expect_not_null(strstr(cg_tape_error(tape), wrong[i].part), "'%s'", cg_tape_error(tape));
        cg_tape_reset(tape);
    }
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(custom, an_op_may_have_attributes_and_several_outputs) {
    cg_device *device = test_device_open();
    cg_device_set_fallback(device, CG_FALLBACK_ALLOW);
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    cg_tensor_set_requires_grad(x, true);
    uint32_t number = twice_number("twice", rule_of_the_first);
    cr_assert_eq(differentiate(tape, number, x), CG_OK, "%s", cg_error_message());
    test_expect("gradient", cg_tensor_grad(x), CG_SHAPE(2), (double[]){2.5, 2.5}, 0, 0);
    cg_tape_reset(tape);
    const cg_shape shapes[] = {CG_SHAPE(2), CG_SHAPE(2)};
    expect_failure(tape, cg_op_record(tape, number, NULL, &x, 1, shapes, NULL), CG_ERR_ARGUMENT,
                   "twice: its attributes are NULL");
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(custom, it_runs_on_the_device_and_its_gradient_is_right) {
    cg_device *device = test_device_open();
    uint32_t number = cube_number();
    const cg_shape shape = CG_SHAPE(3, 5);
    cr_expect_eq(cg_gradcheck("cube", device, build, &number, &shape, 1), CG_OK, "%s", cg_error_message());
    cg_device_close(device);
}

Test(custom, a_wrong_gradient_is_found_out) {
    cg_device *device = test_device_open();
    uint32_t number = cube_number();
    const cg_shape shape = CG_SHAPE(3, 5);
    factor = 2.9;
    cr_expect_neq(cg_gradcheck("cube", device, build, &number, &shape, 1), CG_OK);
    cr_expect_not_null(strstr(cg_error_message(), "cube"), "%s", cg_error_message());
    cg_device_close(device);
}

Test(custom, a_kernel_that_does_not_compile_is_an_error_with_the_compilers_words) {
    if (strstr(test_device_string(), "oclgrind") != NULL) {
        cr_skip_test("Oclgrind's checks count a program that does not compile as a finding");
    }
    cg_device *device = test_device_open();
    cg_op_definition d = cube_definition();
    d.name = "broken";
    d.opencl_source = "kernel void broken(global float *x) { no such words; }\n";
    uint32_t number;
    cr_assert_eq(cg_op_register(&d, &number), CG_OK);
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    double values[2];
    cg_status status = cg_tensor_read_f64(cube(tape, number, x), values, 2);
    if (strncmp(test_device_string(), "opencl", 6) == 0) {
        cr_expect_eq(status, CG_ERR_DEVICE);
        cr_expect_not_null(strstr(cg_error_message(), "clBuildProgram(broken)"), "%s", cg_error_message());
    } else {
        cr_expect_eq(status, CG_OK);
        cr_expect_eq(values[1], 8.0);
    }
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}
