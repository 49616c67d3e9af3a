/* Shapes, random numbers, status texts, tensors: the small parts of the core. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <clgrad/clgrad.h>

#include "alloc.h"
#include "broadcast.h"
#include "builtin.h"
#include "record.h"
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

Test(core, data_types_have_names_and_sizes) {
    static const struct {
        cg_dtype dtype;
        const char *name;
        size_t bytes;
    } known[] = {{CG_F32, "f32", 4}, {CG_F64, "f64", 8}, {CG_I32, "i32", 4},
                 {CG_I64, "i64", 8}, {CG_U8, "u8", 1},   {(cg_dtype)77, "?", 0}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        cr_expect_str_eq(cg_dtype_name(known[i].dtype), known[i].name);
        cr_expect_eq(cg_dtype_size(known[i].dtype), known[i].bytes);
    }
}

/* Five elements behind one that is not theirs, as doubles. */
static cg_operand operand_of(cg_dtype dtype, void *memory) {
    return (cg_operand){.buffer = memory, .offset = 1, .extent = 5, .shape = CG_SHAPE(5), .dtype = dtype};
}

static double element(cg_dtype dtype, const void *memory, size_t i) {
    return dtype == CG_F32   ? (double)((const float *)memory)[i]
           : dtype == CG_F64 ? ((const double *)memory)[i]
           : dtype == CG_I32 ? (double)((const int32_t *)memory)[i]
           : dtype == CG_I64 ? (double)((const int64_t *)memory)[i]
                             : (double)((const uint8_t *)memory)[i];
}

Test(core, the_reference_fills_copies_and_adds_every_data_type) {
    static const cg_dtype dtypes[] = {CG_F32, CG_F64, CG_I32, CG_I64, CG_U8};
    for (size_t k = 0; k < 5; k++) {
        double from[8] = {0}, to[8] = {0};
        const cg_fill_attrs seven = {.size = sizeof seven, .value = 7};
        const cg_no_attrs none = {.size = sizeof none};
        cg_op fill = {.kind = cg_kind(CG_OP_FILL), .attrs = &seven, .n_outputs = 1};
        cg_op copy = {.kind = cg_kind(CG_OP_COPY), .attrs = &none, .n_inputs = 1, .n_outputs = 1};
        fill.outputs[0] = copy.inputs[0] = operand_of(dtypes[k], from);
        copy.outputs[0] = operand_of(dtypes[k], to);
        cr_assert_eq(cg_backend_reference.run(NULL, &fill), CG_OK);
        cr_assert_eq(cg_backend_reference.run(NULL, &copy), CG_OK);
        copy.accumulate = 1;
        cr_assert_eq(cg_backend_reference.run(NULL, &copy), CG_OK);
        for (size_t i = 0; i < 7; i++) {
            bool inside = i > 0 && i < 6;
            cr_expect_eq(element(dtypes[k], to, i), inside ? 14 : 0, "%s[%zu]", cg_dtype_name(dtypes[k]), i);
        }
    }
}

Test(core, real_numbers_are_read_as_floats_and_doubles_of_either) {
    for (int wide = 0; wide < 2; wide++) {
        cg_device *device;
        cg_tensor *tensor;
        float floats[3];
        double doubles[3];
        cr_assert_eq(cg_device_open(wide ? "reference,dtype=f64" : "reference", &device), CG_OK);
        cr_assert_eq(cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(3), &tensor), CG_OK);
        cr_assert_eq(cg_tensor_write_f32(tensor, (float[]){1, 2.5f, -3}, 3), CG_OK);
        cr_assert_eq(cg_tensor_read_f32(tensor, floats, 3), CG_OK, "%s", cg_error_message());
        cr_assert_eq(cg_tensor_read_f64(tensor, doubles, 3), CG_OK);
        cr_expect(floats[1] == 2.5f && doubles[1] == 2.5 && floats[2] == -3 && doubles[2] == -3);
        cr_expect_eq(cg_tensor_read_f32(tensor, floats, 2), CG_ERR_SHAPE);
        cr_expect_eq(cg_tensor_read_f64(tensor, doubles, 4), CG_ERR_SHAPE);
        cg_alloc_fail_at(1);
        cr_expect_eq(cg_tensor_read_f32(tensor, floats, 3), wide ? CG_ERR_MEMORY : CG_OK);
        cg_alloc_fail_at(0);
        cg_tensor_destroy(tensor);
        cg_device_close(device);
    }
}

Test(core, tensors_refuse_what_does_not_fit) {
    cg_device *device;
    cr_assert_eq(cg_device_open("cpu", &device), CG_OK);
    cg_tensor *tensor, *view;
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(2, -1), &tensor), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(INT64_MAX, 8), &tensor), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_create(device, (cg_dtype)77, &CG_SHAPE(2), &tensor), CG_ERR_DTYPE);
    cg_shape ranks[] = {{.rank = -1}, {.rank = CG_MAX_RANK + 1}};
    cr_expect_eq(cg_tensor_create(device, CG_F32, &ranks[0], &tensor), CG_ERR_SHAPE);
    cr_expect_eq(cg_tensor_create(device, CG_F32, &ranks[1], &tensor), CG_ERR_SHAPE);
    cr_assert_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(6), &tensor), CG_OK);
    float values[6];
    double item;
    cr_expect_eq(cg_tensor_item(tensor, &item), CG_ERR_SHAPE);
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
