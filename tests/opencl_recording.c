/*
 * Launches that come again are recorded as command buffers: with them and without, steps give the same bits, also while
 * memory comes and goes; each call of the extension may fail, and nothing is left alive. Seen through the layer of
 * opencl_faults.h, on Intel's runtime, and on PoCL, whose version of the extension is refused.
 */
#include "devices.h"
#include "opencl_faults.h"

#include <clgrad/clgrad.h>

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 9
#define ROWS 6
#define COLUMNS 20

static opencl_faults *faults;

static void load_layer(void) {
    setenv("OPENCL_LAYERS", TEST_FAULT_LAYER, 1);
    setenv("CLGRAD_GEMM", "own", 1);
    cg_device_close(test_device_open());
    void *layer = dlopen(TEST_FAULT_LAYER, RTLD_NOW | RTLD_NOLOAD);
    cr_assert(layer != NULL, "OpenCL's loader has not loaded the layer %s", TEST_FAULT_LAYER);
    faults = dlsym(layer, "opencl_faults_state");
    cr_assert_not_null(faults);
}

TestSuite(opencl_recording, .timeout = 120);

typedef struct training {
    cg_device *device;
    cg_tape *tape;
    cg_module *model;
    cg_optimizer *optimizer;
    cg_tensor *x, *y; /* all batches */
} training;

static cg_status begin(training *t, const char *options) {
    float values[STEPS * ROWS * COLUMNS];
    int64_t classes[STEPS * ROWS];
    char string[256];
    for (int i = 0; i < STEPS * ROWS * COLUMNS; i++) {
        values[i] = (float)(i * 37 % 101 - 50) / 32;
    }
    for (int i = 0; i < STEPS * ROWS; i++) {
        classes[i] = i * 5 % 7;
    }
    snprintf(string, sizeof string, "%s%s", test_device_string(), options);
    CG_TRY(cg_device_open(string, &t->device));
    CG_TRY(cg_module_parse(t->device, "Linear(20, 30), ReLU(), Linear(30, 30), Tanh(), Linear(30, 7)", &t->model));
    CG_TRY(cg_module_resolve(t->model, &CG_SHAPE(ROWS, COLUMNS), NULL));
    CG_TRY(cg_module_init(t->model, 3));
    CG_TRY(cg_optimizer_parse("SGD(lr=0.1, momentum=0.9)", t->model, &t->optimizer));
    CG_TRY(cg_tensor_create(t->device, CG_F32, &CG_SHAPE(STEPS * ROWS, COLUMNS), &t->x));
    CG_TRY(cg_tensor_create(t->device, CG_I64, &CG_SHAPE(STEPS * ROWS), &t->y));
    CG_TRY(cg_tensor_write_f32(t->x, values, STEPS * ROWS * COLUMNS));
    CG_TRY(cg_tensor_write(t->y, classes, sizeof classes));
    t->tape = cg_tape_create(t->device);
    return t->tape != NULL ? CG_OK : CG_ERR_MEMORY;
}

static void end(training *t) {
    cg_tape_destroy(t->tape);
    cg_tensor_destroy(t->x);
    cg_tensor_destroy(t->y);
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->model);
    cg_device_close(t->device);
}

static cg_status step(training *t, int number, float *loss) {
    int64_t first = number * ROWS;
    cg_tensor *x = cg_slice(t->tape, t->x, 0, first, first + ROWS, 1);
    cg_tensor *y = cg_slice(t->tape, t->y, 0, first, first + ROWS, 1);
    cg_tensor *found = cg_cross_entropy(t->tape, cg_module_forward(t->model, t->tape, x), y, CG_REDUCE_MEAN);
    double value = 0;
    CG_TRY(cg_backward(t->tape, found));
    CG_TRY(cg_optimizer_step(t->optimizer, t->tape));
    CG_TRY(cg_tensor_item(found, &value));
    *loss = (float)value;
    return cg_tape_run(t->tape);
}

/* The device gives its free memory back: it does when a driver has none left, here for a tensor of a new size. */
static cg_status give_memory_back(training *t, int number) {
    opencl_faults before = *faults;
    cg_tensor *passing = NULL;
    faults->only = "clCreateBuffer";
    faults->calls = 0;
    faults->code = -4;
    faults->at = 1;
    cg_status status = cg_tensor_create(t->device, CG_F32, &CG_SHAPE(1 << (10 + number)), &passing);
    cr_assert(faults->calls >= 2, "a tensor of a new size is memory that was asked for twice");
    before.live = faults->live;
    *faults = before;
    CG_TRY(status);
    CG_TRY(cg_tensor_fill(passing, 1.0));
    cg_tensor_destroy(passing);
    return CG_OK;
}

/* The losses of the steps; memory is given back after every `each` steps, 0: never. */
static cg_status train(const char *options, int each, float losses[STEPS], char message[1024]) {
    training t = {0};
    cg_status status = begin(&t, options);
    for (int i = 0; status == CG_OK && i < STEPS; i++) {
        status = step(&t, i, &losses[i]);
        if (status == CG_OK && each > 0 && i % each == each - 1) {
            status = give_memory_back(&t, i);
        }
    }
    snprintf(message, 1024, "%s", status == CG_OK ? "" : cg_error_message());
    end(&t);
    return status;
}

static long calls_of(const char *call, const char *options, int each, float losses[STEPS]) {
    char message[1024];
    faults->only = call;
    faults->calls = faults->at = 0;
    cr_assert(train(options, each, losses, message) == CG_OK, "%s", message);
    faults->only = NULL;
    return faults->calls;
}

/* PoCL before 5 has the extension, but with a fault. */
static bool is_refused(void) {
    float losses[STEPS];
    char message[1024];
    bool refused = train(",command_buffers=on", 0, losses, message) != CG_OK;
    cr_assert_eq(refused, strstr(test_device_string(), "pocl") != NULL, "%s", message);
    cr_assert(!refused || strstr(message, "later cl_khr_command_buffer") != NULL, "%s", message);
    return refused;
}

Test(opencl_recording, nothing_is_recorded_unless_it_is_asked_for) {
    float losses[STEPS];
    load_layer();
    cr_expect_eq(calls_of("CommandBuffer", "", 0, losses), 0);
    cr_expect_eq(calls_of("CommandBuffer", ",command_buffers=off", 0, losses), 0);
    is_refused();
    cr_expect_eq(faults->live, 0, "%ld objects are left", faults->live);
}

Test(opencl_recording, runs_that_come_again_give_the_same_bits) {
    float recorded[STEPS], queued[STEPS];
    load_layer();
    if (is_refused()) {
        return;
    }
    long calls = calls_of("clEnqueueCommandBufferKHR", ",command_buffers=on", 0, recorded);
    cr_expect(calls >= STEPS / 2, "%ld command buffers were queued", calls);
    calls_of("CommandBuffer", ",command_buffers=off", 0, queued);
    cr_expect_arr_eq(recorded, queued, sizeof queued);
    cr_expect(queued[STEPS - 1] != queued[0]);
    cr_expect_eq(faults->live, 0, "%ld objects are left", faults->live);
}

Test(opencl_recording, memory_that_goes_ends_what_was_recorded) {
    float recorded[STEPS], queued[STEPS];
    load_layer();
    if (is_refused()) {
        return;
    }
    calls_of("CommandBuffer", ",command_buffers=off", 0, queued);
    for (int each = 1; each < 6; each++) {
        long calls = calls_of("clEnqueueCommandBufferKHR", ",command_buffers=on", each, recorded);
        cr_expect_eq(calls > 0, each > 3, "memory goes every %d steps: %ld command buffers", each, calls);
        cr_expect_arr_eq(recorded, queued, sizeof queued, "memory goes every %d steps", each);
    }
    cr_expect_eq(faults->live, 0, "%ld objects are left", faults->live);
}

/* When a command buffer cannot be made, launches are queued one by one. */
Test(opencl_recording, each_call_of_the_extension_fails_once) {
    static const char *const each[] = {"clCreateCommandBuffer",  "clCommandNDRange",  "clFinalizeCommandBuffer",
                                       "clReleaseCommandBuffer", "clRetainMemObject", "clGetExtension"};
    static const char *const explains[] = {"clRetainMemObject",
                                           "later cl_khr_command_buffer"}; /* the last two end it */
    float queued[STEPS], losses[STEPS];
    char message[1024];
    load_layer();
    if (is_refused()) {
        return;
    }
    calls_of("CommandBuffer", ",command_buffers=off", 0, queued);
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        faults->only = each[i];
        faults->calls = 0;
        faults->failed = NULL;
        faults->code = -5;
        faults->at = 1;
        cg_status status = train(",command_buffers=on", 0, losses, message);
        faults->at = 0;
        cr_assert(faults->failed != NULL, "%s is not called", each[i]);
        bool same = status == CG_OK && memcmp(losses, queued, sizeof losses) == 0;
        cr_expect(i < 4 ? same : strstr(message, explains[i - 4]) != NULL, "%s: %s", each[i], message);
        cr_expect_eq(faults->live, 0, "%s: %ld objects are left", each[i], faults->live);
    }
}

Test(opencl_recording, a_command_buffer_that_is_refused_is_an_error_that_names_the_call) {
    float losses[STEPS];
    char message[1024] = "";
    load_layer();
    if (is_refused()) {
        return;
    }
    faults->only = "clEnqueueCommandBuffer";
    faults->calls = 0;
    faults->code = -5;
    faults->at = 2;
    cg_status status = train(",command_buffers=on", 0, losses, message);
    faults->at = 0;
    cr_expect(status != CG_OK && strstr(message, "clEnqueueCommandBufferKHR") != NULL, "%s", message);
    cr_expect_eq(faults->live, 0, "%ld objects are left", faults->live);
}
