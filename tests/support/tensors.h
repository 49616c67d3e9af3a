/* Short ways from numbers to tensors and back, for tests. Each fails the running test when it cannot. */
#ifndef CLGRAD_TESTS_TENSORS_H
#define CLGRAD_TESTS_TENSORS_H

#include <clgrad/tensor.h>

/* Zeros, freed by free(). */
double *test_doubles(int64_t count);

/* A tensor of the device's real dtype with these values (NULL: 0). The caller destroys it. */
cg_tensor *test_tensor(cg_device *device, cg_shape shape, const double *values);

/* The same filled with seeded normal floats, or with small integers -8 .. 8. */
cg_tensor *test_normal(cg_device *device, cg_shape shape, uint64_t seed);
cg_tensor *test_integers(cg_device *device, cg_shape shape, uint64_t seed);

/* i64 or i32 classes. */
cg_tensor *test_classes(cg_device *device, cg_dtype dtype, cg_shape shape, const int64_t *classes);

/* The tensor has that shape and these values: |actual - expected| <= rtol |expected| + atol. NaN expects NaN. */
void test_expect(const char *name, cg_tensor *tensor, cg_shape shape, const double *expected, double rtol, double atol);

#endif
