#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "bench_startup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clgrad/ops.h>

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

static int clgrad_process(startup *self) {
    cg_device *device;
    cg_status status = cg_device_open(self->device, &device);
    if (status != CG_OK) {
        return report_failure(status);
    }
    self->info = *cg_device_describe(device);
    status = first_result(device);
    cg_device_close(device);
    return status == CG_OK ? EXIT_GOOD : report_failure(status);
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

double startup_clgrad(startup *self) {
    return time_process(self, clgrad_process);
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
    int result = run_process(made, clgrad_process);
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
