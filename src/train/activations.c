/* Mean, deviation and zeros of what comes out of each layer, summed on the device over an epoch's sampled batches. */
#include <clgrad/activations.h>
#include <clgrad/ops_reduce.h>
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "collector.h"
#include "evaluator.h"

#define EVERY 16

enum { MEAN, VARIANCE, ZEROS, KINDS };

typedef struct layer {
    const cg_module *module;
    const char *path;
    bool real; /* its output was one that can be measured */
} layer;

struct cg_activations {
    cg_module *model;
    layer *layers;
    size_t count, capacity;
    cg_collector sums; /* KINDS for each layer */
    cg_tensor *zero;
    double *values; /* the sums, read; then the means of them */
    int64_t samples;
    bool known;
    cg_tape *tape; /* of the step that is being recorded */
};

/* Modules without children: those whose output is looked at. */
static cg_status find_layers(cg_activations *a, const cg_module *module) {
    size_t children = cg_module_child_count(module);
    for (size_t i = 0; i < children; i++) {
        CG_TRY(find_layers(a, cg_module_child(module, i, NULL)));
    }
    if (children > 0) {
        return CG_OK;
    }
    if (!CG_GROW(a->layers, a->count, a->capacity)) {
        return CG_ERR_MEMORY;
    }
    a->layers[a->count++] = (layer){.module = module, .path = ""};
    return CG_OK;
}

static cg_status build(cg_activations *a) {
    cg_device *device;
    CG_TRY(cg_model_device(a->model, &device));
    CG_TRY(find_layers(a, a->model));
    CG_TRY(cg_collector_create(device, cg_device_real(device), (int64_t)(a->count * KINDS), 1, &a->sums));
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &CG_SCALAR, &a->zero));
    a->values = cg_alloc(a->count * KINDS * sizeof *a->values);
    return a->values != NULL ? CG_OK : CG_ERR_MEMORY;
}

cg_status cg_activations_create(cg_module *model, cg_activations **activations) {
    *activations = NULL;
    cg_activations *a = cg_alloc_zero(1, sizeof *a);
    if (a == NULL) {
        return CG_ERR_MEMORY;
    }
    a->model = model;
    cg_status status = build(a);
    if (status != CG_OK) {
        cg_activations_destroy(a);
        return status;
    }
    *activations = a;
    return CG_OK;
}

void cg_activations_destroy(cg_activations *a) {
    if (a == NULL) {
        return;
    }
    cg_collector_clear(&a->sums);
    cg_tensor_destroy(a->zero);
    cg_free(a->values);
    cg_free(a->layers);
    cg_free(a);
}

static void add(const cg_activations *a, size_t slot, cg_tensor *value) {
    cg_tensor *sum = a->sums.slots[slot];
    cg_status status = cg_copy(a->tape, sum, cg_add(a->tape, sum, value));
    (void)status; /* sticks to the tape */
}

/* The output is only read, but an op takes what may be written, too. */
static void observe(void *context, const cg_module *module, const char *path, const cg_tensor *output, double flops) {
    (void)flops;
    cg_activations *a = context;
    cg_tensor *x = (cg_tensor *)output;
    size_t i = 0;
    while (i < a->count && a->layers[i].module != module) {
        i++;
    }
    if (i == a->count || cg_tensor_dtype(output) != cg_tensor_dtype(a->zero) || cg_tensor_numel(output) == 0) {
        return;
    }
    a->layers[i].path = path;
    a->layers[i].real = true;
    add(a, KINDS * i + MEAN, cg_mean(a->tape, x, CG_ALL_AXES, false));
    add(a, KINDS * i + VARIANCE, cg_var(a->tape, x, CG_ALL_AXES, 0, false));
    add(a, KINDS * i + ZEROS, cg_mean(a->tape, cg_eq(a->tape, x, a->zero), CG_ALL_AXES, false));
}

static cg_status before_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    (void)progress;
    cg_activations *a = context;
    a->samples = 0;
    return cg_tensor_fill(a->sums.values, 0);
}

static cg_status before_batch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    cg_activations *a = context;
    if ((progress->batch - 1) % EVERY == 0) {
        a->tape = cg_trainer_step(trainer)->tape;
        a->samples++;
        cg_module_observe(a->model, observe, a);
    }
    return CG_OK;
}

static cg_status after_loss(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    (void)progress;
    cg_activations *a = context;
    if (a->tape != NULL) {
        cg_module_observe(a->model, NULL, NULL);
        a->tape = NULL;
    }
    return CG_OK;
}

/* A run that failed in the middle of a step leaves no observer. */
static cg_status after_fit(void *context, cg_trainer *trainer, const cg_progress *progress) {
    return after_loss(context, trainer, progress);
}

static cg_status after_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    (void)progress;
    cg_activations *a = context;
    size_t count = a->count * KINDS;
    CG_TRY(cg_tensor_read_f64(a->sums.values, a->values, (int64_t)count));
    for (size_t i = 0; i < count; i++) {
        a->values[i] /= (double)a->samples; /* 0 / 0, a NaN, where a resumed epoch had no sampled batch left */
    }
    a->known = true;
    return CG_OK;
}

cg_status cg_activations_attach(cg_activations *a, cg_trainer *trainer) {
    return cg_trainer_attach(trainer, &(cg_callback){.context = a,
                                                     .before_epoch = before_epoch,
                                                     .before_batch = before_batch,
                                                     .after_loss = after_loss,
                                                     .after_epoch = after_epoch,
                                                     .after_fit = after_fit});
}

size_t cg_activations_count(const cg_activations *a) {
    return a->count;
}

cg_layer_activations cg_activations_get(const cg_activations *a, size_t i) {
    const layer *l = &a->layers[i];
    const double *values = &a->values[KINDS * i];
    bool known = a->known && l->real;
    return (cg_layer_activations){.path = l->path,
                                  .class_name = cg_module_class_name(l->module),
                                  .mean = known ? values[MEAN] : NAN,
                                  .std = known ? sqrt(values[VARIANCE]) : NAN,
                                  .zeros = known ? values[ZEROS] : NAN};
}
