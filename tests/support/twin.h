/*
 * Kernels beneath the tape: one op twice, in float for the device under test and in double for the oracle, on the same
 * values, with offsets in front of the operands and guards around them. twin_build makes the cases of a kind.
 */
#ifndef CLGRAD_TESTS_TWIN_H
#define CLGRAD_TESTS_TWIN_H

#include <clgrad/backend.h>

#define TWIN_OFFSET 3 /* elements in front of an operand, so that nothing is aligned by luck */
#define TWIN_GUARD 5  /* and behind it, which must stay as they are */

typedef struct twin {
    cg_op single, wide;
    union {
        cg_elementwise_attrs elementwise;
        cg_scale_attrs scale;
        cg_matmul_attrs matmul;
        cg_fill_attrs fill;
        cg_conv_attrs conv;
        cg_pool_attrs pool;
        cg_pad_attrs pad;
        cg_interpolate_attrs interpolate;
        cg_strided_attrs strided;
        cg_index_attrs index;
        cg_cumsum_attrs cumsum;
        cg_normalize_attrs normalize;
        cg_running_stats_attrs running_stats;
        cg_random_attrs random;
        cg_class_attrs classes;
        cg_no_attrs none;
    } attrs;
    double tolerance; /* of an element and a tenth of the largest one; 0: the same numbers */
    double work;      /* multiply-adds, where a builder knows better than the number of elements */
    bool overwrites;  /* a case of a kind that adds, of operands that are not to be added to */
} twin;

/* Builds case `variant` of a kind with the values of `seed`; false when there is no such case. A kind that has none
 * fails the running test. twin_begin is its beginning, without operands. */
bool twin_build(twin *t, uint32_t number, int variant, uint64_t seed);
void twin_begin(twin *t, const cg_op_kind *kind, uint64_t seed);
void twin_end(twin *t);

/* What it costs, in multiply-adds or elements. */
double twin_work(const twin *t);

/* Whether an operand has no elements: such an op never reaches a device. */
bool twin_is_empty(const twin *t);

/* A device and its buffers, one for each place of an operand, which are kept and grown: Oclgrind takes a new buffer in
 * an old one's place to be initialized as far as that was. Zeroed but for backend and device at first. */
typedef struct twin_device {
    const cg_backend *backend;
    void *device;
    void *buffers[CG_MAX_INPUTS + CG_MAX_OUTPUTS];
    size_t bytes[CG_MAX_INPUTS + CG_MAX_OUTPUTS];
} twin_device;

/* Runs the float op: operands go to buffers of the device, and outputs come back with what lies around them. */
void twin_run(const twin *t, twin_device *device);

/* The same of n optimizer steps as one, with the first one's numbers, each in buffers of its own. */
void twin_run_steps(const twin *t, size_t n, twin_device *devices);
void twin_device_release(twin_device *device);

/* Every output of the float op is near the double one, and the guards are as they were. */
void twin_compare(const twin *t, const char *device, int variant);

/* For builders. A random value is -2 to 2, exact in float. Operands of real numbers are random, those of integers
 * random in 0..limit - 1; `extent` is how many elements an operand spans where it is not what its shape says. */
uint64_t twin_random(void);
void twin_input(twin *t, cg_shape shape);
void twin_input_extent(twin *t, cg_shape shape, int64_t extent);
void twin_integer_input(twin *t, cg_dtype dtype, cg_shape shape, int64_t limit);
void twin_absent_input(twin *t);
void twin_output(twin *t, cg_shape shape);
void twin_output_extent(twin *t, cg_shape shape, int64_t extent);
void twin_integer_output(twin *t, cg_dtype dtype, cg_shape shape, int64_t limit);
void twin_set(const cg_operand *single, const cg_operand *wide, int64_t i, float value);
float twin_at(const cg_operand *single, int64_t i);

/* The builders, by family: build(t, variant) is false when there is no such variant. */
typedef bool (*twin_builder)(twin *t, int variant);
bool twin_build_conv(twin *t, int variant);
bool twin_build_pool(twin *t, int variant);
bool twin_build_pad(twin *t, int variant);
bool twin_build_interpolate(twin *t, int variant);
bool twin_build_copy(twin *t, int variant);
bool twin_build_strided_copy(twin *t, int variant);
bool twin_build_cast(twin *t, int variant);
bool twin_build_index(twin *t, int variant);
bool twin_build_gather(twin *t, int variant);
bool twin_build_one_hot(twin *t, int variant);
bool twin_build_cumsum(twin *t, int variant);
bool twin_build_normalize(twin *t, int variant);
bool twin_build_running_stats(twin *t, int variant);
bool twin_build_random(twin *t, int variant);

/* Products, which the tests of single loops build themselves: variant / 16 is a row of twin_products, {batch, m, n, k},
 * and the four bits are transpose_a, transpose_b, a bias, and gaps between rows. */
extern const int64_t twin_products[][4];
extern const int twin_product_count;

#endif
