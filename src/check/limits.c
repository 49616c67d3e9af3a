/* Numbers that are none, memory that is not there. */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <clgrad/ops.h>

#include "alloc.h"
#include "device.h"

#define SPECIAL 12

static const float special[SPECIAL] = {NAN,   INFINITY, -INFINITY, 0.0f,  -0.0f,  1.0f,
                                       -1.0f, 1e-40f,   -1e-40f,   1e30f, -1e30f, 3.4028235e38f};

typedef cg_tensor *(*unary_fn)(cg_tape *tape, cg_tensor *x);

/* Rows of special numbers summed: one NaN makes its own row NaN and no other. */
static cg_tensor *sum_rows(cg_tape *tape, cg_tensor *x) {
    return cg_sum(tape, x, 1u << 1, false);
}

static cg_tensor *add_itself(cg_tape *tape, cg_tensor *x) {
    return cg_add(tape, x, x);
}

static cg_tensor *subtract_itself(cg_tape *tape, cg_tensor *x) {
    return cg_sub(tape, x, x);
}

static cg_tensor *softmax_rows(cg_tape *tape, cg_tensor *x) {
    return cg_log_softmax(tape, x, 1);
}

static const struct {
    const char *name;
    unary_fn apply;
} functions[] = {
    {"relu", cg_relu}, {"exp", cg_exp},   {"sqrt", cg_sqrt},   {"square", cg_square},    {"abs", cg_abs},
    {"neg", cg_neg},   {"tanh", cg_tanh}, {"add", add_itself}, {"sub", subtract_itself}, {"sum", sum_rows},
};

/* check: compares with the reference, NaN with NaN, infinity with infinity. */
static cg_status check_special(cg_device *device, unary_fn apply) {
    cg_tensor *x = NULL;
    cg_tape *tape = cg_tape_create(device);
    cg_status status = tape != NULL ? cg_tensor_create(device, CG_F32, &CG_SHAPE(SPECIAL, 1), &x) : CG_ERR_MEMORY;
    status = status != CG_OK ? status : cg_tensor_write_f32(x, special, SPECIAL);
    if (status == CG_OK) {
        apply(tape, x);
        status = cg_tape_run(tape);
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    return status;
}

/* Logits near 1e4 are finite, and their probabilities sum to 1. */
static cg_status check_large_logits(cg_device *device) {
    static const float logits[6] = {10000.0f, 9999.0f, 9998.0f, -10000.0f, -9999.0f, -9990.0f};
    float values[6];
    cg_tensor *x = NULL;
    cg_tape *tape = cg_tape_create(device);
    cg_status status = tape != NULL ? cg_tensor_create(device, CG_F32, &CG_SHAPE(2, 3), &x) : CG_ERR_MEMORY;
    status = status != CG_OK ? status : cg_tensor_write_f32(x, logits, 6);
    status = status != CG_OK ? status : cg_tensor_read_f32(softmax_rows(tape, x), values, 6);
    for (size_t row = 0; row < 2 && status == CG_OK; row++) {
        const float *one = values + 3 * row;
        double sum = exp((double)one[0]) + exp((double)one[1]) + exp((double)one[2]);
        if (!(fabs(sum - 1) < 1e-5)) {
            status = cg_fail(CG_ERR_WRONG, "softmax of logits near 1e4 sums to %g", sum);
        }
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    return status;
}

/* A class that is not there is an error of that op's name, and the device goes on afterwards. */
static cg_status expect_index_error(cg_tape *tape, cg_tensor *logits, cg_tensor *target) {
    double loss;
    cg_status status = cg_tensor_read_f64(cg_cross_entropy(tape, logits, target, CG_REDUCE_MEAN), &loss, 1);
    return status == CG_ERR_INDEX ? CG_OK
           : status == CG_OK      ? cg_fail(CG_ERR_WRONG, "a class out of range gave a loss of %g", loss)
                                  : status;
}

static cg_status check_index(cg_device *device) {
    cg_tensor *logits = NULL, *target = NULL;
    cg_tape *tape = cg_tape_create(device);
    cg_status status = tape != NULL ? cg_tensor_create(device, CG_F32, &CG_SHAPE(2, 3), &logits) : CG_ERR_MEMORY;
    status = status != CG_OK ? status : cg_tensor_create(device, CG_I64, &CG_SHAPE(2), &target);
    status = status != CG_OK ? status : cg_tensor_write(target, (const int64_t[]){1, 7}, 2 * sizeof(int64_t));
    status = status != CG_OK ? status : expect_index_error(tape, logits, target);
    cg_tape_destroy(tape);
    cg_tensor_destroy(logits);
    cg_tensor_destroy(target);
    return status;
}

cg_status cg_doctor_numbers(cg_doctor *doctor) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s of NaN, infinities, denormals", functions[i].name);
        cg_doctor_begin(doctor);
        cg_status status = check_special(doctor->device, functions[i].apply);
        CG_TRY(cg_doctor_end(doctor, "numbers", name, status, NAN, ""));
    }
    cg_doctor_begin(doctor);
    cg_status status = check_large_logits(doctor->device);
    CG_TRY(cg_doctor_end(doctor, "numbers", "softmax of logits near 1e4", status, NAN, ""));
    cg_doctor_begin(doctor);
    status = check_index(doctor->device);
    return cg_doctor_end(doctor, "numbers", "a class out of range", status, NAN, "");
}

#define LARGE ((int64_t)32 << 20) /* bytes */

/* What is written comes back, from the first byte to the last. */
static cg_status check_round_trip(cg_device *device) {
    int64_t most = (int64_t)device->info.max_allocation_bytes;
    int64_t bytes = most > 0 && most < LARGE ? most / 16 * 16 : LARGE;
    cg_tensor *tensor = NULL;
    unsigned char *there = cg_alloc((size_t)bytes), *back = cg_alloc((size_t)bytes);
    cg_status status = there != NULL && back != NULL ? CG_OK : CG_ERR_MEMORY;
    for (int64_t i = 0; i < bytes && status == CG_OK; i++) {
        there[i] = (unsigned char)(i * 2654435761u >> 13);
    }
    int64_t rows = bytes * 3 / 4 / 4; /* the pool rounds up */
    status = status != CG_OK ? status : cg_tensor_create(device, CG_F32, &CG_SHAPE(rows), &tensor);
    status = status != CG_OK ? status : cg_tensor_write(tensor, there, (size_t)rows * 4);
    status = status != CG_OK ? status : cg_tensor_read(tensor, back, (size_t)rows * 4);
    if (status == CG_OK && memcmp(there, back, (size_t)rows * 4) != 0) {
        status = cg_fail(CG_ERR_WRONG, "%lld bytes did not come back as they were written", (long long)rows * 4);
    }
    cg_tensor_destroy(tensor);
    cg_free(there);
    cg_free(back);
    return status;
}

/* More than the device has is refused in words, and the device goes on afterwards. */
static cg_status check_refusal(cg_device *device) {
    cg_tensor *tensor = NULL;
    if (device->info.memory_bytes == 0) {
        return CG_OK;
    }
    int64_t count = (int64_t)(device->info.memory_bytes / 4) + 1;
    cg_status status = cg_tensor_create(device, CG_F32, &CG_SHAPE(count), &tensor);
    cg_tensor_destroy(tensor);
    return status == CG_ERR_DEVICE_MEMORY ? check_special(device, cg_relu)
           : status == CG_OK              ? cg_fail(CG_ERR_WRONG, "a tensor larger than the device's memory was made")
                                          : status;
}

cg_status cg_doctor_memory(cg_doctor *doctor) {
    cg_doctor_begin(doctor);
    cg_status status = check_round_trip(doctor->device);
    CG_TRY(cg_doctor_end(doctor, "memory", "a large buffer there and back", status, NAN, ""));
    cg_doctor_begin(doctor);
    status = check_refusal(doctor->device);
    return cg_doctor_end(doctor, "memory", "more than the device has is refused", status, NAN, "");
}
