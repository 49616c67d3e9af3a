/* Known values, edges and errors of every op, on the device under test. */
#include "device_and_tape.h"
#include "devices.h"
#include "tensors.h"

#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A few roundings of numbers near 1. */
#define CLOSE 1e-6

/* Tensors of one test, destroyed with it: V(1, 2) is [2], M(2, 3, ...) a matrix of those rows and columns. */
static cg_tensor *made[16];
static size_t n_made;

static cg_tensor *keep(cg_tensor *tensor) {
    cr_assert(n_made < sizeof made / sizeof made[0]);
    made[n_made++] = tensor;
    return tensor;
}

#define V(...)                                                                                                         \
    keep(test_tensor(device, CG_SHAPE(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__}))
#define M(rows, columns, ...) keep(test_tensor(device, CG_SHAPE(rows, columns), (double[]){__VA_ARGS__}))
#define ZEROS(...) keep(test_tensor(device, CG_SHAPE(__VA_ARGS__), NULL))

static void destroy_made(void) {
    while (n_made > 0) {
        cg_tensor_destroy(made[--n_made]);
    }
    close_device();
}

TestSuite(ops, .init = open_device, .fini = destroy_made);

/* Elementwise. */

Test(ops, add_sub_mul_of_equal_shapes) {
    cg_tensor *a = V(1, -2, 3), *b = V(0.5, 4, -1);
    test_expect("a + b", cg_add(tape, a, b), CG_SHAPE(3), (double[]){1.5, 2, 2}, 0, 0);
    test_expect("a - b", cg_sub(tape, a, b), CG_SHAPE(3), (double[]){0.5, -6, 4}, 0, 0);
    test_expect("a * b", cg_mul(tape, a, b), CG_SHAPE(3), (double[]){0.5, -8, -3}, 0, 0);
}

Test(ops, sub_broadcasts_a_row_a_column_and_both) {
    cg_tensor *a = M(2, 3, 1, 2, 3, 4, 5, 6), *row = V(10, 20, 30);
    cg_tensor *column = M(2, 1, 100, 200);
    test_expect("row", cg_sub(tape, a, row), CG_SHAPE(2, 3), (double[]){-9, -18, -27, -6, -15, -24}, 0, 0);
    test_expect("column", cg_sub(tape, column, a), CG_SHAPE(2, 3), (double[]){99, 98, 97, 196, 195, 194}, 0, 0);
    test_expect("both", cg_sub(tape, column, row), CG_SHAPE(2, 3), (double[]){90, 80, 70, 190, 180, 170}, 0, 0);
}

Test(ops, a_scalar_broadcasts_against_every_rank) {
    cg_tensor *two = keep(test_tensor(device, CG_SCALAR, (double[]){2}));
    test_expect("scalar", cg_mul(tape, two, two), CG_SCALAR, (double[]){4}, 0, 0);
    test_expect("matrix", cg_mul(tape, M(2, 2, 1, 2, 3, 4), two), CG_SHAPE(2, 2), (double[]){2, 4, 6, 8}, 0, 0);
    test_expect("[1, 1]", cg_mul(tape, two, ZEROS(1, 1)), CG_SHAPE(1, 1), (double[]){0}, 0, 0);
}

Test(ops, scale_and_square) {
    cg_tensor *x = V(-3, 0, 0.5);
    test_expect("scale", cg_scale(tape, x, -2), CG_SHAPE(3), (double[]){6, 0, -1}, 0, 0);
    test_expect("square", cg_square(tape, x), CG_SHAPE(3), (double[]){9, 0, 0.25}, 0, 0);
}

Test(ops, relu_keeps_nan_and_infinity) {
    cg_tensor *x = V(-1, 0, 2, NAN, INFINITY, -INFINITY, -1e-40);
    test_expect("relu", cg_relu(tape, x), CG_SHAPE(7), (double[]){0, 0, 2, NAN, INFINITY, 0, 0}, 0, 0);
}

Test(ops, general_relu_leaks_shifts_and_clamps) {
    cg_tensor *x = V(-2, 0, 1, 9, NAN);
    test_expect("relu", cg_general_relu(tape, x, 0, 0, INFINITY), CG_SHAPE(5), (double[]){0, 0, 1, 9, NAN}, 0, 0);
    test_expect("leaky", cg_general_relu(tape, x, 0.5, 0, INFINITY), CG_SHAPE(5), (double[]){-1, 0, 1, 9, NAN}, 0, 0);
    test_expect("shifted", cg_general_relu(tape, x, 0, 0.5, INFINITY), CG_SHAPE(5),
                (double[]){-0.5, -0.5, 0.5, 8.5, NAN}, 0, 0);
    test_expect("clamped", cg_general_relu(tape, x, 0.25, 0.5, 6), CG_SHAPE(5), (double[]){-1, -0.5, 0.5, 6, NAN}, 0,
                0);
}

Test(ops, arithmetic_keeps_nan_and_infinity) {
    cg_tensor *x = V(NAN, INFINITY, -INFINITY, 1), *zero = V(0, 0, 0, 0);
    test_expect("x + 0", cg_add(tape, x, zero), CG_SHAPE(4), (double[]){NAN, INFINITY, -INFINITY, 1}, 0, 0);
    test_expect("x * 0", cg_mul(tape, x, zero), CG_SHAPE(4), (double[]){NAN, NAN, NAN, 0}, 0, 0);
    test_expect("x - x", cg_sub(tape, x, x), CG_SHAPE(4), (double[]){NAN, NAN, NAN, 0}, 0, 0);
    test_expect("sum", cg_sum(tape, x, CG_ALL_AXES, false), CG_SCALAR, (double[]){NAN}, 0, 0);
}

/* Products. */

Test(ops, matmul_by_hand) {
    cg_tensor *a = M(2, 3, 1, 2, 3, 4, 5, 6), *b = M(3, 2, 7, 8, 9, 10, 11, 12);
    test_expect("a b", cg_matmul(tape, a, b, NULL), CG_SHAPE(2, 2), (double[]){58, 64, 139, 154}, 0, 0);
    cg_matmul_options both = {.transpose_a = true, .transpose_b = true};
    test_expect("a^T b^T", cg_matmul(tape, a, b, &both), CG_SHAPE(3, 3),
                (double[]){39, 49, 59, 54, 68, 82, 69, 87, 105}, 0, 0);
    cg_matmul_options ta = {.transpose_a = true}, tb = {.transpose_b = true};
    test_expect("a^T a", cg_matmul(tape, a, a, &ta), CG_SHAPE(3, 3), (double[]){17, 22, 27, 22, 29, 36, 27, 36, 45}, 0,
                0);
    test_expect("a a^T", cg_matmul(tape, a, a, &tb), CG_SHAPE(2, 2), (double[]){14, 32, 32, 77}, 0, 0);
}

Test(ops, linear_by_hand) {
    cg_tensor *x = M(2, 3, 1, 2, 3, 4, 5, 6), *weight = M(2, 3, 1, 0, -1, 2, 1, 0), *bias = V(10, 20);
    test_expect("linear", cg_linear(tape, x, weight, bias), CG_SHAPE(2, 2), (double[]){8, 24, 8, 33}, 0, 0);
    test_expect("no bias", cg_linear(tape, x, weight, NULL), CG_SHAPE(2, 2), (double[]){-2, 4, -2, 13}, 0, 0);
}

/* A product of whole numbers is exact in any order of summation: an index that is off by one has no place to hide. */
static void check_integer_matmul(int64_t m, int64_t k, int64_t n, bool transpose_a, bool transpose_b) {
    cg_tensor *a = test_integers(device, transpose_a ? CG_SHAPE(k, m) : CG_SHAPE(m, k), 1);
    cg_tensor *b = test_integers(device, transpose_b ? CG_SHAPE(n, k) : CG_SHAPE(k, n), 2);
    double *x = test_doubles(m * k), *y = test_doubles(k * n), *expected = test_doubles(m * n);
    cr_assert(cg_tensor_read_f64(a, x, m * k) == CG_OK && cg_tensor_read_f64(b, y, k * n) == CG_OK);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t l = 0; l < k; l++) {
            for (int64_t j = 0; j < n; j++) {
                expected[i * n + j] += x[transpose_a ? l * m + i : i * k + l] * y[transpose_b ? j * k + l : l * n + j];
            }
        }
    }
    cg_matmul_options options = {.transpose_a = transpose_a, .transpose_b = transpose_b};
    test_expect("integer matmul", cg_matmul(tape, a, b, &options), CG_SHAPE(m, n), expected, 0, 0);
    free(x);
    free(y);
    free(expected);
    cg_tensor_destroy(a);
    cg_tensor_destroy(b);
}

Test(ops, matmul_of_integers_is_exact) {
    const int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 1},    {7, 1, 5},     {16, 16, 16},  {17, 33, 9},
                                {64, 64, 64}, {63, 65, 33}, {65, 127, 31}, {129, 257, 7}, {255, 12, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double work = (double)(sizes[i][0] * sizes[i][1] * sizes[i][2]);
        for (int form = 0; form < 4 && 4 * work <= test_device_budget().multiply_adds; form++) {
            check_integer_matmul(sizes[i][0], sizes[i][1], sizes[i][2], form & 1, form & 2);
        }
    }
}

/* Reductions. */

Test(ops, sum_and_mean_over_axes) {
    cg_tensor *x = keep(test_tensor(device, CG_SHAPE(2, 3, 2), (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
    test_expect("all", cg_sum(tape, x, CG_ALL_AXES, false), CG_SCALAR, (double[]){78}, 0, 0);
    test_expect("all, kept", cg_sum(tape, x, 7, true), CG_SHAPE(1, 1, 1), (double[]){78}, 0, 0);
    test_expect("axis 0", cg_sum(tape, x, 1, false), CG_SHAPE(3, 2), (double[]){8, 10, 12, 14, 16, 18}, 0, 0);
    test_expect("axis 1", cg_sum(tape, x, 2, false), CG_SHAPE(2, 2), (double[]){9, 12, 27, 30}, 0, 0);
    test_expect("axis 2", cg_sum(tape, x, 4, true), CG_SHAPE(2, 3, 1), (double[]){3, 7, 11, 15, 19, 23}, 0, 0);
    test_expect("axes 0, 2", cg_sum(tape, x, 5, false), CG_SHAPE(3), (double[]){18, 26, 34}, 0, 0);
    test_expect("mean", cg_mean(tape, x, 5, true), CG_SHAPE(1, 3, 1), (double[]){4.5, 6.5, 8.5}, 0, CLOSE);
    test_expect("no axis", cg_sum(tape, V(1, 2), 0, false), CG_SHAPE(2), (double[]){1, 2}, 0, 0);
}

Test(ops, sum_of_many_ones_is_their_number) {
    const int64_t counts[] = {1, 63, 64, 65, 255, 257, 4099, 65537};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cg_tensor *ones = test_tensor(device, CG_SHAPE(counts[i]), NULL);
        cr_assert(cg_tensor_fill(ones, 1) == CG_OK, "%s", cg_error_message());
        test_expect("sum", cg_sum(tape, ones, CG_ALL_AXES, false), CG_SCALAR, (double[]){(double)counts[i]}, 0, 0);
        cg_tensor_destroy(ones);
    }
}

Test(ops, argmax_takes_the_first_of_equals_and_nan_for_largest) {
    cg_tensor *x = M(4, 3, 1, 3, 3, -1, -2, -1, 5, NAN, 7, NAN, NAN, INFINITY);
    test_expect("rows", cg_argmax(tape, x, -1), CG_SHAPE(4), (double[]){1, 0, 1, 0}, 0, 0);
    test_expect("columns", cg_argmax(tape, M(2, 3, 1, 5, 2, 4, 5, 3), 0), CG_SHAPE(3), (double[]){1, 0, 1}, 0, 0);
    cr_assert_eq(cg_tensor_dtype(cg_argmax(tape, x, 0)), CG_I64);
}

Test(ops, argmax_of_infinities_is_inside) {
    cg_tensor *x = M(2, 2, -INFINITY, -INFINITY, -INFINITY, -1e30);
    test_expect("argmax", cg_argmax(tape, x, 1), CG_SHAPE(2), (double[]){0, 1}, 0, 0);
}

/* Softmax and losses. */

Test(ops, log_softmax_of_known_values) {
    double row[] = {-2.4076059644443806, -1.4076059644443804, -0.4076059644443804}; /* torch, of [0, 1, 2] */
    test_expect("row", cg_log_softmax(tape, V(0, 1, 2), 0), CG_SHAPE(3), row, 0, CLOSE);
    cg_tensor *columns = M(3, 2, 0, 5, 1, 5, 2, 5);
    double third = -1.0986122886681098;
    test_expect("columns", cg_log_softmax(tape, columns, 0), CG_SHAPE(3, 2),
                (double[]){row[0], third, row[1], third, row[2], third}, 0, CLOSE);
}

Test(ops, log_softmax_far_from_zero_neither_overflows_nor_loses_digits) {
    double row[] = {-2.4076059644443806, -1.4076059644443804, -0.4076059644443804};
    test_expect("1e4", cg_log_softmax(tape, V(10000, 10001, 10002), 0), CG_SHAPE(3), row, 0, CLOSE);
    test_expect("-1e4", cg_log_softmax(tape, V(-10002, -10001, -10000), 0), CG_SHAPE(3), row, 0, CLOSE);
    test_expect("one", cg_log_softmax(tape, V(1e30), 0), CG_SHAPE(1), (double[]){0}, 0, 0);
    test_expect("nan", cg_log_softmax(tape, V(1, NAN), 0), CG_SHAPE(2), (double[]){NAN, NAN}, 0, 0);
}

Test(ops, cross_entropy_of_known_values) {
    cg_tensor *logits = M(2, 3, 0, 1, 2, 2, 1, 0);
    double none[] = {0.4076059644443804, 1.4076059644443804}; /* torch */
    const cg_dtype dtypes[] = {CG_I64, CG_I32};
    for (int i = 0; i < 2; i++) {
        cg_tensor *target = keep(test_classes(device, dtypes[i], CG_SHAPE(2), (int64_t[]){2, 1}));
        test_expect("none", cg_cross_entropy(tape, logits, target, CG_REDUCE_NONE), CG_SHAPE(2), none, 0, CLOSE);
        test_expect("sum", cg_cross_entropy(tape, logits, target, CG_REDUCE_SUM), CG_SCALAR,
                    (double[]){none[0] + none[1]}, 0, CLOSE);
        test_expect("mean", cg_cross_entropy(tape, logits, target, CG_REDUCE_MEAN), CG_SCALAR,
                    (double[]){(none[0] + none[1]) / 2}, 0, CLOSE);
    }
}

Test(ops, cross_entropy_far_from_zero_loses_no_digits) {
    cg_tensor *logits = M(2, 3, 10000, 10001, 10002, -10000, -10001, -10002);
    cg_tensor *target = keep(test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){2, 1}));
    test_expect("loss", cg_cross_entropy(tape, logits, target, CG_REDUCE_NONE), CG_SHAPE(2),
                (double[]){0.4076059644443804, 1.4076059644443804}, 0, CLOSE);
}

Test(ops, cross_entropy_of_a_certain_and_of_a_hopeless_class) {
    cg_tensor *logits = M(2, 2, 100, -100, 100, -100);
    cg_tensor *target = keep(test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1}));
    test_expect("loss", cg_cross_entropy(tape, logits, target, CG_REDUCE_NONE), CG_SHAPE(2), (double[]){0, 200}, CLOSE,
                1e-30);
}

Test(ops, mse_loss_of_known_values) {
    cg_tensor *input = M(3, 1, 1, 2, 5), *target = M(3, 1, 0, 4, 2);
    test_expect("none", cg_mse_loss(tape, input, target, CG_REDUCE_NONE), CG_SHAPE(3, 1), (double[]){1, 4, 9}, 0, 0);
    test_expect("sum", cg_mse_loss(tape, input, target, CG_REDUCE_SUM), CG_SCALAR, (double[]){14}, 0, 0);
    test_expect("mean", cg_mse_loss(tape, input, target, CG_REDUCE_MEAN), CG_SCALAR, (double[]){14.0 / 3}, CLOSE, 0);
}

/* Views and copies. */

Test(ops, reshape_and_flatten_keep_the_order) {
    cg_tensor *x = M(2, 3, 1, 2, 3, 4, 5, 6);
    const double *same = (double[]){1, 2, 3, 4, 5, 6};
    test_expect("[3, 2]", cg_reshape(tape, x, &CG_SHAPE(3, 2)), CG_SHAPE(3, 2), same, 0, 0);
    test_expect("[-1]", cg_reshape(tape, x, &CG_SHAPE(-1)), CG_SHAPE(6), same, 0, 0);
    test_expect("[2, -1, 1]", cg_reshape(tape, x, &CG_SHAPE(2, -1, 1)), CG_SHAPE(2, 3, 1), same, 0, 0);
    cg_tensor *cube = cg_reshape(tape, x, &CG_SHAPE(1, 2, 3));
    test_expect("flatten", cg_flatten(tape, cube, 1, -1), CG_SHAPE(1, 6), same, 0, 0);
    test_expect("flatten all", cg_flatten(tape, cube, 0, 2), CG_SHAPE(6), same, 0, 0);
    test_expect("flatten one axis", cg_flatten(tape, cube, 1, 1), CG_SHAPE(1, 2, 3), same, 0, 0);
}

Test(ops, copy_fills_a_tensor_of_the_caller) {
    cg_tensor *x = V(1, 2, 3, 4), *destination = ZEROS(2, 2);
    cr_assert(cg_copy(tape, destination, cg_scale(tape, x, 2)) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("copy", destination, CG_SHAPE(2, 2), (double[]){2, 4, 6, 8}, 0, 0);
}

/* Tensors of no elements. */

Test(ops, empty_tensors_pass_through_every_op) {
    cg_tensor *none = ZEROS(0, 3), *row = V(1, 2, 3), *weight = ZEROS(2, 3), *bias = V(7, 8);
    test_expect("add", cg_add(tape, none, row), CG_SHAPE(0, 3), NULL, 0, 0);
    test_expect("relu", cg_relu(tape, none), CG_SHAPE(0, 3), NULL, 0, 0);
    test_expect("linear", cg_linear(tape, none, weight, bias), CG_SHAPE(0, 2), NULL, 0, 0);
    test_expect("sum", cg_sum(tape, none, CG_ALL_AXES, false), CG_SCALAR, (double[]){0}, 0, 0);
    test_expect("sum of columns", cg_sum(tape, none, 1, false), CG_SHAPE(3), (double[]){0, 0, 0}, 0, 0);
    test_expect("sum of rows", cg_sum(tape, none, 2, false), CG_SHAPE(0), NULL, 0, 0);
    test_expect("mean", cg_mean(tape, none, CG_ALL_AXES, false), CG_SCALAR, (double[]){NAN}, 0, 0);
    test_expect("argmax", cg_argmax(tape, none, 1), CG_SHAPE(0), NULL, 0, 0);
    test_expect("log_softmax", cg_log_softmax(tape, none, 1), CG_SHAPE(0, 3), NULL, 0, 0);
    test_expect("flatten", cg_flatten(tape, none, 0, 1), CG_SHAPE(0), NULL, 0, 0);
}

Test(ops, matmul_over_no_inner_size_is_zero) {
    test_expect("a b", cg_matmul(tape, ZEROS(2, 0), ZEROS(0, 3), NULL), CG_SHAPE(2, 3), (double[]){0, 0, 0, 0, 0, 0}, 0,
                0);
    test_expect("no rows", cg_matmul(tape, ZEROS(0, 2), ZEROS(2, 3), NULL), CG_SHAPE(0, 3), NULL, 0, 0);
    test_expect("no columns", cg_matmul(tape, ZEROS(3, 2), ZEROS(2, 0), NULL), CG_SHAPE(3, 0), NULL, 0, 0);
}

Test(ops, an_empty_batch_has_gradients_of_zero) {
    cg_tensor *weight = M(2, 3, 1, 2, 3, 4, 5, 6), *bias = V(7, 8);
    cg_tensor_set_requires_grad(weight, true);
    cg_tensor_set_requires_grad(bias, true);
    cg_status status = cg_backward_from(tape, cg_linear(tape, ZEROS(0, 3), weight, bias), ZEROS(0, 2));
    cr_assert(status == CG_OK && cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("grad_weight", cg_tensor_grad(weight), CG_SHAPE(2, 3), (double[]){0, 0, 0, 0, 0, 0}, 0, 0);
    test_expect("grad_bias", cg_tensor_grad(bias), CG_SHAPE(2), (double[]){0, 0}, 0, 0);
}
