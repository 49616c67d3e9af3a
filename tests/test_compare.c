/* The proofs' own alarm: the comparer and the gradient proofs fail when something is planted, and not otherwise. */
#include "compare.h"
#include "gradcheck.h"
#include "record.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static compare_result check(const double *actual, const double *expected, cg_shape shape, compare_rule rule) {
    compare_result result;
    compare("x", actual, expected, &shape, &rule, &result);
    return result;
}

static const double ramp[6] = {1, -2, 3, -4, 5, -6};

Test(compare, passes_what_is_equal) {
    compare_result result = check(ramp, ramp, CG_SHAPE(2, 3), (compare_rule){0});
    cr_assert(result.passed && result.max_abs == 0 && result.wrong == 0, "%s", result.message);
}

Test(compare, names_the_place_and_both_values) {
    double actual[6] = {1, -2, 3, -4, 5.5, -6};
    compare_result result = check(actual, ramp, CG_SHAPE(2, 3), (compare_rule){.rtol = 1e-3, .atol = 1e-3});
    cr_assert(!result.passed && result.wrong == 1 && result.at == 4);
    cr_assert_float_eq(result.max_abs, 0.5, 1e-12);
    cr_assert_float_eq(result.max_rel, 0.1, 1e-12);
    cr_assert(strstr(result.message, "x [2, 3]: 1 of 6 elements differ") != NULL, "%s", result.message);
    cr_assert(strstr(result.message, "at=[1, 1] actual=5.5 expected=5") != NULL, "%s", result.message);
}

Test(compare, measures_the_absolute_tolerance_in_the_largest_expected) {
    double actual[6] = {1, -2, 3, -4, 5, -6};
    actual[0] += 0.59;
    cr_assert(check(actual, ramp, CG_SHAPE(6), (compare_rule){.atol = 0.1}).passed);
    actual[0] += 0.02;
    cr_assert(!check(actual, ramp, CG_SHAPE(6), (compare_rule){.atol = 0.1}).passed);
    cr_assert(!check(actual, ramp, CG_SHAPE(6), (compare_rule){.atol = 0.1, .scale = 1}).passed);
}

Test(compare, fails_nan_and_infinity_on_one_side_only) {
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        double other[6] = {1, -2, 3, -4, 5, -6};
        other[2] = bad[i];
        compare_rule loose = {.rtol = 100, .atol = 100};
        cr_assert(!check(other, ramp, CG_SHAPE(6), loose).passed);
        cr_assert(!check(ramp, other, CG_SHAPE(6), loose).passed);
        cr_assert(check(other, other, CG_SHAPE(6), loose).passed, "the same on both sides passes");
        cr_assert_eq(check(other, ramp, CG_SHAPE(6), loose).at, 2);
    }
    double plus[2] = {1, INFINITY}, minus[2] = {1, -INFINITY};
    cr_assert(!check(plus, minus, CG_SHAPE(2), (compare_rule){.rtol = 100}).passed);
}

Test(compare, mistrusts_zeros_constants_and_nothing) {
    double zeros[20] = {0}, constant[3] = {2, 2, 2};
    zeros[7] = 1;
    compare_rule rule = {.rtol = 1e-6}, trusted = {.rtol = 1e-6, .trusted = true};
    compare_result result = check(zeros, zeros, CG_SHAPE(20), rule);
    cr_assert(!result.passed && result.mistrusted && result.wrong == 0);
    cr_assert(strstr(result.message, "MISTRUSTED") != NULL, "%s", result.message);
    cr_assert(check(zeros, zeros, CG_SHAPE(20), trusted).passed);
    cr_assert(!check(constant, constant, CG_SHAPE(3), rule).passed);
    cr_assert(check(constant, constant, CG_SHAPE(3), trusted).passed);
    cr_assert(check(constant, constant, CG_SHAPE(1), rule).passed, "one number is not a constant");
    cr_assert(!check(zeros, zeros, CG_SHAPE(2, 0), rule).passed);
    cr_assert(check(zeros, zeros, CG_SHAPE(2, 0), trusted).passed);
}

Test(compare, prints_the_index_of_a_scalar_and_of_many_axes) {
    char text[96];
    cg_shape scalar = CG_SCALAR, shape = CG_SHAPE(2, 3, 4);
    cr_assert_str_eq(compare_index_print(&scalar, 0, text, sizeof text), "[]");
    cr_assert_str_eq(compare_index_print(&shape, 23, text, sizeof text), "[1, 2, 3]");
}

/* Ops with a wrong backward rule. */

typedef enum fault_kind { RIGHT, SIGN, FACTOR, DROPPED_TERM, TRANSPOSED, NOT_A_NUMBER, ZEROS, FAULTS } fault_kind;

static const char *const fault_names[FAULTS] = {"right",        "sign", "factor", "dropped term", "transposed operand",
                                                "not a number", "zeros"};

static void emit_scaled(cg_tape *tape, const cg_node *node, double factor) {
    cg_elementwise_attrs attrs = {sizeof attrs, 0, {factor, 0, 0}};
    cg_tensor *grad_output = cg_grad_of(tape, node->outputs[0]);
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_SCALE, &attrs, &grad_output, 1);
}

static void emit_filled(cg_tape *tape, const cg_node *node, double value) {
    cg_fill_attrs attrs = {sizeof attrs, 0, value};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_FILL, &attrs, NULL, 0);
}

static void scale_right(cg_tape *tape, const cg_node *node) {
    emit_scaled(tape, node, 2);
}

static void scale_sign(cg_tape *tape, const cg_node *node) {
    emit_scaled(tape, node, -2);
}

static void scale_factor(cg_tape *tape, const cg_node *node) {
    emit_scaled(tape, node, 6);
}

static void scale_nan(cg_tape *tape, const cg_node *node) {
    emit_filled(tape, node, (double)NAN);
}

static void scale_zeros(cg_tape *tape, const cg_node *node) {
    emit_filled(tape, node, 0);
}

/* x x: the second factor's share is forgotten. */
static void square_dropped(cg_tape *tape, const cg_node *node) {
    cg_elementwise_attrs attrs = {sizeof attrs, 0, {0, 0, 0}};
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_MUL, &attrs, inputs, 2);
}

/* a b: grad_output b instead of grad_output b^T. */
static void matmul_transposed(cg_tape *tape, const cg_node *node) {
    cg_tensor *inputs[] = {cg_grad_of(tape, node->outputs[0]), node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_MATMUL, node->attrs, inputs, 2);
}

static cg_tensor *planted_scale(cg_tape *tape, cg_tensor *x, cg_backward_fn backward) {
    cg_elementwise_attrs attrs = {sizeof attrs, 0, {2, 0, 0}};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), cg_tensor_shape(x));
    cg_record(tape, CG_OP_SCALE, &attrs, &x, 1, &y, 1, backward);
    return y;
}

static cg_tensor *planted_square(cg_tape *tape, cg_tensor *x) {
    cg_elementwise_attrs attrs = {sizeof attrs, 0, {0, 0, 0}};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(x), cg_tensor_shape(x));
    cg_record(tape, CG_OP_MUL, &attrs, (cg_tensor *[]){x, x}, 2, &y, 1, square_dropped);
    return y;
}

static cg_tensor *planted_matmul(cg_tape *tape, cg_tensor *a, cg_tensor *b) {
    int64_t n = cg_tensor_shape(a)->dim[0];
    cg_matmul_attrs attrs = {sizeof attrs, 0, 0, 0, 1, n, n, n, n, n, n, n * n, n * n, n * n};
    cg_tensor *y = cg_tape_tensor(tape, cg_tensor_dtype(a), cg_tensor_shape(a));
    cg_record(tape, CG_OP_MATMUL, &attrs, (cg_tensor *[]){a, b}, 2, &y, 1, matmul_transposed);
    return y;
}

typedef struct fault {
    fault_kind kind;
    bool on_device_only; /* the oracle is right */
} fault;

static cg_tensor *build_planted(cg_tape *tape, cg_tensor **inputs, const void *context) {
    static const cg_backward_fn rules[FAULTS] = {[RIGHT] = scale_right,
                                                 [SIGN] = scale_sign,
                                                 [FACTOR] = scale_factor,
                                                 [NOT_A_NUMBER] = scale_nan,
                                                 [ZEROS] = scale_zeros};
    const fault *planted = context;
    bool right = planted->on_device_only && cg_device_real(cg_tape_device(tape)) == CG_F64;
    switch (planted->kind) {
    case DROPPED_TERM:
        return right ? cg_mul(tape, inputs[0], inputs[0]) : planted_square(tape, inputs[0]);
    case TRANSPOSED:
        return right ? cg_matmul(tape, inputs[0], inputs[1], NULL) : planted_matmul(tape, inputs[0], inputs[1]);
    default:
        return planted_scale(tape, inputs[0], right ? scale_right : rules[planted->kind]);
    }
}

static gradcheck_case planted_case(const fault *planted) {
    return (gradcheck_case){.name = fault_names[planted->kind],
                            .build = build_planted,
                            .context = planted,
                            .tolerance = GRADCHECK_REDUCTION,
                            .n_inputs = 2,
                            .inputs = {{.shape = CG_SHAPE(5, 5)}, {.shape = CG_SHAPE(5, 5), .constant = true}}};
}

static cg_device *device, *oracle;

static void open_devices(void) {
    cr_assert(cg_device_open("reference", &device) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_device_open("reference,dtype=f64", &oracle) == CG_OK, "%s", cg_error_message());
}

static void close_devices(void) {
    cg_device_close(device);
    cg_device_close(oracle);
}

TestSuite(planted, .init = open_devices, .fini = close_devices);

Test(planted, nothing_passes_every_proof) {
    fault none = {RIGHT, false};
    gradcheck_case test = planted_case(&none);
    cr_assert(gradcheck_reference(&test, oracle) == CG_OK, "%s", cg_error_message());
    cr_assert(gradcheck_against(&test, device, oracle, NULL) == CG_OK, "%s", cg_error_message());
    cr_assert(gradcheck_difference(&test, device, oracle, GRADCHECK_DIRECTIONS) == CG_OK, "%s", cg_error_message());
}

Test(planted, every_fault_fails_proof_1) {
    for (fault_kind kind = SIGN; kind < FAULTS; kind++) {
        fault planted = {kind, false};
        gradcheck_case test = planted_case(&planted);
        cr_assert(gradcheck_reference(&test, oracle) != CG_OK, "%s went unseen", fault_names[kind]);
        cr_assert(strstr(cg_error_message(), "proof 1") != NULL, "%s", cg_error_message());
        cr_assert(strstr(cg_error_message(), "gradient of input 0") != NULL, "%s", cg_error_message());
    }
}

Test(planted, every_fault_fails_proof_1_of_a_large_case) {
    for (fault_kind kind = SIGN; kind < FAULTS; kind++) {
        fault planted = {kind, false};
        gradcheck_case test = planted_case(&planted);
        test.inputs[0].shape = test.inputs[1].shape = CG_SHAPE(61, 61);
        cr_assert(gradcheck_reference(&test, oracle) != CG_OK, "%s went unseen", fault_names[kind]);
        cr_assert(strstr(cg_error_message(), "gradient of input 0") != NULL, "%s", cg_error_message());
    }
}

Test(planted, every_fault_on_the_device_fails_proofs_2_and_3) {
    for (fault_kind kind = SIGN; kind < FAULTS; kind++) {
        fault planted = {kind, true};
        gradcheck_case test = planted_case(&planted);
        cr_assert(gradcheck_reference(&test, oracle) == CG_OK, "%s", cg_error_message());
        cr_assert(gradcheck_against(&test, device, oracle, NULL) != CG_OK, "%s went unseen", fault_names[kind]);
        cr_assert(strstr(cg_error_message(), "proof 2") != NULL, "%s", cg_error_message());
        cr_assert(gradcheck_difference(&test, device, oracle, GRADCHECK_DIRECTIONS) != CG_OK, "%s went unseen",
                  fault_names[kind]);
        cr_assert(strstr(cg_error_message(), "proof 3") != NULL, "%s", cg_error_message());
        cr_assert(strstr(cg_error_message(), "gradient of input 0") != NULL, "%s", cg_error_message());
    }
}

static cg_tensor *build_wrong_forward(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    bool wrong = cg_device_real(cg_tape_device(tape)) == CG_F32;
    return cg_scale(tape, inputs[0], wrong ? 1.001 : 1.0);
}

Test(planted, a_forward_off_by_a_thousandth_fails_proof_2) {
    gradcheck_case test = {
        .name = "forward", .build = build_wrong_forward, .n_inputs = 1, .inputs = {{.shape = CG_SHAPE(3, 4)}}};
    test.tolerance = GRADCHECK_NETWORK;
    cr_assert(gradcheck_against(&test, device, oracle, NULL) != CG_OK, "a wrong output went unseen");
    cr_assert(strstr(cg_error_message(), "output [3, 4]") != NULL, "%s", cg_error_message());
}

static cg_tensor *build_nothing(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_sub(tape, inputs[0], inputs[0]);
}

Test(planted, a_case_whose_gradient_is_zero_is_mistrusted) {
    gradcheck_case test = {
        .name = "x - x", .build = build_nothing, .n_inputs = 1, .inputs = {{.shape = CG_SHAPE(3, 4)}}};
    cr_assert(gradcheck_reference(&test, oracle) != CG_OK);
    cr_assert(strstr(cg_error_message(), "MISTRUSTED") != NULL, "%s", cg_error_message());
    cr_assert(gradcheck_against(&test, device, oracle, NULL) != CG_OK);
    cr_assert(gradcheck_difference(&test, device, oracle, GRADCHECK_DIRECTIONS) != CG_OK);
    test.flags = GRADCHECK_TRUSTED;
    cr_assert(gradcheck_reference(&test, oracle) == CG_OK, "%s", cg_error_message());
    cr_assert(gradcheck_against(&test, device, oracle, NULL) == CG_OK, "%s", cg_error_message());
    cr_assert(gradcheck_difference(&test, device, oracle, GRADCHECK_DIRECTIONS) == CG_OK, "%s", cg_error_message());
}
