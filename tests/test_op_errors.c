/* Wrong arguments of ops: each fails at once, names what it was given, and leaves a tape that can be used again. */
#include "devices.h"
#include "failures.h"
#include "tensors.h"

#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static cg_device *device;
static cg_tape *tape;
static cg_tensor *matrix, *row, *classes; /* [2, 3], [3], [2] of i64 */

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    cr_assert(tape != NULL, "%s", cg_error_message());
    matrix = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    row = test_tensor(device, CG_SHAPE(3), (double[]){1, 2, 3});
    classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 2});
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_tensor_destroy(matrix);
    cg_tensor_destroy(row);
    cg_tensor_destroy(classes);
    cg_device_close(device);
}

TestSuite(op_errors, .init = open_device, .fini = close_device);

Test(op_errors, shapes_that_do_not_broadcast_are_both_named) {
    cg_tensor *two = test_tensor(device, CG_SHAPE(2), NULL);
    FAILS(cg_add(tape, matrix, two), CG_ERR_SHAPE, "[2, 3]", "[2]");
    FAILS(cg_sub(tape, two, matrix), CG_ERR_SHAPE, "[2, 3]", "[2]");
    FAILS(cg_mul(tape, two, row), CG_ERR_SHAPE, "[2]", "[3]");
    cg_tensor_destroy(two);
}

Test(op_errors, matmul_names_both_shapes) {
    cg_tensor *cube = test_tensor(device, CG_SHAPE(4, 2, 3), NULL),
              *other = test_tensor(device, CG_SHAPE(5, 3, 2), NULL);
    FAILS(cg_matmul(tape, matrix, matrix, NULL), CG_ERR_SHAPE, "[2, 3]", "inner");
    FAILS(cg_matmul(tape, cube, other, NULL), CG_ERR_SHAPE, "[4, 2, 3]", "[5, 3, 2]");
    FAILS(cg_matmul(tape, row, matrix, NULL), CG_ERR_SHAPE, "[3]", "matmul");
    FAILS(cg_matmul(tape, matrix, matrix, &(cg_matmul_options){.transpose_b = true, .lda = 2}), CG_ERR_ARGUMENT, "2",
          "[2, 3]");
    FAILS(cg_matmul(tape, matrix, matrix, &(cg_matmul_options){.transpose_b = true, .lda = 100}), CG_ERR_SHAPE, "100",
          "[2, 3]");
    cg_tensor_destroy(cube);
    cg_tensor_destroy(other);
}

Test(op_errors, linear_names_both_shapes) {
    cg_tensor *weight = test_tensor(device, CG_SHAPE(4, 2), NULL), *bias = test_tensor(device, CG_SHAPE(5), NULL);
    FAILS(cg_linear(tape, matrix, weight, NULL), CG_ERR_SHAPE, "[2, 3]", "[4, 2]");
    FAILS(cg_linear(tape, weight, weight, bias), CG_ERR_SHAPE, "[4, 2]", "[5]");
    cg_tensor_destroy(weight);
    cg_tensor_destroy(bias);
}

/* [n, 1] against [n] would broadcast to [n, n] and give a wrong loss without a word. */
Test(op_errors, mse_loss_never_broadcasts) {
    cg_tensor *column = test_tensor(device, CG_SHAPE(3, 1), NULL);
    FAILS(cg_mse_loss(tape, column, row, CG_REDUCE_MEAN), CG_ERR_SHAPE, "[3, 1]", "[3]");
    FAILS(cg_mse_loss(tape, row, column, CG_REDUCE_NONE), CG_ERR_SHAPE, "[3, 1]", "[3]");
    FAILS(cg_mse_loss(tape, row, row, (cg_reduction)9), CG_ERR_ARGUMENT, "9", "reduction");
    cg_tensor_destroy(column);
}

Test(op_errors, cross_entropy_wants_rows_of_logits_and_classes) {
    cg_tensor *three = test_classes(device, CG_I64, CG_SHAPE(3), (int64_t[]){0, 1, 2});
    FAILS(cg_cross_entropy(tape, matrix, three, CG_REDUCE_MEAN), CG_ERR_SHAPE, "[2, 3]", "[3]");
    FAILS(cg_cross_entropy(tape, row, classes, CG_REDUCE_MEAN), CG_ERR_SHAPE, "[3]", "[2]");
    cg_tensor_destroy(three);
    cg_tensor *floats = test_tensor(device, CG_SHAPE(2), NULL);
    cg_tensor *empty = test_tensor(device, CG_SHAPE(2, 0), NULL);
    FAILS(cg_cross_entropy(tape, matrix, floats, CG_REDUCE_MEAN), CG_ERR_DTYPE, cg_dtype_name(cg_device_real(device)),
          "cross_entropy");
    FAILS(cg_cross_entropy(tape, empty, classes, CG_REDUCE_MEAN), CG_ERR_SHAPE, "[2, 0]", "[2]");
    cg_tensor_destroy(floats);
    cg_tensor_destroy(empty);
}

Test(op_errors, axes_that_are_not_there_are_named) {
    FAILS(cg_argmax(tape, matrix, 2), CG_ERR_ARGUMENT, "2", "[2, 3]");
    FAILS(cg_argmax(tape, matrix, -3), CG_ERR_ARGUMENT, "-3", "[2, 3]");
    FAILS(cg_log_softmax(tape, matrix, 5), CG_ERR_ARGUMENT, "5", "[2, 3]");
    FAILS(cg_sum(tape, matrix, 4, false), CG_ERR_ARGUMENT, "4", "[2, 3]");
    FAILS(cg_flatten(tape, matrix, 0, 2), CG_ERR_ARGUMENT, "2", "[2, 3]");
    FAILS(cg_flatten(tape, matrix, 1, 0), CG_ERR_ARGUMENT, "1", "0");
}

Test(op_errors, reshape_wants_the_same_number_of_elements) {
    FAILS(cg_reshape(tape, matrix, &CG_SHAPE(4, 2)), CG_ERR_SHAPE, "[4, 2]", "[2, 3]");
    FAILS(cg_reshape(tape, matrix, &CG_SHAPE(4, -1)), CG_ERR_SHAPE, "[4, -1]", "[2, 3]");
    FAILS(cg_reshape(tape, matrix, &CG_SHAPE(-1, -1)), CG_ERR_SHAPE, "[-1, -1]", "[2, 3]");
    FAILS(cg_reshape(tape, matrix, &CG_SHAPE(-2, -3)), CG_ERR_SHAPE, "[-2, -3]", "[2, 3]");
}

Test(op_errors, integers_are_no_place_for_arithmetic) {
    FAILS(cg_relu(tape, classes), CG_ERR_DTYPE, "i64", "relu");
    FAILS(cg_add(tape, classes, classes), CG_ERR_DTYPE, "i64", "add");
    FAILS(cg_sum(tape, classes, 1, false), CG_ERR_DTYPE, "i64", "sum");
    cg_tensor *scalar = test_tensor(device, CG_SCALAR, NULL);
    FAILS(cg_mul(tape, scalar, classes), CG_ERR_DTYPE, "i64", "mul");
    cg_tensor_destroy(scalar);
}

Test(op_errors, an_absent_tensor_is_an_argument_error) {
    FAILS(cg_add(tape, NULL, row), CG_ERR_ARGUMENT, "add", "");
    FAILS(cg_relu(tape, NULL), CG_ERR_ARGUMENT, "relu", "");
    FAILS(cg_matmul(tape, matrix, NULL, NULL), CG_ERR_ARGUMENT, "matmul", "");
    FAILS(cg_linear(tape, matrix, NULL, NULL), CG_ERR_ARGUMENT, "linear", "");
    FAILS(cg_mse_loss(tape, row, NULL, CG_REDUCE_MEAN), CG_ERR_ARGUMENT, "mse_loss", "");
    FAILS(cg_cross_entropy(tape, matrix, NULL, CG_REDUCE_MEAN), CG_ERR_ARGUMENT, "cross_entropy", "");
}

Test(op_errors, a_tensor_of_another_device_is_refused) {
    cg_device *other = NULL;
    cr_assert(cg_device_open("reference", &other) == CG_OK, "%s", cg_error_message());
    cg_tensor *stranger = test_tensor(other, CG_SHAPE(3), NULL);
    cg_tensor *result = cg_add(tape, row, stranger);
    cr_assert(result != NULL && cg_tape_status(tape) != CG_OK, "another device's tensor was taken");
    cr_assert(strstr(cg_tape_error(tape), "add") != NULL, "%s", cg_tape_error(tape));
    cg_tape_reset(tape);
    cg_tensor_destroy(stranger);
    cg_device_close(other);
}

Test(op_errors, the_first_error_sticks_and_poison_spreads) {
    cg_tensor *poison = cg_reshape(tape, matrix, &CG_SHAPE(7));
    char first[256];
    strncpy(first, cg_tape_error(tape), sizeof first - 1);
    first[sizeof first - 1] = 0;
    cg_tensor *loss = cg_sum(tape, cg_relu(tape, cg_matmul(tape, poison, row, NULL)), CG_ALL_AXES, false);
    cr_assert(loss != NULL);
    cr_assert_eq(cg_backward(tape, loss), CG_ERR_SHAPE);
    cr_assert_eq(cg_tape_run(tape), CG_ERR_SHAPE);
    cr_assert_eq(cg_copy(tape, row, loss), CG_ERR_SHAPE);
    double value = 0;
    cr_assert(cg_tensor_item(loss, &value) != CG_OK, "poison has no value");
    cr_assert(strncmp(cg_tape_error(tape), first, sizeof first - 1) == 0, "the first message is kept: %s",
              cg_tape_error(tape));
}

Test(op_errors, backward_wants_one_element_or_a_gradient_of_the_same_shape) {
    cg_tensor_set_requires_grad(row, true);
    cr_assert_eq(cg_backward(tape, cg_scale(tape, row, 2)), CG_ERR_SHAPE);
    cr_assert(strstr(cg_error_message(), "[3]") != NULL, "%s", cg_error_message());
    cg_tape_reset(tape);
    cr_assert_eq(cg_backward_from(tape, cg_scale(tape, row, 2), matrix), CG_ERR_SHAPE);
    cr_assert(strstr(cg_error_message(), "[2, 3]") != NULL, "%s", cg_error_message());
}

Test(op_errors, a_copy_of_another_size_or_type_is_refused) {
    cr_assert_eq(cg_copy(tape, row, matrix), CG_ERR_SHAPE);
    cr_assert(strstr(cg_tape_error(tape), "[2, 3]") != NULL, "%s", cg_tape_error(tape));
    cg_tape_reset(tape);
    cr_assert(cg_copy(tape, classes, row) != CG_OK);
}

Test(op_errors, a_copy_within_the_same_memory_is_refused) {
    cg_tensor *front = NULL, *back = NULL;
    cr_assert(cg_tensor_view(matrix, 0, &CG_SHAPE(4), &front) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_view(matrix, 2, &CG_SHAPE(4), &back) == CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_copy(tape, back, front), CG_ERR_ARGUMENT);
    cr_assert(strstr(cg_tape_error(tape), "same memory") != NULL, "%s", cg_tape_error(tape));
    cg_tape_reset(tape);
    cr_assert_eq(cg_copy(tape, matrix, matrix), CG_ERR_ARGUMENT);
    cg_tape_reset(tape);
    cg_tensor_destroy(front);
    cg_tensor_destroy(back);
    cr_assert(cg_tensor_view(matrix, 0, &CG_SHAPE(3), &front) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_view(matrix, 3, &CG_SHAPE(3), &back) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_copy(tape, back, front) == CG_OK, "side by side is no overlap: %s", cg_tape_error(tape));
    test_expect("copied beside itself", matrix, CG_SHAPE(2, 3), (double[]){1, 2, 3, 1, 2, 3}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(front);
    cg_tensor_destroy(back);
}

/* Memory comes when an op runs: nothing of these exists, and the multiplication of their sizes would go wrong first. */
Test(op_errors, more_elements_than_can_be_counted_are_refused) {
    const int64_t huge = (int64_t)1 << 40;
    FAILS(cg_full(tape, &CG_SHAPE(huge, huge), 0), CG_ERR_SHAPE, "full", "1099511627776");
    FAILS(cg_full(tape, &CG_SHAPE(0, huge, huge), 0), CG_ERR_SHAPE, "full", "1099511627776");
    FAILS(cg_full(tape, &CG_SHAPE(2, -3), 0), CG_ERR_SHAPE, "full", "[2, -3]");
    FAILS(cg_full(tape, &(cg_shape){.rank = 9}, 0), CG_ERR_SHAPE, "full", "9");
    FAILS(cg_expand(tape, cg_reshape(tape, row, &CG_SHAPE(3, 1, 1)), &CG_SHAPE(3, huge, huge)), CG_ERR_SHAPE, "expand",
          "1099511627776");
    FAILS(cg_repeat(tape, row, (int64_t[]){huge, huge}, 2), CG_ERR_SHAPE, "repeat", "1099511627776");
    FAILS(cg_one_hot(tape, classes, INT64_MAX), CG_ERR_SHAPE, "one_hot", "9223372036854775807");
    cg_tensor *column = cg_full(tape, &CG_SHAPE(huge, 1), 0), *line = cg_full(tape, &CG_SHAPE(1, huge), 0);
    FAILS(cg_mul(tape, column, line), CG_ERR_SHAPE, "mul", "[1099511627776, 1099511627776]");
}

Test(op_errors, pointers_that_must_be_there_are_named) {
    FAILS(cg_reshape(tape, matrix, NULL), CG_ERR_ARGUMENT, "reshape", "shape");
    FAILS(cg_permute(tape, matrix, NULL), CG_ERR_ARGUMENT, "permute", "order");
    FAILS(cg_repeat(tape, matrix, NULL, 2), CG_ERR_ARGUMENT, "repeat", "counts");
    cg_tensor *parts[2];
    cr_assert_eq(cg_split_tensor(tape, matrix, 1, NULL, 2, parts), CG_ERR_ARGUMENT);
    cr_assert(strstr(cg_tape_error(tape), "sizes") != NULL, "%s", cg_tape_error(tape));
    cg_tape_reset(tape);
    cr_assert_eq(cg_split_tensor(tape, matrix, 1, (int64_t[]){1, 2}, 2, NULL), CG_ERR_ARGUMENT);
    cr_assert(strstr(cg_tape_error(tape), "parts") != NULL, "%s", cg_tape_error(tape));
    cg_tape_reset(tape);
}

/* Reads a loss for one row of 3 logits and that class; the status says whether the class was taken. */
static cg_status loss_of_class(int64_t class, cg_dtype dtype, double *loss) {
    cg_tensor *target = test_classes(device, dtype, CG_SHAPE(1), &class);
    cg_tensor *logits = cg_reshape(tape, row, &CG_SHAPE(1, 3));
    cg_status status = cg_tensor_item(cg_cross_entropy(tape, logits, target, CG_REDUCE_MEAN), loss);
    cg_tape_reset(tape);
    cg_tensor_destroy(target);
    return status;
}

Test(op_errors, a_class_out_of_range_surfaces_at_the_read) {
    const int64_t bad[] = {-1, 3, 1000000, -101, 2147483647};
    const cg_dtype dtypes[] = {CG_I64, CG_I32};
    double loss = 0;
    for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0]; i++) {
        cg_status status = loss_of_class(bad[i / 2], dtypes[i % 2], &loss);
        cr_assert(status == CG_ERR_INDEX, "class %lld: %s", (long long)bad[i / 2], cg_status_name(status));
        cr_assert(strstr(cg_error_message(), "cross_entropy") != NULL, "%s", cg_error_message());
        cr_assert(loss_of_class(2, dtypes[i % 2], &loss) == CG_OK, "the device works again: %s", cg_error_message());
        cr_assert_float_eq(loss, 0.4076059644443804, 1e-6);
    }
}

Test(op_errors, a_class_out_of_range_is_named_with_its_row) {
    cg_tensor *logits = test_tensor(device, CG_SHAPE(4, 3), (double[12]){0});
    for (int64_t i = 0; i < 4; i++) {
        int64_t labels[4] = {0, 1, 2, 0};
        labels[i] = 5;
        cg_tensor *target = test_classes(device, CG_I64, CG_SHAPE(4), labels);
        char words[64];
        snprintf(words, sizeof words, "class 5 of row %lld is not in 0..2", (long long)i);
        double loss = 0;
        cr_expect_eq(cg_tensor_item(cg_cross_entropy(tape, logits, target, CG_REDUCE_SUM), &loss), CG_ERR_INDEX);
        cr_expect(strstr(cg_error_message(), words) != NULL, "%s", cg_error_message());
        cg_tape_reset(tape);
        cg_tensor_destroy(target);
    }
    cg_tensor_destroy(logits);
}

Test(op_errors, a_class_beyond_32_bits_is_out_of_range) {
    double loss = 0;
    cr_assert_eq(loss_of_class(4294967296, CG_I64, &loss), CG_ERR_INDEX);
    cr_assert_eq(loss_of_class(-4294967295, CG_I64, &loss), CG_ERR_INDEX);
}
