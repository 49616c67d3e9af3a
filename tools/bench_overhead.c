#include "bench_overhead.h"

#include <stdio.h>
#include <string.h>

#include <clgrad/ops.h>

#include "bare_opencl.h"
#include "bench_startup.h"
#include "exit_status.h"
#include "terminal.h"

#define SAMPLES 101
#define STARTUPS 15
#define OPS 1000
#define OPENCL_OPS 200
#define OPENCL_ELEMENTS 256

/* What repeats: runs `count` of what is measured and waits for the device. */
typedef cg_status (*sample_fn)(void *context, size_t count);

/* One of the things that are measured side by side: what the machine does besides meets them all alike. */
typedef struct contender {
    const char *pass;
    sample_fn sample;
    void *context;
    bench_times times; /* milliseconds for one of `n` */
} contender;

static cg_status take_turns(size_t samples, size_t n, contender *all, size_t count) {
    for (size_t turn = 0; turn <= samples; turn++) {
        for (size_t i = 0; i < count; i++) {
            double begin = monotonic_seconds();
            CG_TRY(all[i].sample(all[i].context, n));
            double ms = (monotonic_seconds() - begin) * 1e3 / (double)n;
            if (turn > 0 && !bench_times_add(&all[i].times, ms)) {
                return cg_fail(CG_ERR_MEMORY, "out of memory");
            }
        }
    }
    return CG_OK;
}

/* Adds a row for each of `count` contenders, which take `samples` turns. The first turn warms up. */
static cg_status measure(bench_output *output, const char *name, const cg_device_info *device, size_t samples, size_t n,
                         contender *all, size_t count) {
    cg_status status = take_turns(samples, n, all, count);
    for (size_t i = 0; i < count; i++) {
        if (status == CG_OK) {
            const bench_row row = {.name = name, .device = device->string, .pass = all[i].pass, .n = (double)n};
            bench_output_add(output, &row, &all[i].times);
        }
        bench_times_free(&all[i].times);
    }
    return status;
}

typedef struct small_ops {
    cg_tape *tape;
    cg_tensor *x;
} small_ops;

static cg_status sample_ops(void *context, size_t count) {
    const small_ops *ops = context;
    for (size_t i = 0; i < count; i++) {
        cg_relu(ops->tape, ops->x);
    }
    CG_TRY(cg_tape_run(ops->tape));
    return cg_device_wait(cg_tape_device(ops->tape));
}

static cg_status sample_bare(void *context, size_t count) {
    return bare_opencl_run(context, count) ? CG_OK : cg_fail(CG_ERR_DEVICE, "the bare OpenCL calls fail");
}

/* The driver's calls alone, for a device of OpenCL; NULL for another, or where they cannot be made, which is said. */
static bare_opencl *open_bare(const cg_device_info *info) {
    const char *reason;
    const bare_kernel relu = bare_relu(info, OPENCL_ELEMENTS);
    bare_opencl *bare = bare_opencl_open(info, &relu, &reason);
    if (!bare) {
        fprintf(stderr, "clgrad bench: %s: no bare driver calls to compare with: %s\n", info->string, reason);
    }
    return bare;
}

static cg_status open_ops(small_ops *ops, cg_device *device, int64_t elements) {
    ops->tape = cg_tape_create(device);
    if (!ops->tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(ops->tape, CG_EVAL);
    return cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(elements), &ops->x);
}

/* What an op costs besides its work, recorded and dispatched: one element on the cpu, where all else is the cost; on
 * OpenCL a small relu beside the same kernel launched by the driver's calls alone. */
cg_status bench_overhead(bench_output *output, cg_device *device) {
    const cg_device_info *info = cg_device_describe(device);
    bool opencl = strncmp(info->string, "opencl", 6) == 0;
    small_ops ops = {0};
    bare_opencl *bare = opencl ? open_bare(info) : NULL;
    cg_status status = open_ops(&ops, device, opencl ? OPENCL_ELEMENTS : 1);
    if (status == CG_OK) {
        contender all[] = {{.pass = "op", .sample = sample_ops, .context = &ops},
                           {.pass = "bare", .sample = sample_bare, .context = bare}};
        status = measure(output, "overhead", info, SAMPLES, opencl ? OPENCL_OPS : OPS, all, bare ? 2 : 1);
    }
    bare_opencl_close(bare);
    cg_tape_destroy(ops.tape);
    cg_tensor_destroy(ops.x);
    return status;
}

static cg_status sample_startup(void *context, size_t count) {
    (void)count;
    return startup_first_result(context) < 0 ? cg_fail(CG_ERR_DEVICE, "a process that opens the device fails") : CG_OK;
}

static cg_status sample_first_step(void *context, size_t count) {
    (void)count;
    return startup_first_step(context) < 0 ? cg_fail(CG_ERR_DEVICE, "a process that trains a step fails") : CG_OK;
}

static cg_status sample_bare_startup(void *context, size_t count) {
    (void)count;
    return startup_bare(context) < 0 ? cg_fail(CG_ERR_DEVICE, "a process with the bare OpenCL calls fails") : CG_OK;
}

/* What a process takes from its start to the first result, and to the end of a training's first step, the cache of
 * kernels warm; on OpenCL beside one that opens a context by the driver's calls alone. */
int bench_startup(bench_output *output, const char *device) {
    startup *self;
    int result = startup_open(device, &self);
    if (result != EXIT_GOOD) {
        return result;
    }
    const cg_device_info *info = startup_describe(self);
    contender all[] = {{.pass = "open", .sample = sample_startup, .context = self},
                       {.pass = "step", .sample = sample_first_step, .context = self},
                       {.pass = "bare", .sample = sample_bare_startup, .context = self}};
    cg_status status =
        measure(output, "startup", info, STARTUPS, 1, all, strncmp(info->string, "opencl", 6) == 0 ? 3 : 2);
    startup_close(self);
    return status == CG_OK ? EXIT_GOOD : report_failure(status);
}
