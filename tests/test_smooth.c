/*
 * Smooth networks trained as PyTorch trained them in float64 (tools/record_smooth.py): from the same weights, over the
 * same rows of the real data, the loss of every step must be PyTorch's within a thousandth.
 */
#include "devices.h"
#include "safetensors.h"

#include <clgrad/data.h>
#include <clgrad/optim.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 1e-3

#define MUST(call) cr_assert((call) == CG_OK, "%s", cg_error_message())

typedef struct training {
    cg_safetensors *record;
    cg_device *device;
    cg_tape *tape;
    cg_module *model;
    cg_optimizer *optimizer;
    cg_data *data;
    cg_loader *loader;
    double *losses; /* PyTorch's */
    int64_t steps;
} training;

static const char *text_of(const training *t, const char *key) {
    const char *text = cg_safetensors_metadata(t->record, key);
    cr_assert(text != NULL, "the record has no %s", key);
    return text;
}

/* The steps of a device: simulators and rusticl are slow. */
static int64_t steps_for(const char *device) {
    return strstr(device, "oclgrind") != NULL ? 10 : strstr(device, "rusticl") != NULL ? 20 : 100;
}

static void open_record(training *t, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.safetensors", TEST_SMOOTH, name);
    MUST(cg_safetensors_open(path, &t->record));
    const cg_stored *losses = cg_safetensors_find(t->record, "losses");
    cr_assert(losses != NULL && losses->shape.rank == 1 && losses->shape.dim[0] >= steps_for(test_device_string()));
    t->losses = malloc((size_t)losses->shape.dim[0] * sizeof *t->losses);
    MUST(cg_stored_read_f64(losses, t->losses));
    t->steps = steps_for(test_device_string());
}

static void load_weights(training *t) {
    for (size_t i = 0; i < cg_module_parameter_count(t->model); i++) {
        const char *name;
        cg_tensor *parameter = cg_module_parameter(t->model, i, &name);
        const cg_stored *stored = cg_safetensors_find(t->record, name);
        cr_assert(stored != NULL && cg_shape_equal(&stored->shape, cg_tensor_shape(parameter)), "%s", name);
        float *values = malloc((size_t)cg_tensor_numel(parameter) * sizeof *values);
        MUST(cg_stored_read_f32(stored, values));
        MUST(cg_tensor_write_f32(parameter, values, cg_tensor_numel(parameter)));
        free(values);
    }
}

static void begin(training *t, const char *name) {
    open_record(t, name);
    int64_t batch = strtol(text_of(t, "batch"), NULL, 10);
    const cg_data_options plain = {.valid = 0, .limit = batch * t->steps, .normalize = CG_NORMALIZE_NONE};
    t->device = test_device_open();
    t->tape = cg_tape_create(t->device);
    MUST(cg_data_load(text_of(t, "data"), &plain, &t->data));
    MUST(cg_loader_create(t->device, t->data, CG_SPLIT_TRAIN, batch, &t->loader));
    MUST(cg_loader_start(t->loader, false, 0, 0));
    MUST(cg_module_parse(t->device, text_of(t, "model"), &t->model));
    load_weights(t);
    MUST(cg_optimizer_parse(text_of(t, "optimizer"), t->model, &t->optimizer));
}

static double step(training *t) {
    cg_batch batch;
    float loss = NAN;
    MUST(cg_loader_next(t->loader, &batch));
    cg_tensor *logits = cg_module_forward(t->model, t->tape, batch.x);
    cg_tensor *mean = cg_cross_entropy(t->tape, logits, batch.y, CG_REDUCE_MEAN);
    MUST(cg_backward(t->tape, mean));
    MUST(cg_optimizer_step(t->optimizer, t->tape));
    MUST(cg_tensor_read_f32(mean, &loss, 1));
    MUST(cg_tape_run(t->tape));
    return (double)loss;
}

static void end(training *t) {
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->model);
    cg_tape_destroy(t->tape);
    cg_loader_destroy(t->loader);
    cg_data_destroy(t->data);
    cg_device_close(t->device);
    cg_safetensors_close(t->record);
    free(t->losses);
}

static void train(const char *name) {
    training t = {.record = NULL};
    begin(&t, name);
    double worst = 0;
    for (int64_t i = 0; i < t.steps; i++) {
        double loss = step(&t), difference = fabs(loss - t.losses[i]) / t.losses[i];
        cr_assert(difference <= LIMIT, "%s, step %lld: the loss is %.9g, PyTorch's %.9g", name, (long long)i + 1, loss,
                  t.losses[i]);
        worst = fmax(worst, difference);
    }
    printf("%s on %s: %lld steps, the losses differ by at most %.1e of PyTorch's\n", name, test_device_string(),
           (long long)t.steps, worst);
    end(&t);
}

/* 28 x 28 pixels are more than a simulator can do in minutes. */
static void train_unless_simulated(const char *name) {
    if (strstr(test_device_string(), "oclgrind") != NULL) {
        cr_skip_test("%s: a simulator would take minutes; it trains the digits", name);
    }
    train(name);
}

Test(smooth, digits_with_tanh_and_momentum) {
    train("digits_tanh_sgd");
}

Test(smooth, digits_with_silu_and_adam) {
    train("digits_silu_adam");
}

Test(smooth, mnist_with_gelu_and_momentum) {
    train_unless_simulated("mnist_gelu_sgd");
}

Test(smooth, mnist_with_the_tanh_form_of_gelu_and_adamw) {
    train_unless_simulated("mnist_gelu_tanh_adamw");
}

Test(smooth, mnist_with_convolutions_and_adam) {
    train_unless_simulated("mnist_conv_adam");
}

Test(smooth, mnist_with_convolutions_norms_and_adamw) {
    train_unless_simulated("mnist_conv_norm_adamw");
}
