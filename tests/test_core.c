/* Shapes, random numbers, status texts, tensors: the small parts of the core. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <clgrad/clgrad.h>

#include "broadcast.h"
#include "tensors.h"

Test(core, every_status_has_a_name_and_a_meaning) {
    cr_expect_str_eq(cg_status_name(CG_ERR_SHAPE), "CG_ERR_SHAPE");
    cr_expect_str_eq(cg_status_text(CG_OK), "no error");
    cr_expect_str_eq(cg_status_name((cg_status)999), "CG_ERR_?");
    cg_fail(CG_ERR_SHAPE, "%d and %d", 1, 2);
    cr_expect_eq(cg_fail_context(CG_ERR_SHAPE, "layer %d: ", 7), CG_ERR_SHAPE);
    cr_expect_str_eq(cg_error_message(), "layer 7: 1 and 2");
}

Test(core, shapes_print_and_broadcast_as_pytorch_does) {
    cr_expect_str_eq(cg_shape_print(&CG_SHAPE(2, 3), CG_SHAPE_TEXT), "[2, 3]");
    cr_expect_str_eq(cg_shape_print(&CG_SCALAR, CG_SHAPE_TEXT), "[]");
    cg_shape out;
    cr_assert_eq(cg_shape_broadcast(&CG_SHAPE(4, 1, 3), &CG_SHAPE(5, 1), &out), CG_OK);
    cr_expect(cg_shape_equal(&out, &CG_SHAPE(4, 5, 3)));
    cr_assert_eq(cg_shape_broadcast(&CG_SHAPE(0, 3), &CG_SHAPE(1), &out), CG_OK);
    cr_expect(cg_shape_equal(&out, &CG_SHAPE(0, 3)));
    cr_assert_eq(cg_shape_broadcast(&CG_SHAPE(2, 3), &CG_SHAPE(2), &out), CG_ERR_SHAPE);
    cr_expect_not_null(strstr(cg_error_message(), "[2, 3] and [2]"));
}

Test(core, the_loops_of_a_broadcast_are_as_few_as_possible) {
    cg_broadcast plan;
    cg_broadcast_plan(&CG_SHAPE(2, 3, 4), &CG_SHAPE(2, 3, 4), &CG_SHAPE(2, 3, 4), &plan);
    cr_expect(plan.rank == 1 && plan.dim[0] == 24 && plan.stride_a[0] == 1 && plan.stride_b[0] == 1);
    cg_broadcast_plan(&CG_SHAPE(6, 4), &CG_SHAPE(4), &CG_SHAPE(6, 4), &plan);
    cr_expect(plan.rank == 2 && plan.dim[0] == 6 && plan.stride_b[0] == 0 && plan.stride_b[1] == 1);
    cg_broadcast_plan(&CG_SHAPE(2, 3, 4), &CG_SCALAR, &CG_SHAPE(2, 3, 4), &plan);
    cr_expect(plan.rank == 1 && plan.dim[0] == 24 && plan.stride_a[0] == 1 && plan.stride_b[0] == 0);
}

/* Known answers of the Random123 library, philox4x32 with 10 rounds. */
Test(core, philox_gives_the_published_numbers) {
    static const struct {
        uint64_t index, stream, seed;
        uint32_t words[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t words[4];
        cg_philox(known[i].seed, known[i].stream, known[i].index, words);
        cr_expect_eq(memcmp(words, known[i].words, sizeof words), 0, "vector %zu", i);
    }
}

Test(core, random_numbers_have_the_moments_they_should) {
    double uniform = 0, normal = 0, square = 0;
    int n = 200000;
    for (int i = 0; i < n; i++) {
        double u = cg_random_uniform(3, 1, (uint64_t)i), z = cg_random_normal(3, 2, (uint64_t)i);
        cr_assert(u >= 0 && u < 1 && isfinite(z));
        uniform += u / n;
        normal += z / n;
        square += z * z / n;
    }
    cr_expect_float_eq(uniform, 0.5, 0.004);
    cr_expect_float_eq(normal, 0, 0.01);
    cr_expect_float_eq(square, 1, 0.02);
}

Test(core, a_permutation_holds_each_number_once_and_depends_on_the_seed) {
    int64_t order[1000], other[1000];
    char seen[1000] = {0};
    cg_random_permutation(1, 2, 1000, order);
    cg_random_permutation(2, 2, 1000, other);
    for (int i = 0; i < 1000; i++) {
        cr_assert(order[i] >= 0 && order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = 1;
    }
    cr_expect_neq(memcmp(order, other, sizeof order), 0);
}

Test(core, tensors_begin_as_zeros_and_convert) {
    cg_device *device;
    cr_assert_eq(cg_device_open("cpu", &device), CG_OK);
    static const cg_dtype dtypes[] = {CG_F32, CG_I32, CG_I64, CG_U8};
    for (size_t i = 0; i < 4; i++) {
        cg_tensor *tensor;
        cr_assert_eq(cg_tensor_create(device, dtypes[i], &CG_SHAPE(2, 2), &tensor), CG_OK, "%s", cg_error_message());
        test_expect("zeros", tensor, CG_SHAPE(2, 2), (double[]){0, 0, 0, 0}, 0, 0);
        cr_assert_eq(cg_tensor_fill(tensor, 7), CG_OK);
        test_expect("sevens", tensor, CG_SHAPE(2, 2), (double[]){7, 7, 7, 7}, 0, 0);
        cr_assert_eq(cg_tensor_write_f64(tensor, (double[]){1, 2, 3, 4}, 4), CG_OK);
        test_expect("values", tensor, CG_SHAPE(2, 2), (double[]){1, 2, 3, 4}, 0, 0);
        cg_tensor_destroy(tensor);
    }
    cg_device_close(device);
}

Test(core, tensors_refuse_what_does_not_fit) {
    cg_device *device;
    cr_assert_eq(cg_device_open("cpu", &device), CG_OK);
    cg_tensor *tensor, *view;
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(2, -1), &tensor), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(INT64_MAX, 8), &tensor), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_create(device, (cg_dtype)77, &CG_SHAPE(2), &tensor), CG_ERR_DTYPE);
    cr_assert_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(6), &tensor), CG_OK);
    float values[6];
    cr_expect_eq(cg_tensor_write_f32(tensor, values, 5), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_read(tensor, values, 20), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_view(tensor, 2, &CG_SHAPE(5), &view), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_view(tensor, SIZE_MAX, &CG_SHAPE(1), &view), CG_ERR_SHAPE);
    cr_assert_eq(cg_tensor_view(tensor, 2, &CG_SHAPE(2, 2), &view), CG_OK);
    cr_assert_eq(cg_tensor_write_f64(view, (double[]){1, 2, 3, 4}, 4), CG_OK);
    test_expect("base", tensor, CG_SHAPE(6), (double[]){0, 0, 1, 2, 3, 4}, 0, 0);
    cg_tensor_destroy(tensor); /* the view keeps the memory */
    test_expect("view", view, CG_SHAPE(2, 2), (double[]){1, 2, 3, 4}, 0, 0);
    cg_tensor_destroy(view);
    cg_device_close(device);
}
