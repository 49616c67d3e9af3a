/*
 * Every OpenCL call of opening a device, a training step and closing fails once: no crash, an error whose text names
 * the call, nothing left alive, and the same step works afterwards. Run on the OpenCL devices of CLGRAD_TEST_DEVICES;
 * the host's code is what is tested, so that a simulator would add nothing but hours.
 */
#include "opencl_faults.h"
#include "devices.h"
#include "gradcheck.h"
#include "rows.h"

#include <clgrad/clgrad.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static opencl_faults *faults;

/* The layer is loaded by OpenCL's loader at its first call; the folder of the cache is looked up once, too. */
static void load_layer(const char *cache) {
    if (cache != NULL) {
        setenv("CLGRAD_CACHE_DIR", cache, 1);
    }
    setenv("OPENCL_LAYERS", TEST_FAULT_LAYER, 1);
    setenv("CLGRAD_GEMM", "own", 1); /* CLBlast keeps programs of its own until the process ends */
    cg_device *device = test_device_open();
    cg_device_close(device);
    void *layer = dlopen(TEST_FAULT_LAYER, RTLD_NOW | RTLD_NOLOAD);
    cr_assert(layer != NULL, "OpenCL's loader has not loaded the layer %s", TEST_FAULT_LAYER);
    faults = dlsym(layer, "opencl_faults_state");
    cr_assert_not_null(faults);
    cr_assert(faults->calls > 20, "the layer saw %ld calls", faults->calls);
}

TestSuite(opencl_faults, .timeout = 280);

typedef struct step_parts {
    cg_device *device;
    cg_tape *tape;
    cg_module *model;
    cg_optimizer *adam, *sgd;
    cg_tensor *x, *y;
    double loss;
} step_parts;

static cg_status make_model(step_parts *s, const char *model) {
    CG_TRY(cg_module_parse(s->device, model, &s->model));
    CG_TRY(cg_module_resolve(s->model, &CG_SHAPE(3, 4), NULL));
    CG_TRY(cg_module_init(s->model, 3));
    CG_TRY(cg_optimizer_parse("Adam(lr=0.01)", s->model, &s->adam));
    CG_TRY(cg_optimizer_parse("SGD(lr=0.01, momentum=0.9)", s->model, &s->sgd));
    s->tape = cg_tape_create(s->device);
    return s->tape != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status make_batch(step_parts *s) {
    static const float values[12] = {1, -2, 3, 0.5f, -1, 2, 0, 1, 4, -3, 2, 1};
    static const int64_t classes[3] = {2, 0, 1};
    CG_TRY(cg_tensor_create(s->device, CG_F32, &CG_SHAPE(3, 4), &s->x));
    CG_TRY(cg_tensor_create(s->device, CG_I64, &CG_SHAPE(3), &s->y));
    CG_TRY(cg_tensor_write_f32(s->x, values, 12));
    return cg_tensor_write(s->y, classes, sizeof classes);
}

static cg_status take_step(step_parts *s) {
    cg_tensor *logits = cg_module_forward(s->model, s->tape, s->x);
    cg_tensor *loss = cg_cross_entropy(s->tape, logits, s->y, CG_REDUCE_MEAN);
    CG_TRY(cg_backward(s->tape, loss));
    CG_TRY(cg_optimizer_step(s->adam, s->tape));
    CG_TRY(cg_optimizer_step(s->sgd, s->tape));
    CG_TRY(cg_tensor_item(loss, &s->loss));
    CG_TRY(cg_tape_run(s->tape));
    return cg_device_wait(s->device);
}

static void drop(step_parts *s) {
    cg_tape_destroy(s->tape);
    cg_tensor_destroy(s->x);
    cg_tensor_destroy(s->y);
    cg_optimizer_destroy(s->adam);
    cg_optimizer_destroy(s->sgd);
    cg_module_destroy(s->model);
}

/* The message is the failure's. */
static cg_status step(step_parts *s, const char *model, double *loss, char message[1024]) {
    cg_status status = s->device != NULL ? make_model(s, model) : CG_ERR_DEVICE;
    status = status == CG_OK ? make_batch(s) : status;
    status = status == CG_OK ? take_step(s) : status;
    snprintf(message, 1024, "%s", status == CG_OK ? "" : cg_error_message());
    *loss = s->loss;
    drop(s);
    return status;
}

/* Opens the device, takes a step, closes it. */
static cg_status train(double *loss, char message[1024]) {
    step_parts s = {0};
    cg_status opened = cg_device_open(test_device_string(), &s.device);
    cr_assert(opened != CG_OK || cg_device_describe(s.device)->units > 0,
              "what is shared out over units is divided by them");
    cg_status status = step(&s, "Linear(4, 3)", loss, message);
    cg_device_close(s.device);
    return opened != CG_OK ? opened : status;
}

static cg_device *kept;

static cg_status step_on_kept(double *loss, char message[1024]) {
    step_parts s = {.device = kept};
    return step(&s, "Linear(4, 5), GeneralReLU(leak=0.1), Residual(Linear(5, 5)), LazyLinear(3)", loss, message);
}

/* What a run with a fault is to do: the whole, or a step on the device that is open. */
typedef cg_status (*run_fn)(double *loss, char message[1024]);

static bool names_a_call(const char *message) {
    size_t i = 0;
    while (faults->names[i] != NULL && strstr(message, faults->names[i]) == NULL) {
        i++;
    }
    return faults->names[i] != NULL;
}

/* What only describes a device and a cache that fails are done without: then the step is right. A list of devices that
 * lacks what was asked for is an error of its own. */
static void check_failure(long at, cg_status status, const char *message) {
    bool listing = strncmp(faults->failed, "clGetDevice", 11) == 0 || strcmp(faults->failed, "clGetPlatformInfo") == 0;
    bool named = faults->all_after ? names_a_call(message) : strstr(message, faults->failed) != NULL;
    cr_assert(status == CG_OK || named || (listing && message[0] != '\0'), "call %ld, %s: the message lacks it: %s", at,
              faults->failed, message);
}

/* One run with call `at` failing; true when so many calls were made. */
static bool run_with_fault(run_fn run, long at, double expected) {
    static const int codes[] = {-4, -5, -6, -36};
    char message[1024];
    double loss = 0;
    long before = faults->live;
    faults->calls = 0;
    faults->failed = NULL;
    faults->code = codes[at % 4];
    faults->at = at;
    cg_status status = run(&loss, message);
    faults->at = 0;
    if (status == CG_OK) {
        cr_assert(fabs(loss - expected) <= 1e-5 * expected, "call %ld, %s: loss %g, not %g", at, faults->failed, loss,
                  expected);
    }
    if (faults->failed == NULL) {
        cr_assert(status == CG_OK, "%s", message);
        return false;
    }
    cr_assert(run != train || faults->live == before, "call %ld, %s: %ld objects are left", at, faults->failed,
              faults->live - before);
    check_failure(at, status, message);
    return true;
}

static double undisturbed(run_fn run) {
    char message[1024];
    double loss = 0;
    cg_status status = run(&loss, message);
    cr_assert(status == CG_OK, "%s", message);
    cr_assert(isfinite(loss) && loss > 0);
    return loss;
}

/* Fails call after call until a run makes no more; returns how many there were. */
static long fail_each(run_fn run, const char *only, bool all_after, long stride) {
    double expected = undisturbed(run);
    faults->only = only;
    faults->all_after = all_after;
    long at = 1;
    while (run_with_fault(run, at, expected)) {
        at += stride;
    }
    faults->only = NULL;
    cr_assert(fabs(undisturbed(run) - expected) <= 1e-6 * expected, "the device works as before");
    return at - 1;
}

Test(opencl_faults, each_call_from_opening_to_closing_fails_once) {
    load_layer(NULL);
    cr_expect(fail_each(train, NULL, false, 1) > 150, "there are more calls than this");
}

Test(opencl_faults, each_call_of_a_step_fails_once_and_the_device_goes_on) {
    load_layer(NULL);
    cr_assert(cg_device_open(test_device_string(), &kept) == CG_OK, "%s", cg_error_message());
    cr_expect(fail_each(step_on_kept, NULL, false, 1) > 100, "a step has more calls than this");
    cg_device_close(kept);
    cr_expect_eq(faults->live, 0);
}

/* One after the other: kernels, copies, transfers of a layer and its gradient. */
static void fail_commands(const gradcheck_case *row, cg_device *device, long stride) {
    cr_assert(gradcheck_run(row, device) == CG_OK, "%s: %s", row->name, cg_error_message());
    faults->only = "clEnqueue";
    faults->code = -5;
    for (long at = 1; at == 1 || faults->failed != NULL; at += stride) {
        faults->calls = 0;
        faults->failed = NULL;
        faults->at = at;
        cg_status status = gradcheck_run(row, device);
        faults->at = 0;
        cr_assert((status == CG_OK) == (faults->failed == NULL), "%s, command %ld: %s", row->name, at,
                  cg_status_name(status));
        cr_assert(status == CG_OK || strstr(cg_error_message(), faults->failed) != NULL, "%s, command %ld: %s",
                  row->name, at, cg_error_message());
    }
    faults->only = NULL;
}

static bool same_class(const char *a, const char *b) {
    size_t length = strcspn(a, "(");
    return strncmp(a, b, length + 1) == 0;
}

Test(opencl_faults, each_command_of_every_layer_fails_once) {
    long stride = getenv("CLGRAD_TEST_SLOW") == NULL ? 1 : 32; /* with sanitizers one in so many is enough */
    load_layer(NULL);
    cg_device *device = test_device_open();
    faults->all_after = false;
    const char *last = "";
    for (size_t i = 0; i < cg_layer_row_count; i++) {
        gradcheck_case row = cg_layer_rows[i]().test;
        if (!same_class(row.module, last)) {
            fail_commands(&row, device, stride);
        }
        last = row.module;
    }
    cg_device_close(device);
    cr_expect_eq(faults->live, 0);
}

/* The next command fails with this code. */
static cg_status fail_with(int code, cg_tensor *tensor) {
    faults->only = "clEnqueue";
    faults->all_after = false;
    faults->calls = 0;
    faults->code = code;
    faults->at = 1;
    cg_status status = cg_tensor_fill(tensor, 1.0);
    faults->at = 0;
    faults->only = NULL;
    return status;
}

Test(opencl_faults, codes_are_told_by_name_and_number) {
    load_layer(NULL);
    cg_device *device = test_device_open();
    cg_tensor *tensor = NULL;
    cr_assert(cg_tensor_create(device, CG_F32, &CG_SHAPE(3), &tensor) == CG_OK, "%s", cg_error_message());
    for (int code = -1; code >= -70; code--) {
        bool images =
            (code <= -39 && code >= -41) || code == -60 || code == -62 || code == -65; /* no use of them here */
        bool known = (code >= -19 || code <= -30) && code >= -67 && !images;
        char number[16];
        snprintf(number, sizeof number, "(%d)", code);
        cr_assert(fail_with(code, tensor) != CG_OK, "%d was not noticed", code);
        cr_assert(strstr(cg_error_message(), number) != NULL, "%d: %s", code, cg_error_message());
        cr_assert((strstr(cg_error_message(), ": CL_") != NULL) == known, "%d: %s", code, cg_error_message());
    }
    cr_expect_eq(fail_with(-4, tensor), CG_ERR_DEVICE_MEMORY);
    cr_expect_eq(fail_with(-61, tensor), CG_ERR_DEVICE_MEMORY);
    cr_expect_eq(fail_with(-6, tensor), CG_ERR_MEMORY);
    cr_expect_eq(fail_with(-1001, tensor), CG_ERR_DEVICE);
    cr_expect(cg_tensor_fill(tensor, 1.0) == CG_OK, "the device goes on: %s", cg_error_message());
    cg_tensor_destroy(tensor);
    cg_device_close(device);
}

Test(opencl_faults, a_device_that_is_lost_stays_lost) {
    load_layer(NULL);
    cr_expect(fail_each(train, NULL, true, 9) > 150);
}

/* Without a cache programs are compiled from source. */
Test(opencl_faults, compiling_fails) {
    load_layer("/dev/null/nowhere");
    cr_expect(fail_each(train, "clCreateProgramWithSource", false, 2) >= 3);
    cr_expect(fail_each(train, "Build", true, 2) >= 3, "the compiler's log cannot be had, either");
}

/* The cache is emptied each time, so that binaries are asked for. */
Test(opencl_faults, a_binary_that_cannot_be_had_is_done_without) {
    char folder[] = "/tmp/clgrad-faults-XXXXXX", command[128];
    cr_assert_not_null(mkdtemp(folder));
    load_layer(folder);
    double expected = undisturbed(train);
    faults->only = "clGetProgramInfo";
    for (long at = 1; at < 4; at++) {
        snprintf(command, sizeof command, "rm -rf %s/*", folder);
        cr_assert_eq(system(command), 0);
        cr_assert(run_with_fault(train, at, expected), "clGetProgramInfo is called");
    }
    faults->only = "clCreateProgramWithBinary";
    cr_assert(run_with_fault(train, 1, expected), "clCreateProgramWithBinary is called");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* Every call of the backend's text is one that the layer watches: a new one joins there first. */
static void check_calls(const char *path) {
    static char text[200000];
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s", path);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (const char *at = strstr(text, "cl"); at != NULL; at = strstr(at + 2, "cl")) {
        char name[64];
        int length = 0;
        bool starts = at == text || strchr(" =(!\n", at[-1]) != NULL;
        if (starts && sscanf(at, "cl%60[A-Za-z](%n", name + 2, &length) == 1 && length > 0 && at[2] >= 'A' &&
            at[2] <= 'Z') {
            memcpy(name, "cl", 2);
            size_t i = 0;
            while (faults->names[i] != NULL && strcmp(faults->names[i], name) != 0) {
                i++;
            }
            cr_expect(faults->names[i] != NULL, "%s calls %s: add it to tests/plugins/opencl_faults.c", path, name);
        }
    }
}

Test(opencl_faults, every_call_of_the_backend_is_watched) {
    load_layer(NULL);
    DIR *folder = opendir(TEST_OPENCL_SOURCES);
    cr_assert_not_null(folder);
    size_t count = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[1024];
        size_t length = strlen(entry->d_name);
        if (length > 2 && strcmp(entry->d_name + length - 2, ".c") == 0) {
            snprintf(path, sizeof path, "%s/%s", TEST_OPENCL_SOURCES, entry->d_name);
            check_calls(path);
            count++;
        }
    }
    closedir(folder);
    cr_assert(count > 10);
}
