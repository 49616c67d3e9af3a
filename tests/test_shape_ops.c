/* Ops that move elements, and reductions made of others: the proofs, known values, wrong arguments. */
#include "devices.h"
#include "failures.h"
#include "gradcheck.h"
#include "tensors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef cg_tensor *(*build_fn)(cg_tape *tape, cg_tensor **inputs, const void *context);

static void check(const char *name, gradcheck_class tolerance, build_fn build, cg_shape shape) {
    gradcheck_case test = {.name = name, .build = build, .tolerance = tolerance, .n_inputs = 1};
    test.inputs[0].shape = shape;
    gradcheck_all(&test, 1);
}

static cg_tensor *permute_021(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_permute(tape, inputs[0], (int[]){0, 2, 1});
}

static cg_tensor *permute_2310(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_permute(tape, inputs[0], (int[]){2, 3, 1, 0});
}

static cg_tensor *permute_all(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_permute(tape, inputs[0], (int[]){7, 5, 3, 1, 0, 2, 4, 6});
}

static cg_tensor *transpose(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_transpose(tape, inputs[0], 0, -1);
}

Test(shape_ops, permute_and_transpose) {
    check("permute", GRADCHECK_EXACT, permute_021, CG_SHAPE(3, 5, 7));
    check("permute", GRADCHECK_EXACT, permute_021, CG_SHAPE(1, 65, 33));
    check("permute", GRADCHECK_EXACT, permute_2310, CG_SHAPE(2, 3, 5, 4));
    check("permute", GRADCHECK_EXACT, permute_all, CG_SHAPE(2, 3, 2, 3, 2, 3, 2, 3));
    check("transpose", GRADCHECK_EXACT, transpose, CG_SHAPE(17, 19));
    check("transpose", GRADCHECK_EXACT, transpose, CG_SHAPE(1, 7));
}

static cg_tensor *slice_inside(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_slice(tape, inputs[0], 1, 1, -1, 1);
}

static cg_tensor *slice_by_two(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_slice(tape, inputs[0], -1, 0, 7, 2);
}

static cg_tensor *slices_that_overlap(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_mul(tape, cg_slice(tape, inputs[0], 0, 0, 3, 1), cg_slice(tape, inputs[0], 0, 1, 4, 1));
}

static cg_tensor *select_one(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_select(tape, inputs[0], 1, -2);
}

static cg_tensor *split_three(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    cg_tensor *parts[3];
    cg_status status = cg_split_tensor(tape, inputs[0], 1, (int64_t[]){2, 3, 2}, 3, parts);
    return status == CG_OK ? cg_add(tape, parts[0], parts[2]) : NULL;
}

Test(shape_ops, slice_select_and_split) {
    check("slice", GRADCHECK_EXACT, slice_inside, CG_SHAPE(3, 5, 7));
    check("slice", GRADCHECK_EXACT, slice_by_two, CG_SHAPE(4, 7));
    check("slice", GRADCHECK_ELEMENTWISE, slices_that_overlap, CG_SHAPE(4, 5));
    check("select", GRADCHECK_EXACT, select_one, CG_SHAPE(3, 5, 7));
    gradcheck_case test = {.name = "split",
                           .build = split_three,
                           .tolerance = GRADCHECK_ELEMENTWISE,
                           .flags = GRADCHECK_TRUSTED,
                           .n_inputs = 1,
                           .inputs = {{.shape = CG_SHAPE(3, 7, 2)}}};
    gradcheck_all(&test, 1);
}

static cg_tensor *concat_middle(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_concat(tape, (cg_tensor *[]){inputs[0], inputs[1], inputs[0]}, 3, 1);
}

static cg_tensor *stack_last(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_stack(tape, (cg_tensor *[]){inputs[0], inputs[1]}, 2, -1);
}

static cg_tensor *stack_first(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_stack(tape, (cg_tensor *[]){inputs[0], inputs[1]}, 2, 0);
}

Test(shape_ops, concat_and_stack) {
    const gradcheck_case cases[] = {
        {.name = "concat",
         .build = concat_middle,
         .tolerance = GRADCHECK_ELEMENTWISE, /* a tensor used twice: its gradient is a sum */
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(3, 2, 5)}, {.shape = CG_SHAPE(3, 4, 5)}}},
        {.name = "stack",
         .build = stack_last,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(3, 5)}, {.shape = CG_SHAPE(3, 5)}}},
        {.name = "stack",
         .build = stack_first,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(17)}, {.shape = CG_SHAPE(17)}}},
    };
    gradcheck_all(cases, COUNT(cases));
}

static cg_tensor *expand(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_expand(tape, inputs[0], &CG_SHAPE(2, 3, 4, -1));
}

static cg_tensor *repeat(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_repeat(tape, inputs[0], (int64_t[]){2, 3, 2}, 3);
}

Test(shape_ops, expand_and_repeat) {
    check("expand", GRADCHECK_REDUCTION, expand, CG_SHAPE(3, 1, 5));
    check("repeat", GRADCHECK_REDUCTION, repeat, CG_SHAPE(2, 5));
}

static cg_tensor *select_rows(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_index_select(tape, inputs[0], *(const int *)context, inputs[1]);
}

static cg_tensor *gather_middle(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_gather(tape, inputs[0], 1, inputs[1]);
}

static cg_tensor *scatter_middle(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_scatter_add(tape, inputs[0], 1, inputs[1], inputs[2]);
}

static cg_tensor *embed(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_embedding(tape, inputs[0], inputs[1], *(const int64_t *)context);
}

Test(shape_ops, index_select_gather_scatter_and_embedding) {
    const int first = 0, middle = 1;
    const int64_t none = -1;
    const gradcheck_case cases[] = {
        {.name = "index_select",
         .build = select_rows,
         .context = &first,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(5, 3)}, {.shape = CG_SHAPE(11), .classes = 5}}},
        {.name = "index_select",
         .build = select_rows,
         .context = &middle,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(2, 5, 3)}, {.shape = CG_SHAPE(7), .classes = 5}}},
        {.name = "gather",
         .build = gather_middle,
         .tolerance = GRADCHECK_REDUCTION,
         .flags = GRADCHECK_TRUSTED,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(3, 5, 4)}, {.shape = CG_SHAPE(2, 7, 3), .classes = 5}}},
        {.name = "scatter_add",
         .build = scatter_middle,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 3,
         .inputs = {{.shape = CG_SHAPE(2, 3, 4)},
                    {.shape = CG_SHAPE(2, 7, 4), .classes = 3},
                    {.shape = CG_SHAPE(2, 7, 4)}}},
        {.name = "embedding",
         .build = embed,
         .context = &none,
         .tolerance = GRADCHECK_REDUCTION,
         .n_inputs = 2,
         .inputs = {{.shape = CG_SHAPE(7, 5)}, {.shape = CG_SHAPE(3, 4), .classes = 7}}},
    };
    gradcheck_all(cases, COUNT(cases));
}

static cg_tensor *max_of_two(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_max(tape, inputs[0], 5, true);
}

static cg_tensor *min_of_last(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_min(tape, inputs[0], 4, false);
}

static cg_tensor *var_of_ends(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_var(tape, inputs[0], 5, 1, false);
}

static cg_tensor *logsumexp_of_first(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_logsumexp(tape, inputs[0], 3, false);
}

static cg_tensor *norm_of_last(cg_tape *tape, cg_tensor **inputs, const void *context) {
    return cg_norm(tape, inputs[0], *(const double *)context, 6, true);
}

static cg_tensor *cumsum_of_middle(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_cumsum(tape, inputs[0], 1);
}

Test(shape_ops, reductions) {
    const double p[] = {1, 2, INFINITY};
    gradcheck_case test = {.tolerance = GRADCHECK_SOFTMAX,
                           .flags = GRADCHECK_TRUSTED,
                           .n_kinks = 1,
                           .n_inputs = 1,
                           .inputs = {{.shape = CG_SHAPE(3, 5, 7)}}};
    const struct {
        const char *name;
        build_fn build;
        const void *context;
    } rows[] = {{"max", max_of_two, NULL},     {"min", min_of_last, NULL},
                {"var", var_of_ends, NULL},    {"logsumexp", logsumexp_of_first, NULL},
                {"norm", norm_of_last, &p[0]}, {"norm", norm_of_last, &p[1]},
                {"norm", norm_of_last, &p[2]}, {"cumsum", cumsum_of_middle, NULL}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        test.name = rows[i].name;
        test.build = rows[i].build;
        test.context = rows[i].context;
        gradcheck_all(&test, 1);
    }
}

static cg_device *device;
static cg_tape *tape;
static cg_tensor *matrix, *row, *index_of_two; /* [2, 3], [3], [2] of i64 */

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    matrix = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    row = test_tensor(device, CG_SHAPE(3), (double[]){1, 2, 3});
    index_of_two = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 2});
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_tensor_destroy(matrix);
    cg_tensor_destroy(row);
    cg_tensor_destroy(index_of_two);
    cg_device_close(device);
}

TestSuite(shape_values, .init = open_device, .fini = close_device);
TestSuite(shape_errors, .init = open_device, .fini = close_device);

Test(shape_values, casts_cut_towards_zero_and_integers_keep_their_digits) {
    cg_tensor *reals = test_tensor(device, CG_SHAPE(4), (double[]){-1.7, 0.9, 2.5, 255});
    cg_tensor *integers = cg_cast(tape, reals, CG_I64);
    test_expect("to i64", integers, CG_SHAPE(4), (double[]){-1, 0, 2, 255}, 0, 0);
    test_expect("to u8", cg_cast(tape, cg_slice(tape, integers, 0, 2, 4, 1), CG_U8), CG_SHAPE(2), (double[]){2, 255}, 0,
                0);
    test_expect("back", cg_cast(tape, cg_cast(tape, integers, CG_I32), cg_device_real(device)), CG_SHAPE(4),
                (double[]){-1, 0, 2, 255}, 0, 0);
    cr_assert(cg_cast(tape, reals, cg_device_real(device)) == reals, "a cast to its own data type is no copy");
    cg_tensor_destroy(reals);
}

/* OpenCL's devices have no f64: there such a cast falls back, which is allowed here. */
Test(shape_values, the_gradient_passes_a_cast_between_real_numbers) {
    cg_dtype real = cg_device_real(device), other = real == CG_F32 ? CG_F64 : CG_F32;
    cg_device_set_fallback(device, CG_FALLBACK_ALLOW);
    cg_tensor_set_requires_grad(row, true);
    cg_tensor *square = cg_square(tape, cg_cast(tape, cg_cast(tape, row, other), real));
    cr_assert(cg_backward(tape, cg_sum(tape, square, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    test_expect("gradient", cg_tensor_grad(row), CG_SHAPE(3), (double[]){2, 4, 6}, 0, 0);
    cg_tape_reset(tape);
}

Test(shape_values, integers_move_like_floats) {
    cg_tensor *both = cg_concat(tape, (cg_tensor *[]){index_of_two, index_of_two}, 2, 0);
    test_expect("concat", both, CG_SHAPE(4), (double[]){0, 2, 0, 2}, 0, 0);
    cg_tensor *bytes = cg_cast(tape, both, CG_U8);
    test_expect("transpose", cg_transpose(tape, cg_reshape(tape, bytes, &CG_SHAPE(2, 2)), 0, 1), CG_SHAPE(2, 2),
                (double[]){0, 0, 2, 2}, 0, 0);
}

Test(shape_values, one_hot_and_repeat) {
    test_expect("one_hot", cg_one_hot(tape, index_of_two, 3), CG_SHAPE(2, 3), (double[]){1, 0, 0, 0, 0, 1}, 0, 0);
    test_expect("repeat", cg_repeat(tape, row, (int64_t[]){2, 2}, 2), CG_SHAPE(2, 6),
                (double[]){1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}, 0, 0);
    test_expect("repeat by 0", cg_repeat(tape, row, (int64_t[]){0}, 1), CG_SHAPE(0), NULL, 0, 0);
}

Test(shape_values, extremes_take_the_first_of_equals_and_nan) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 3, 3, NAN, 1, 1});
    test_expect("argmin", cg_argmin(tape, x, 1), CG_SHAPE(2), (double[]){0, 0}, 0, 0);
    test_expect("min", cg_min(tape, x, 2, false), CG_SHAPE(2), (double[]){1, NAN}, 0, 0);
    test_expect("max", cg_max(tape, x, 2, true), CG_SHAPE(2, 1), (double[]){3, NAN}, 0, 0);
    test_expect("all", cg_max(tape, row, CG_ALL_AXES, false), CG_SCALAR, (double[]){3}, 0, 0);
    cg_tensor_destroy(x);
}

Test(shape_values, sums_that_would_overflow_or_vanish) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(3, 2), (double[]){1e4, 1e4, -INFINITY, -INFINITY, -80, 80});
    test_expect("logsumexp", cg_logsumexp(tape, x, 2, false), CG_SHAPE(3), (double[]){1e4 + log(2), -INFINITY, 80},
                1e-6, 0);
    cg_tensor_destroy(x);
    x = test_tensor(device, CG_SHAPE(3), (double[]){30001, 30002, 30003});
    test_expect("var", cg_var(tape, x, 1, 1, false), CG_SCALAR, (double[]){1}, 1e-6, 0);
    cg_tensor_destroy(x);
}

/* A norm has no slope at 0: like PyTorch's, its gradient is 0 there. */
Test(shape_values, the_gradient_of_a_norm_at_zero_is_zero) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 2), (double[]){0, 0, 3, 4});
    cg_tensor_set_requires_grad(x, true);
    cg_tensor *norm = cg_norm(tape, x, 2, 2, false);
    cr_assert(cg_backward(tape, cg_sum(tape, norm, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    test_expect("norm", norm, CG_SHAPE(2), (double[]){0, 5}, 1e-6, 0);
    test_expect("gradient", cg_tensor_grad(x), CG_SHAPE(2, 2), (double[]){0, 0, 0.6, 0.8}, 1e-6, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
}

Test(shape_values, the_padding_row_gets_no_gradient) {
    cg_tensor *weight = test_tensor(device, CG_SHAPE(3, 2), (double[]){1, 2, 3, 4, 5, 6});
    cg_tensor_set_requires_grad(weight, true);
    cg_tensor *y = cg_embedding(tape, weight, index_of_two, 2);
    cr_assert(cg_backward(tape, cg_sum(tape, y, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    test_expect("embedding", y, CG_SHAPE(2, 2), (double[]){1, 2, 5, 6}, 0, 0);
    test_expect("gradient", cg_tensor_grad(weight), CG_SHAPE(3, 2), (double[]){1, 1, 0, 0, 0, 0}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(weight);
}

Test(shape_values, empty_tensors_are_moved_too) {
    cg_tensor *none = test_tensor(device, CG_SHAPE(0, 3), NULL);
    test_expect("concat", cg_concat(tape, (cg_tensor *[]){none, matrix, none}, 3, 0), CG_SHAPE(2, 3),
                (double[]){1, 2, 3, 4, 5, 6}, 0, 0);
    test_expect("permute", cg_transpose(tape, none, 0, 1), CG_SHAPE(3, 0), NULL, 0, 0);
    test_expect("slice", cg_slice(tape, matrix, 0, 1, 1, 1), CG_SHAPE(0, 3), NULL, 0, 0);
    cg_tensor_destroy(none);
}

Test(shape_errors, wrong_arguments_are_named) {
    cg_tensor *none = test_tensor(device, CG_SHAPE(2, 0), NULL);
    FAILS(cg_permute(tape, matrix, (int[]){0, 0}), CG_ERR_ARGUMENT, "[0, 0]", "[2, 3]");
    FAILS(cg_permute(tape, matrix, (int[]){0, 5}), CG_ERR_ARGUMENT, "[0, 5]", "[2, 3]");
    FAILS(cg_transpose(tape, matrix, 0, 2), CG_ERR_ARGUMENT, "2", "[2, 3]");
    FAILS(cg_slice(tape, matrix, 1, 0, 4, 1), CG_ERR_ARGUMENT, "4", "[2, 3]");
    FAILS(cg_slice(tape, matrix, 1, 2, 1, 1), CG_ERR_ARGUMENT, "2 to 1", "[2, 3]");
    FAILS(cg_slice(tape, matrix, 1, 0, 3, 0), CG_ERR_ARGUMENT, "step", "[2, 3]");
    FAILS(cg_select(tape, matrix, 1, 3), CG_ERR_ARGUMENT, "3", "[2, 3]");
    FAILS(cg_concat(tape, (cg_tensor *[]){matrix, row}, 2, 0), CG_ERR_SHAPE, "[2, 3]", "[3]");
    FAILS(cg_concat(tape, (cg_tensor *[]){row, index_of_two}, 2, 0), CG_ERR_SHAPE, "i64", "concat");
    FAILS(cg_concat(tape, NULL, 0, 0), CG_ERR_ARGUMENT, "no tensors", "concat");
    FAILS(cg_stack(tape, (cg_tensor *[]){matrix, row}, 2, 0), CG_ERR_SHAPE, "[2, 3]", "[3]");
    FAILS(cg_stack(tape, (cg_tensor *[]){row, row}, 2, 2), CG_ERR_ARGUMENT, "2", "[3]");
    FAILS(cg_expand(tape, matrix, &CG_SHAPE(4, 3)), CG_ERR_SHAPE, "[2, 3]", "[4, 3]");
    FAILS(cg_expand(tape, matrix, &CG_SHAPE(3)), CG_ERR_SHAPE, "[2, 3]", "[3]");
    FAILS(cg_repeat(tape, matrix, (int64_t[]){2}, 1), CG_ERR_ARGUMENT, "1", "[2, 3]");
    FAILS(cg_repeat(tape, row, (int64_t[]){-2}, 1), CG_ERR_ARGUMENT, "-2", "repeat");
    FAILS(cg_cast(tape, row, (cg_dtype)77), CG_ERR_DTYPE, "77", "cast");
    FAILS(cg_max(tape, none, 2, false), CG_ERR_SHAPE, "[2, 0]", "max");
    FAILS(cg_var(tape, row, 1, 3, false), CG_ERR_ARGUMENT, "3", "correction");
    FAILS(cg_norm(tape, row, 3, 1, false), CG_ERR_ARGUMENT, "3", "norm");
    FAILS(cg_min(tape, row, 4, false), CG_ERR_ARGUMENT, "0x4", "[3]");
    FAILS(cg_cumsum(tape, row, 1), CG_ERR_ARGUMENT, "1", "[3]");
    FAILS(cg_argmin(tape, index_of_two, 0), CG_ERR_DTYPE, "i64", "argmin");
    cg_tensor_destroy(none);
}

Test(shape_errors, split_wants_all_of_the_axis) {
    cg_tensor *parts[2];
    cr_assert(cg_split_tensor(tape, matrix, 1, (int64_t[]){1, 1}, 2, parts) == CG_ERR_ARGUMENT);
    cr_assert(strstr(cg_error_message(), "[2, 3]") != NULL, "%s", cg_error_message());
    cg_tape_reset(tape);
    cr_assert(cg_split_tensor(tape, matrix, 1, (int64_t[]){-1, 4}, 2, parts) == CG_ERR_ARGUMENT);
    cg_tape_reset(tape);
}

Test(shape_errors, indices_have_shapes_and_types) {
    cg_tensor *square = test_classes(device, CG_I32, CG_SHAPE(2, 2), (int64_t[]){0, 1, 1, 0});
    FAILS(cg_index_select(tape, matrix, 0, row), CG_ERR_DTYPE, "index_select", "i64");
    FAILS(cg_index_select(tape, matrix, 0, square), CG_ERR_SHAPE, "index_select", "[2, 2]");
    FAILS(cg_gather(tape, matrix, 0, index_of_two), CG_ERR_SHAPE, "[2]", "[2, 3]");
    FAILS(cg_gather(tape, row, 1, index_of_two), CG_ERR_ARGUMENT, "1", "[3]");
    FAILS(cg_scatter_add(tape, matrix, 1, square, matrix), CG_ERR_SHAPE, "[2, 2]", "[2, 3]");
    FAILS(cg_one_hot(tape, index_of_two, 0), CG_ERR_ARGUMENT, "0", "one_hot");
    FAILS(cg_one_hot(tape, row, 3), CG_ERR_DTYPE, "one_hot", "i64");
    FAILS(cg_embedding(tape, row, index_of_two, -1), CG_ERR_SHAPE, "[3]", "embedding");
    FAILS(cg_embedding(tape, matrix, index_of_two, 2), CG_ERR_ARGUMENT, "2", "padding_idx");
    cg_tensor_destroy(square);
}

/* Reading the result of a call with an index out of range fails, naming the op, the index and its place. */
static void expect_index_error(const char *name, const char *words, cg_tensor *result) {
    double values[16];
    cg_status status = cg_tensor_read_f64(result, values, cg_tensor_numel(result));
    cr_assert(status == CG_ERR_INDEX, "%s: %s: %s", name, cg_status_name(status), cg_error_message());
    cr_assert(strstr(cg_error_message(), name) != NULL && strstr(cg_error_message(), words) != NULL, "%s",
              cg_error_message());
    cg_tape_reset(tape);
    test_expect("after a reset", cg_scale(tape, row, 2), CG_SHAPE(3), (double[]){2, 4, 6}, 0, 0);
}

Test(shape_errors, an_index_out_of_range_reads_nothing_outside) {
    cg_tensor *wide = test_classes(device, CG_I64, CG_SHAPE(2, 1), (int64_t[]){0, -2});
    cg_tensor *first = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){7, 0});
    cg_tensor *source = test_tensor(device, CG_SHAPE(2, 1), (double[]){1, 2});
    const char *last_of_two = "index 2 at place 1 is not in 0..1", *negative = "index -2 at place 1 is not in 0..2";
    expect_index_error("index_select", last_of_two, cg_index_select(tape, matrix, 0, index_of_two));
    expect_index_error("index_select", "index 7 at place 0", cg_index_select(tape, matrix, 1, first));
    expect_index_error("gather", negative, cg_gather(tape, matrix, 1, wide));
    expect_index_error("one_hot", last_of_two, cg_one_hot(tape, index_of_two, 2));
    expect_index_error("scatter_add", negative, cg_scatter_add(tape, matrix, 1, wide, source));
    cg_tensor_destroy(source);
    cg_tensor_destroy(first);
    cg_tensor_destroy(wide);
}
