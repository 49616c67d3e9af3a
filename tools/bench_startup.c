#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "bench_startup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include "bare_opencl.h"
#include "exit_status.h"
#include "terminal.h"

struct startup {
    const char *device;
    cg_device_info info;
};

static cg_status first_result(cg_device *device) {
    float value = 0;
    cg_tensor *x = NULL;
    cg_tape *tape = cg_tape_create(device);
    cg_status status = tape ? cg_tensor_create(device, CG_F32, &CG_SHAPE(1), &x) : CG_ERR_MEMORY;
    if (status == CG_OK) {
        cg_tensor *y = cg_relu(tape, x);
        status = y ? cg_tensor_read(y, &value, sizeof value) : cg_tape_status(tape);
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    return status;
}

#define STEP_MODEL "Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)"
#define STEP_ROWS 128

typedef struct step_parts {
    cg_tape *tape;
    cg_module *model;
    cg_optimizer *optimizer;
    cg_tensor *x, *classes;
} step_parts;

static cg_status make_parts(cg_device *device, step_parts *parts) {
    parts->tape = cg_tape_create(device);
    if (parts->tape == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_module_parse(device, STEP_MODEL, &parts->model));
    CG_TRY(cg_module_init(parts->model, 1));
    CG_TRY(cg_optimizer_parse("SGD(lr=0.01, momentum=0.9)", parts->model, &parts->optimizer));
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(STEP_ROWS, 784), &parts->x));
    return cg_tensor_create(device, CG_I64, &CG_SHAPE(STEP_ROWS), &parts->classes);
}

static cg_status run_step(step_parts *parts) {
    double loss;
    cg_tensor *y = cg_module_forward(parts->model, parts->tape, parts->x);
    cg_tensor *mean = cg_cross_entropy(parts->tape, y, parts->classes, CG_REDUCE_MEAN);
    CG_TRY(cg_backward(parts->tape, mean));
    CG_TRY(cg_optimizer_step(parts->optimizer, parts->tape));
    return cg_tensor_item(mean, &loss);
}

static cg_status first_step(cg_device *device) {
    step_parts parts = {0};
    cg_status status = make_parts(device, &parts);
    if (status == CG_OK) {
        status = run_step(&parts);
    }
    cg_tape_destroy(parts.tape);
    cg_optimizer_destroy(parts.optimizer);
    cg_module_destroy(parts.model);
    cg_tensor_destroy(parts.x);
    cg_tensor_destroy(parts.classes);
    return status;
}

static int on_device(startup *self, cg_status (*work)(cg_device *device)) {
    cg_device *device;
    cg_status status = cg_device_open(self->device, &device);
    if (status != CG_OK) {
        return report_failure(status);
    }
    self->info = *cg_device_describe(device);
    status = work(device);
    cg_device_close(device);
    return status == CG_OK ? EXIT_GOOD : report_failure(status);
}

static int open_process(startup *self) {
    return on_device(self, first_result);
}

static int step_process(startup *self) {
    return on_device(self, first_step);
}

static int bare_process(startup *self) {
    return bare_opencl_context(&self->info) ? EXIT_GOOD : EXIT_DEVICE;
}

/* Runs `work` in a process and returns its exit status. */
static int run_process(startup *self, int (*work)(startup *self)) {
    fflush(NULL); /* or both would write what is buffered */
    pid_t child = fork();
    if (child == 0) {
        exit(work(self));
    }
    int status;
    bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
    return ended ? WEXITSTATUS(status) : EXIT_DEVICE;
}

static double time_process(startup *self, int (*work)(startup *self)) {
    double begin = monotonic_seconds();
    return run_process(self, work) == EXIT_GOOD ? (monotonic_seconds() - begin) * 1e3 : -1;
}

double startup_first_result(startup *self) {
    return time_process(self, open_process);
}

double startup_first_step(startup *self) {
    return time_process(self, step_process);
}

double startup_bare(startup *self) {
    return time_process(self, bare_process);
}

/* In memory that the processes share: what one learns of the device, the next needs. */
int startup_open(const char *device, startup **self) {
    *self = NULL;
    startup *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) {
        return report_failure(cg_fail(CG_ERR_MEMORY, "out of memory"));
    }
    made->device = device;
    int result = run_process(made, open_process);
    result = result == EXIT_GOOD ? run_process(made, step_process) : result;
    if (result != EXIT_GOOD) {
        startup_close(made);
        return result;
    }
    *self = made;
    return EXIT_GOOD;
}

void startup_close(startup *self) {
    if (self) {
        munmap(self, sizeof *self);
    }
}

const cg_device_info *startup_describe(const startup *self) {
    return &self->info;
}
