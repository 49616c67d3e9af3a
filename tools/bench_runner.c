#include "bench_runner.h"

#include <stdlib.h>

#include <clgrad/nn.h>
#include <clgrad/optim.h>

#include "terminal.h"

#define MAX_OUTPUTS 4

struct bench_runner {
    const bench_work *work;
    cg_device *device;
    cg_tape *tape;
    cg_module *module, *loss;
    cg_optimizer *optimizer;
    cg_tensor *inputs[BENCH_MAX_INPUTS]; /* a training's: all images, all classes */
    cg_tensor *grad_output;              /* NULL where the output is a loss */
    cg_tensor **batches;                 /* views, two a batch: images, classes */
    size_t n_batches, next;
    double flops[BENCH_PASSES], bytes[BENCH_PASSES];
};

/* Numbers of mean 0 and variance 1, uniform: what they are does not matter as long as they are no denormals, and the
 * normal ones of a whole MNIST would take longer than what is measured. */
static void fill_numbers(float *values, int64_t count, uint64_t state) {
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = (float)(int32_t)(state >> 32) * (1.7320508f / 2147483648.0f);
    }
}

static cg_status write_numbers(cg_tensor *tensor, uint64_t seed) {
    int64_t count = cg_tensor_numel(tensor);
    float *values = malloc((size_t)count * sizeof *values);
    if (!values) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    fill_numbers(values, count, seed);
    cg_status status = cg_tensor_write_f32(tensor, values, count);
    free(values);
    return status;
}

static cg_status write_classes(cg_tensor *tensor, int64_t classes) {
    int64_t count = cg_tensor_numel(tensor);
    int64_t *values = malloc((size_t)count * sizeof *values);
    if (!values) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = i * 7 % classes;
    }
    cg_status status = cg_tensor_write(tensor, values, (size_t)count * sizeof *values);
    free(values);
    return status;
}

/* Gradients are wanted of numbers that go in; not of targets, images and `data`. */
static bool wants_gradient(const bench_work *work, size_t i) {
    bool target = i > 0 && i + 1 == bench_work_inputs(work) && (work->loss || work->classes > 0);
    return !target && !work->optimizer && !(i == 0 && work->data);
}

static cg_status make_input(bench_runner *runner, size_t i) {
    const bench_work *work = runner->work;
    bool classes = work->classes > 0 && i + 1 == bench_work_inputs(work);
    cg_shape shape = work->inputs[i];
    if (work->images > 0) {
        shape.dim[0] = work->images;
    }
    CG_TRY(cg_tensor_create(runner->device, classes ? CG_I64 : cg_device_real(runner->device), &shape,
                            &runner->inputs[i]));
    cg_tensor_set_requires_grad(runner->inputs[i], wants_gradient(work, i));
    return classes ? write_classes(runner->inputs[i], work->classes) : write_numbers(runner->inputs[i], i + 1);
}

/* The batches of an epoch as views, as a program slices an array; what is left over is left out. */
static cg_status make_batches(bench_runner *runner) {
    const bench_work *work = runner->work;
    int64_t batch = work->inputs[0].dim[0];
    runner->n_batches = (size_t)(work->images / batch);
    runner->batches = calloc(2 * runner->n_batches, sizeof(cg_tensor *));
    if (runner->n_batches > 0 && !runner->batches) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    size_t stride = (size_t)cg_shape_numel(&work->inputs[0]);
    for (size_t i = 0; i < runner->n_batches; i++) {
        CG_TRY(cg_tensor_view(runner->inputs[0], i * stride, &work->inputs[0], &runner->batches[2 * i]));
        CG_TRY(cg_tensor_view(runner->inputs[1], i * (size_t)batch, &work->inputs[1], &runner->batches[2 * i + 1]));
    }
    return CG_OK;
}

static cg_status make_modules(bench_runner *runner) {
    const bench_work *work = runner->work;
    if (work->module) {
        CG_TRY(cg_module_parse(runner->device, work->module, &runner->module));
        CG_TRY(cg_module_init(runner->module, 0));
    }
    if (work->loss) {
        CG_TRY(cg_module_parse(runner->device, work->loss, &runner->loss));
    }
    return work->optimizer ? cg_optimizer_parse(work->optimizer, runner->module, &runner->optimizer) : CG_OK;
}

static cg_tensor *call_module(bench_runner *runner, cg_module *module, cg_tensor *const *inputs, size_t count) {
    cg_tensor *outputs[MAX_OUTPUTS] = {NULL};
    size_t n_outputs = MAX_OUTPUTS;
    cg_status status = cg_module_call(module, runner->tape, inputs, count, outputs, &n_outputs);
    return status == CG_OK ? outputs[0] : cg_tape_blame(runner->tape, status);
}

/* What the work computes of these inputs, recorded. */
static cg_tensor *record(bench_runner *runner, cg_tensor *const *inputs) {
    const bench_work *work = runner->work;
    size_t count = bench_work_inputs(work);
    if (work->build) {
        return work->build(runner->tape, inputs);
    }
    if (!work->loss) {
        return call_module(runner, runner->module, inputs, count);
    }
    cg_tensor *pair[] = {call_module(runner, runner->module, inputs, count - 1), inputs[count - 1]};
    return call_module(runner, runner->loss, pair, 2);
}

static void zero_gradients(bench_runner *runner) {
    for (size_t i = 0; i < bench_work_inputs(runner->work); i++) {
        cg_tensor_zero_grad(runner->inputs[i]);
    }
    size_t count = runner->module ? cg_module_parameter_count(runner->module) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        cg_tensor_zero_grad(cg_module_parameter(runner->module, i, &name));
    }
}

static cg_status record_backward(bench_runner *runner, cg_tensor *output) {
    CG_TRY(cg_tape_status(runner->tape));
    return runner->grad_output ? cg_backward_from(runner->tape, output, runner->grad_output)
                               : cg_backward(runner->tape, output);
}

static cg_status make_grad_output(bench_runner *runner, const cg_tensor *output) {
    if (cg_tensor_numel(output) == 1) {
        return CG_OK;
    }
    const cg_shape shape = *cg_tensor_shape(output);
    CG_TRY(cg_tensor_create(runner->device, cg_device_real(runner->device), &shape, &runner->grad_output));
    return write_numbers(runner->grad_output, 99);
}

/* Bytes of what goes in, and of the gradients that come out. */
static void sum_bytes(const bench_runner *runner, double *in, double *gradients) {
    *in = *gradients = 0;
    for (size_t i = 0; i < bench_work_inputs(runner->work); i++) {
        double bytes = (double)cg_tensor_bytes(runner->inputs[i]);
        *in += bytes;
        *gradients += cg_tensor_requires_grad(runner->inputs[i]) ? bytes : 0;
    }
    size_t count = runner->module ? cg_module_parameter_count(runner->module) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        double bytes = (double)cg_tensor_bytes(cg_module_parameter(runner->module, i, &name));
        *in += bytes;
        *gradients += bytes;
    }
}

/* A step reads parameters, gradients and states and writes parameters and states. */
static double step_bytes(const bench_runner *runner, double parameters) {
    double states = 0;
    for (size_t i = 0; i < cg_optimizer_state_count(runner->optimizer); i++) {
        const char *name;
        states += (double)cg_tensor_bytes(cg_optimizer_state(runner->optimizer, i, &name));
    }
    return 3 * parameters + 2 * states;
}

static void set_bytes(bench_runner *runner, const cg_tensor *output) {
    double in, gradients, out = (double)cg_tensor_bytes(output);
    sum_bytes(runner, &in, &gradients);
    if (runner->optimizer) {
        runner->bytes[BENCH_STEP] = step_bytes(runner, gradients);
        return;
    }
    double *bytes = runner->bytes;
    bytes[BENCH_FORWARD] = in + out;
    bytes[BENCH_BACKWARD] = out + gradients + (runner->work->linear ? 0 : in);
    bytes[BENCH_BOTH] = bytes[BENCH_FORWARD] + bytes[BENCH_BACKWARD];
}

static void set_flops(bench_runner *runner, double forward, double both) {
    if (runner->optimizer) {
        const bench_work *work = runner->work;
        runner->flops[BENCH_TRAIN] = both * (double)work->images / (double)work->inputs[0].dim[0];
        return;
    }
    runner->flops[BENCH_FORWARD] = forward;
    runner->flops[BENCH_BACKWARD] = both - forward;
    runner->flops[BENCH_BOTH] = both;
}

/* Records the work once, without running it, to learn what it takes. */
static cg_status measure_cost(bench_runner *runner) {
    cg_tensor *output = record(runner, runner->batches ? runner->batches : runner->inputs);
    CG_TRY(cg_tape_status(runner->tape));
    double forward = cg_tape_flops(runner->tape);
    CG_TRY(make_grad_output(runner, output));
    CG_TRY(record_backward(runner, output));
    set_flops(runner, forward, cg_tape_flops(runner->tape));
    set_bytes(runner, output);
    cg_tape_reset(runner->tape);
    zero_gradients(runner);
    return CG_OK;
}

static cg_status prepare(bench_runner *runner) {
    runner->tape = cg_tape_create(runner->device);
    if (!runner->tape) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < bench_work_inputs(runner->work); i++) {
        CG_TRY(make_input(runner, i));
    }
    if (runner->work->images > 0) {
        CG_TRY(make_batches(runner));
    }
    CG_TRY(make_modules(runner));
    CG_TRY(measure_cost(runner));
    return cg_device_wait(runner->device);
}

cg_status bench_runner_open(const bench_work *work, cg_device *device, bench_runner **runner) {
    *runner = calloc(1, sizeof **runner);
    if (!*runner) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    (*runner)->work = work;
    (*runner)->device = device;
    cg_status status = prepare(*runner);
    if (status != CG_OK) {
        bench_runner_close(*runner);
        *runner = NULL;
    }
    return status;
}

void bench_runner_close(bench_runner *runner) {
    if (!runner) {
        return;
    }
    cg_tape_destroy(runner->tape);
    cg_optimizer_destroy(runner->optimizer);
    cg_module_destroy(runner->module);
    cg_module_destroy(runner->loss);
    for (size_t i = 0; runner->batches && i < 2 * runner->n_batches; i++) {
        cg_tensor_destroy(runner->batches[i]);
    }
    for (size_t i = 0; i < BENCH_MAX_INPUTS; i++) {
        cg_tensor_destroy(runner->inputs[i]);
    }
    cg_tensor_destroy(runner->grad_output);
    free(runner->batches);
    free(runner);
}

static cg_status run_and_wait(bench_runner *runner) {
    CG_TRY(cg_tape_run(runner->tape));
    return cg_device_wait(runner->device);
}

static cg_status forward(bench_runner *runner) {
    record(runner, runner->inputs);
    return run_and_wait(runner);
}

static cg_status both(bench_runner *runner) {
    zero_gradients(runner);
    CG_TRY(record_backward(runner, record(runner, runner->inputs)));
    return run_and_wait(runner);
}

static cg_status step(bench_runner *runner) {
    CG_TRY(cg_optimizer_step(runner->optimizer, runner->tape));
    return run_and_wait(runner);
}

static cg_status train(bench_runner *runner) {
    for (int i = 0; i < runner->work->steps; i++) {
        cg_tensor *loss = record(runner, &runner->batches[2 * runner->next]);
        CG_TRY(record_backward(runner, loss));
        CG_TRY(cg_optimizer_step(runner->optimizer, runner->tape));
        CG_TRY(cg_tape_run(runner->tape));
        runner->next = (runner->next + 1) % runner->n_batches;
    }
    return cg_device_wait(runner->device);
}

/* The clock's part of a backward pass: what went before has run and is kept. */
static cg_status backward(bench_runner *runner, double *seconds) {
    zero_gradients(runner);
    cg_tensor *output = record(runner, runner->inputs);
    CG_TRY(cg_tape_flush(runner->tape));
    CG_TRY(cg_device_wait(runner->device));
    double begin = monotonic_seconds();
    CG_TRY(record_backward(runner, output));
    CG_TRY(run_and_wait(runner));
    *seconds = monotonic_seconds() - begin;
    return CG_OK;
}

static cg_status timed(bench_runner *runner, cg_status (*work)(bench_runner *runner), double *seconds) {
    double begin = monotonic_seconds();
    CG_TRY(work(runner));
    *seconds = monotonic_seconds() - begin;
    return CG_OK;
}

cg_status bench_runner_call(bench_runner *runner, bench_pass pass, double *seconds) {
    const bench_work *work = runner->work;
    switch (pass) {
    case BENCH_FORWARD:
        return timed(runner, forward, seconds);
    case BENCH_BACKWARD:
        return backward(runner, seconds);
    case BENCH_BOTH:
        return timed(runner, both, seconds);
    case BENCH_STEP:
        CG_TRY(both(runner));
        return timed(runner, step, seconds);
    case BENCH_TRAIN:
        CG_TRY(timed(runner, train, seconds));
        *seconds *= (double)work->images / (double)(work->steps * work->inputs[0].dim[0]);
        return CG_OK;
    case BENCH_PASSES:
        break;
    }
    return cg_fail(CG_ERR_ARGUMENT, "%s has no such pass", work->name);
}

static int64_t count_parameters(const bench_runner *runner) {
    int64_t count = 0;
    for (size_t i = 0; i < cg_module_parameter_count(runner->module); i++) {
        const char *name;
        count += cg_tensor_numel(cg_module_parameter(runner->module, i, &name));
    }
    return count;
}

int64_t bench_runner_n(const bench_runner *runner) {
    const bench_work *work = runner->work;
    if (bench_work_has(work, BENCH_STEP)) {
        return count_parameters(runner);
    }
    return work->images > 0 ? work->images : work->inputs[0].dim[0];
}

double bench_runner_flops(const bench_runner *runner, bench_pass pass) {
    return runner->flops[pass];
}

double bench_runner_bytes(const bench_runner *runner, bench_pass pass) {
    return runner->bytes[pass];
}
