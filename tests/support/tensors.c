/* Short ways from numbers to tensors and back: see tensors.h. */
#include "tensors.h"

#include "compare.h"

#include <clgrad/random.h>

#include <criterion/criterion.h>
#include <stdlib.h>

double *test_doubles(int64_t count) {
    double *values = calloc(count > 0 ? (size_t)count : 1, sizeof *values);
    if (values == NULL) {
        abort();
    }
    return values;
}

cg_tensor *test_tensor(cg_device *device, cg_shape shape, const double *values) {
    cg_tensor *tensor = NULL;
    cr_assert(cg_tensor_create(device, cg_device_real(device), &shape, &tensor) == CG_OK, "%s", cg_error_message());
    if (values != NULL) {
        cg_status status = cg_tensor_write_f64(tensor, values, cg_shape_numel(&shape));
        cr_assert(status == CG_OK, "%s", cg_error_message());
    }
    return tensor;
}

cg_tensor *test_normal(cg_device *device, cg_shape shape, uint64_t seed) {
    int64_t count = cg_shape_numel(&shape);
    double *values = test_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (double)cg_random_normal(seed, 0, (uint64_t)i);
    }
    cg_tensor *tensor = test_tensor(device, shape, values);
    free(values);
    return tensor;
}

cg_tensor *test_integers(cg_device *device, cg_shape shape, uint64_t seed) {
    int64_t count = cg_shape_numel(&shape);
    double *values = test_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (double)((int)(17.0f * cg_random_uniform(seed, 0, (uint64_t)i)) - 8);
    }
    cg_tensor *tensor = test_tensor(device, shape, values);
    free(values);
    return tensor;
}

cg_tensor *test_classes(cg_device *device, cg_dtype dtype, cg_shape shape, const int64_t *classes) {
    int64_t count = cg_shape_numel(&shape);
    double *values = test_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        values[i] = (double)classes[i];
    }
    cg_tensor *tensor = NULL;
    cr_assert(cg_tensor_create(device, dtype, &shape, &tensor) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_write_f64(tensor, values, count) == CG_OK, "%s", cg_error_message());
    free(values);
    return tensor;
}

void test_expect(const char *name, cg_tensor *tensor, cg_shape shape, const double *expected, double rtol,
                 double atol) {
    cr_assert(cg_shape_equal(cg_tensor_shape(tensor), &shape), "%s: shape %s, expected %s", name,
              cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT), cg_shape_print(&shape, CG_SHAPE_TEXT));
    int64_t count = cg_shape_numel(&shape);
    double *actual = test_doubles(count);
    cr_assert(cg_tensor_read_f64(tensor, actual, count) == CG_OK, "%s: %s", name, cg_error_message());
    compare_rule rule = {.rtol = rtol, .atol = atol, .scale = 1, .trusted = true};
    compare_result result;
    cr_assert(compare(name, actual, expected, &shape, &rule, &result), "%s", result.message);
    free(actual);
}
