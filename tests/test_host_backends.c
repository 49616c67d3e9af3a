/*
 * What the cpu and the reference backend promise beside numbers that agree: records, NaN, classes out of range,
 * denormal moments, every dtype of copy and fill, options, and the functions that stand in for the C library's.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "../src/backends/cpu/vector_math.h"
#include "builtin.h"
#include "record.h"

static uint64_t random_state = 1;

static uint64_t random_bits(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* -2 to 2. */
static float random_value(void) {
    return (float)(random_bits() >> 40) * 0x1p-22f - 2.0f;
}

static void *open_device(const cg_backend *backend) {
    void *device = NULL;
    cr_assert(backend->open(NULL, 0, NULL, 0, &device) == CG_OK, "%s", cg_error_message());
    return device;
}

Test(host_backends, have_a_record_for_every_number) {
    for (size_t i = 0; i < cg_kind_count; i++) {
        cr_expect(cg_kind(cg_kinds[i].number) == &cg_kinds[i], "%s", cg_kinds[i].name);
    }
    cr_expect(cg_kind(0) == NULL && cg_kind(999) == NULL && cg_kind(1003 + 4 * 2) == NULL && cg_kind(90000) == NULL);
    cr_expect(strcmp(cg_kind(CG_OP_MUL_BACKWARD_B)->name, "mul_backward_b") == 0);
}

Test(host_backends, relu_keeps_nan_and_flattens_infinity) {
    const cg_op_kind *kinds[] = {cg_kind(CG_OP_RELU), cg_kind(CG_OP_GENERAL_RELU)};
    for (int k = 0; k < 2; k++) {
        float x[40], y[40];
        for (int i = 0; i < 40; i++) {
            x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? -INFINITY : INFINITY;
        }
        cg_elementwise_attrs attrs = {sizeof attrs, 0, {0.0, 0.0, INFINITY}};
        cg_operand in = {x, 0, 40, CG_SHAPE(40), CG_F32}, out = {y, 0, 40, CG_SHAPE(40), CG_F32};
        cg_op op = {.kind = kinds[k], .attrs = &attrs, .n_inputs = 1, .n_outputs = 1, .inputs = {in}, .outputs = {out}};
        void *device = open_device(&cg_backend_cpu);
        cr_assert(cg_backend_cpu.run(device, &op) == CG_OK);
        cg_backend_cpu.close(device);
        for (int i = 0; i < 40; i++) {
            cr_expect(i % 3 == 0 ? isnan(y[i]) : i % 3 == 1 ? k == 1 || y[i] == 0.0f : y[i] == INFINITY);
        }
    }
}

static void check_class(const cg_backend *backend, cg_dtype dtype, int64_t label, const char *message) {
    float logits[40] = {0}, loss[4], sums[8];
    int32_t small[4] = {0, 1, 2, (int32_t)label};
    int64_t large[4] = {0, 1, 2, label};
    const cg_class_attrs attrs = {.size = sizeof attrs, .ignored = -100};
    cg_op op = {.kind = cg_kind(CG_OP_CROSS_ENTROPY),
                .attrs = &attrs,
                .n_inputs = 2,
                .n_outputs = 2,
                .inputs = {{logits, 0, 40, CG_SHAPE(4, 10), CG_F32},
                           {dtype == CG_I32 ? (void *)small : (void *)large, 0, 4, CG_SHAPE(4), dtype}},
                .outputs = {{loss, 0, 4, CG_SHAPE(4), CG_F32}, {sums, 0, 8, CG_SHAPE(4, 2), CG_F32}}};
    void *device = open_device(backend);
    cr_expect(backend->run(device, &op) == CG_ERR_INDEX);
    cr_expect(strcmp(cg_error_message(), message) == 0, "%s", cg_error_message());
    backend->close(device);
}

Test(host_backends, cross_entropy_names_a_class_out_of_range) {
    check_class(&cg_backend_cpu, CG_I64, 12, "cross_entropy: class 12 of row 3 is not in 0..9");
    check_class(&cg_backend_cpu, CG_I32, -1, "cross_entropy: class -1 of row 3 is not in 0..9");
    check_class(&cg_backend_reference, CG_I64, 10, "cross_entropy: class 10 of row 3 is not in 0..9");
}

/* The two devices run the same oracle's code: its own values are checked by hand here. */
Test(host_backends, reference_takes_the_first_largest_and_nan_as_largest) {
    double x[] = {1, 3, 3, 2, NAN, NAN};
    int64_t y[2];
    cg_op op = {.kind = cg_kind(CG_OP_ARGMAX),
                .n_inputs = 1,
                .n_outputs = 1,
                .inputs = {{x, 0, 6, CG_SHAPE(2, 3, 1), CG_F64}},
                .outputs = {{y, 0, 2, CG_SHAPE(2, 1), CG_I64}}};
    cr_assert(cg_backend_reference.run(NULL, &op) == CG_OK);
    cr_expect(y[0] == 1 && y[1] == 1);
}

Test(host_backends, adam_moments_that_are_too_small_become_zero) {
    const cg_backend *backends[] = {&cg_backend_cpu, &cg_backend_reference};
    for (int b = 0; b < 2; b++) {
        float hyper[CG_UPDATE_NUMBERS] = {0.1f, 1.0f, 0.0f, 1.0f, 0.1f, 0.999f, 0.001f, 0.2f, 0.5f, 1e-8f},
              grad[20] = {0}, param[20], m[20], v[20];
        for (int i = 0; i < 20; i++) {
            param[i] = 1.0f;
            m[i] = i == 7 ? NAN : i % 2 == 0 ? -1.2e-38f : 1.0f;
            v[i] = 1e-39f;
        }
        cg_no_attrs attrs = {sizeof attrs};
        cg_op op = {.kind = cg_kind(CG_OP_ADAM_STEP),
                    .attrs = &attrs,
                    .n_inputs = 2,
                    .n_outputs = 3,
                    .inputs = {{hyper, 0, CG_UPDATE_NUMBERS, CG_SHAPE(CG_UPDATE_NUMBERS), CG_F32},
                               {grad, 0, 20, CG_SHAPE(20), CG_F32}},
                    .outputs = {{param, 0, 20, CG_SHAPE(20), CG_F32},
                                {m, 0, 20, CG_SHAPE(20), CG_F32},
                                {v, 0, 20, CG_SHAPE(20), CG_F32}}};
        void *device = open_device(backends[b]);
        cr_assert(backends[b]->run(device, &op) == CG_OK);
        backends[b]->close(device);
        cr_expect(m[0] == 0.0f && v[0] == 0.0f && m[1] > 0.8f && isnan(m[7]) && param[0] == 1.0f);
    }
}

/* Units in the last place between a float and the true value. */
static double ulps(float actual, double expected) {
    float rounded = (float)expected;
    if (actual == rounded || (isnan(actual) && isnan(expected))) {
        return 0.0;
    }
    double unit = (double)nextafterf(fabsf(rounded), INFINITY) - (double)fabsf(rounded);
    return isfinite(unit) ? fabs((double)actual - expected) / unit : INFINITY;
}

Test(host_backends, vector_functions_are_within_two_units_in_the_last_place) {
    const float special[] = {0.0f,      -0.0f,     INFINITY, -INFINITY, NAN,     88.72f,   88.73f,
                             1e30f,     -1e30f,    -87.4f,   -103.0f,   -103.9f, -104.5f,  1.0f,
                             0x1p-126f, 0x1p-149f, 1e-40f,   3e38f,     -1.0f,   0.62499f, 0.625f};
    double worst[3] = {0};
    for (size_t i = 0; i < 400000 + sizeof special / sizeof special[0]; i++) {
        bool random = i < 400000;
        float bits = vector_float((int32_t)(random_bits() >> 32));
        float x = !random ? special[i - 400000] : i % 2 == 0 ? bits : random_value() * 45.0f;
        double error[3] = {ulps(vector_exp(x), exp((double)x)), ulps(vector_log(x), log((double)x)),
                           ulps(vector_tanh(x), tanh((double)x))};
        for (int k = 0; k < 3; k++) {
            cr_assert(error[k] <= 2.0, "%s(%a): %g units off", (const char *[]){"exp", "log", "tanh"}[k], (double)x,
                      error[k]);
            worst[k] = error[k] > worst[k] ? error[k] : worst[k];
        }
    }
    cr_log_info("worst: exp %.2f log %.2f tanh %.2f", worst[0], worst[1], worst[2]);
}

Test(host_backends, copy_and_fill_take_every_dtype) {
    for (cg_dtype dtype = CG_F32; dtype <= CG_U8; dtype++) {
        double from[4], to[4], added[4]; /* room for four of any dtype */
        cg_fill_attrs seven = {sizeof seven, 0, 7.0};
        cg_no_attrs none = {sizeof none};
        cg_operand a = {from, 0, 4, CG_SHAPE(4), dtype}, b = {to, 0, 4, CG_SHAPE(4), dtype};
        cg_operand c = {added, 0, 4, CG_SHAPE(4), dtype};
        cg_op fill = {.kind = cg_kind(CG_OP_FILL), .attrs = &seven, .n_outputs = 1, .outputs = {a}};
        cg_op copy = {
            .kind = cg_kind(CG_OP_COPY), .attrs = &none, .n_inputs = 1, .n_outputs = 1, .inputs = {a}, .outputs = {b}};
        void *device = open_device(&cg_backend_cpu);
        cr_assert(cg_backend_cpu.run(device, &fill) == CG_OK && cg_backend_cpu.run(device, &copy) == CG_OK);
        cr_expect(memcmp(from, to, 4 * cg_dtype_size(dtype)) == 0, "%s", cg_dtype_name(dtype));
        copy.accumulate = 1;
        cr_assert(cg_backend_cpu.run(device, &copy) == CG_OK);
        fill.outputs[0] = c;
        seven.value = 14.0;
        cr_assert(cg_backend_cpu.run(device, &fill) == CG_OK);
        cr_expect(memcmp(added, to, 4 * cg_dtype_size(dtype)) == 0, "accumulated %s", cg_dtype_name(dtype));
        cg_backend_cpu.close(device);
    }
}

static void refuses(const cg_backend *backend, const char *key, const char *value) {
    void *device = NULL;
    cg_option option = {key, value};
    cr_expect(backend->open(NULL, 0, &option, 1, &device) == CG_ERR_ARGUMENT && device == NULL, "%s=%s", key, value);
    cr_expect(strstr(cg_error_message(), key) != NULL);
}

Test(host_backends, devices_refuse_options_they_do_not_know) {
    refuses(&cg_backend_cpu, "threads", "0");
    refuses(&cg_backend_cpu, "threads", "1025");
    refuses(&cg_backend_cpu, "threads", "two");
    refuses(&cg_backend_cpu, "threads", "");
    refuses(&cg_backend_cpu, "speed", "1");
    refuses(&cg_backend_reference, "dtype", "f16");
    refuses(&cg_backend_reference, "threads", "1");
}
