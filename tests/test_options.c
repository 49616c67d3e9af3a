/* What only some devices have can be done without: options of OpenCL's device string, and that results stay the same
 * bits; limits are kept before the driver is asked. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <clgrad/ops.h>

#include "devices.h"
#include "tensors.h"

#define ROWS 24
#define INNER 40
#define COLUMNS 150 /* rows that a work-group shares */

static const char *const each[] = {"share=off",     "fp16=off",       "fp64=off",
                                   "subgroups=off", "atomics64=off",  "command_buffers=off",
                                   "local=32768",   "max_alloc=65536"};

static bool is_opencl(void) {
    return strncmp(test_device_string(), "opencl", 6) == 0;
}

static cg_device *open_with(const char *decorator, const char *options) {
    char string[256];
    snprintf(string, sizeof string, "%s%s%s%s", decorator, test_device_string(), *options != '\0' ? "," : "", options);
    cg_device *device;
    cr_assert_eq(cg_device_open(string, &device), CG_OK, "%s: %s", string, cg_error_message());
    return device;
}

/* Products, sums, softmax and their gradients. */
static void compute(cg_device *device, float gradient[ROWS * INNER]) {
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_normal(device, CG_SHAPE(ROWS, INNER), 1), *w = test_normal(device, CG_SHAPE(INNER, COLUMNS), 2);
    cg_tensor_set_requires_grad(x, true);
    cg_tensor *y = cg_log_softmax(tape, cg_matmul(tape, cg_relu(tape, x), w, NULL), -1);
    cr_assert_eq(cg_backward(tape, cg_mean(tape, cg_square(tape, y), CG_ALL_AXES, false)), CG_OK);
    cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_tape_error(tape));
    cr_assert_eq(cg_tensor_read_f32(cg_tensor_grad(x), gradient, ROWS * INNER), CG_OK, "%s", cg_error_message());
    cg_tensor_destroy(x);
    cg_tensor_destroy(w);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

static void expect_same_bits(const char *options) {
    static float plain[ROWS * INNER], without[ROWS * INNER];
    compute(open_with("", ""), plain);
    compute(open_with("check:", options), without);
    cr_expect_arr_eq(plain, without, sizeof plain, "%s", options);
}

Test(options, a_feature_less_gives_the_same_bits) {
    for (size_t i = 0; is_opencl() && i < sizeof each / sizeof each[0]; i++) {
        expect_same_bits(each[i]);
    }
}

Test(options, all_features_less_give_the_same_bits) {
    char all[256] = "";
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i == 0 ? "" : ",", each[i]);
    }
    if (is_opencl()) {
        expect_same_bits(all);
    }
}

Test(options, are_seen_in_the_description_and_the_string) {
    if (!is_opencl()) {
        return;
    }
    cg_device *device = open_with("", "share=off,fp16=off,fp64=off,subgroups=off,atomics64=off,max_alloc=65536");
    const cg_device_info *info = cg_device_describe(device);
    cr_expect(!info->integrated && !info->fp16 && !info->fp64 && !info->subgroups && !info->atomics64);
    cr_expect_eq(info->max_allocation_bytes, 65536);
    cr_expect_not_null(strstr(info->string, ",share=off,"), "%s", info->string);
    cr_expect_not_null(strstr(info->string, ",max_alloc=65536"), "%s", info->string);
    cg_device_close(device);
}

Test(options, a_tensor_above_the_limit_is_refused_with_the_figures) {
    if (!is_opencl()) {
        return;
    }
    cg_device *device = open_with("", "max_alloc=65536");
    cg_tensor *small, *large;
    cr_assert_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(100, 100), &small), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(200, 100), &large), CG_ERR_DEVICE_MEMORY);
    cr_expect_not_null(strstr(cg_error_message(), "asked for"), "%s", cg_error_message());
    cr_expect_not_null(strstr(cg_error_message(), "at most 65536 can be had in one piece"), "%s", cg_error_message());
    cg_tensor_destroy(small);
    cg_device_close(device);
}

/* More than any device here has: a driver that were asked would abort the process. */
Test(options, more_than_the_device_has_is_refused_before_the_driver_is_asked) {
    cg_device *device = open_with("", "");
    const cg_device_info *info = cg_device_describe(device);
    cr_assert_gt(info->memory_bytes, 0);
    cg_tensor *tensor;
    int64_t count = (int64_t)(info->memory_bytes / 4 + 1);
    cr_expect_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(count), &tensor), CG_ERR_DEVICE_MEMORY);
    char figure[32];
    snprintf(figure, sizeof figure, "the device has %llu", (unsigned long long)info->memory_bytes);
    cr_expect_not_null(strstr(cg_error_message(), figure), "%s", cg_error_message());
    cg_device_close(device);
}

Test(options, that_make_no_sense_are_named) {
    static const char *const wrong[] = {
        "fp16=no",       "share=",     "local=much", "local=99999999999999",
        "max_alloc=-1",  "speed=high", "profile=",   "max_alloc=99999999999999999999999",
        "subgroups=off?"};
    for (size_t i = 0; is_opencl() && i < sizeof wrong / sizeof wrong[0]; i++) {
        char string[256];
        int length = (int)strcspn(test_device_string(), ","); /* without a profile, which may not be given twice */
        snprintf(string, sizeof string, "%.*s,%s", length, test_device_string(), wrong[i]);
        cg_device *device;
        cr_expect_eq(cg_device_open(string, &device), CG_ERR_ARGUMENT, "%s: %s", string, cg_error_message());
        cr_expect_not_null(strstr(cg_error_message(), "opencl: "), "%s", cg_error_message());
    }
}
