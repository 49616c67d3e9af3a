/*
 * Mean loss and accuracy over a split, in eval mode. Losses and predicted classes are collected on the device; each is
 * read once, at the end.
 */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "collector.h"
#include "evaluator.h"
#include "metrics.h"

struct cg_evaluator {
    cg_module *model, *loss;
    const cg_data *data;
    cg_split split;
    int64_t n, batch, batches;
    cg_device *device;
    cg_tape *tape;
    cg_loader *loader;
    cg_collector losses, predictions;
    double *loss_values;           /* [batches] */
    int64_t *predicted, *expected; /* [n]; NULL when the target is a number */
    cg_metrics **metrics;          /* that are told of each batch */
    size_t n_metrics, metrics_capacity;
};

cg_status cg_model_device(const cg_module *model, cg_device **device) {
    const char *name;
    if (cg_module_parameter_count(model) == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the model has no parameters: there is nothing to train");
    }
    *device = cg_tensor_device(cg_module_parameter(model, 0, &name));
    return CG_OK;
}

cg_shape cg_batch_shape(const cg_shape *sample, int64_t n) {
    cg_shape shape = {.dim = {n}, .rank = sample->rank + 1};
    memcpy(shape.dim + 1, sample->dim, (size_t)sample->rank * sizeof *sample->dim);
    return shape;
}

cg_status cg_model_fits(cg_module *model, const cg_data *data, int64_t batch) {
    const cg_data_info *info = cg_data_describe(data);
    cg_shape input = cg_batch_shape(&info->sample, batch), output;
    CG_TRY(cg_module_resolve(model, &input, &output));
    if (info->classes > 0 && output.rank == 2 && output.dim[1] < info->classes) {
        return cg_fail(
            CG_ERR_SHAPE, "the model's output is %s, the data '%s' has %lld classes: the last layer needs %lld outputs",
            cg_shape_print(&output, CG_SHAPE_TEXT), info->name, (long long)info->classes, (long long)info->classes);
    }
    if (info->targets > 0 && (output.rank != 2 || output.dim[1] != info->targets)) {
        return cg_fail(CG_ERR_SHAPE, "the model's output is %s, the data '%s' has %lld numbers to learn: %s is needed",
                       cg_shape_print(&output, CG_SHAPE_TEXT), info->name, (long long)info->targets,
                       cg_shape_print(&CG_SHAPE(batch, info->targets), CG_SHAPE_TEXT));
    }
    return CG_OK;
}

cg_status cg_batch_loss(cg_module *loss, cg_tape *tape, cg_tensor *output, cg_tensor *target, cg_tensor **result) {
    cg_tensor *const inputs[] = {output, target};
    size_t n_outputs = 1;
    cg_dtype precision = cg_tape_set_precision(tape, CG_F32); /* a square or an exp of f16 is soon infinite */
    cg_status status = cg_module_call(loss, tape, inputs, 2, result, &n_outputs);
    cg_tape_set_precision(tape, precision);
    return status;
}

/* The classes of the whole split, in file order. */
static cg_status read_expected(cg_evaluator *e) {
    size_t bytes = (size_t)e->n * sizeof(int64_t);
    e->predicted = cg_alloc(bytes);
    e->expected = cg_alloc(bytes);
    int64_t *rows = cg_alloc(bytes);
    cg_status status = CG_ERR_MEMORY;
    if (e->predicted && e->expected && rows) {
        for (int64_t i = 0; i < e->n; i++) {
            rows[i] = i;
        }
        status = cg_data_rows(e->data, e->split, rows, e->n, NULL, e->expected);
    }
    cg_free(rows);
    return status;
}

static cg_status build(cg_evaluator *e) {
    if (e->batch < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a batch of %lld: at least 1 is needed", (long long)e->batch);
    }
    CG_TRY(cg_model_device(e->model, &e->device));
    CG_TRY(cg_model_fits(e->model, e->data, e->batch));
    if (e->n == 0) {
        return CG_OK;
    }
    e->tape = cg_tape_create(e->device);
    if (!e->tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(e->tape, CG_EVAL);
    CG_TRY(cg_loader_create(e->device, e->data, e->split, e->batch, &e->loader));
    e->batches = cg_loader_batches(e->loader);
    CG_TRY(cg_collector_create(e->device, cg_device_real(e->device), e->batches, 1, &e->losses));
    e->loss_values = cg_alloc((size_t)e->batches * sizeof(double));
    if (!e->loss_values) {
        return CG_ERR_MEMORY;
    }
    if (cg_data_describe(e->data)->classes == 0) {
        return CG_OK;
    }
    CG_TRY(cg_collector_create(e->device, CG_I64, e->n, e->batch, &e->predictions));
    return read_expected(e);
}

cg_status cg_evaluator_create(cg_module *model, cg_module *loss, const cg_data *data, cg_split split, int64_t batch,
                              cg_evaluator **evaluator) {
    *evaluator = NULL;
    cg_evaluator *e = cg_alloc_zero(1, sizeof *e);
    if (!e) {
        return CG_ERR_MEMORY;
    }
    *e = (cg_evaluator){.model = model, .loss = loss, .data = data, .split = split, .batch = batch};
    e->n = cg_data_describe(data)->rows[split];
    cg_status status = build(e);
    if (status != CG_OK) {
        cg_evaluator_destroy(e);
        return status;
    }
    *evaluator = e;
    return CG_OK;
}

void cg_evaluator_destroy(cg_evaluator *e) {
    if (!e) {
        return;
    }
    cg_collector_clear(&e->losses);
    cg_collector_clear(&e->predictions);
    cg_free(e->loss_values);
    cg_free(e->predicted);
    cg_free(e->expected);
    cg_free(e->metrics);
    cg_loader_destroy(e->loader);
    cg_tape_destroy(e->tape);
    cg_free(e);
}

cg_status cg_evaluator_measure(cg_evaluator *e, cg_metrics *metrics) {
    if (cg_metrics_data(metrics) != e->data) {
        return cg_fail(CG_ERR_ARGUMENT, "the metrics are of the data '%s', not of this '%s'",
                       cg_data_describe(cg_metrics_data(metrics))->name, cg_data_describe(e->data)->name);
    }
    if (!CG_GROW(e->metrics, e->n_metrics, e->metrics_capacity)) {
        return CG_ERR_MEMORY;
    }
    e->metrics[e->n_metrics++] = metrics;
    return CG_OK;
}

/* Reads the output where somebody wants it. */
static cg_status tell_metrics(const cg_evaluator *e, cg_tensor *output, size_t index, int64_t n) {
    for (size_t i = 0; i < e->n_metrics; i++) {
        CG_TRY(cg_metrics_add_range(e->metrics[i], (int64_t)index * e->batch, n, output));
    }
    return CG_OK;
}

static cg_status run_batch(cg_evaluator *e, const cg_batch *batch, size_t index) {
    cg_tensor *output = cg_module_forward(e->model, e->tape, batch->x);
    cg_tensor *loss;
    CG_TRY(cg_batch_loss(e->loss, e->tape, output, batch->y, &loss));
    CG_TRY(cg_copy(e->tape, e->losses.slots[index], loss));
    if (e->expected) {
        CG_TRY(cg_copy(e->tape, e->predictions.slots[index], cg_argmax(e->tape, output, -1)));
    }
    CG_TRY(e->n_metrics > 0 ? cg_tape_status(e->tape) : CG_OK);
    CG_TRY(tell_metrics(e, output, index, batch->n));
    return cg_tape_run(e->tape);
}

static cg_status run_batches(cg_evaluator *e) {
    CG_TRY(cg_loader_start(e->loader, false, 0, 0));
    for (size_t i = 0; i < (size_t)e->batches; i++) {
        cg_batch batch;
        CG_TRY(cg_loader_next(e->loader, &batch));
        CG_TRY(run_batch(e, &batch, i));
    }
    return CG_OK;
}

/* The mean over rows: each batch's mean counts as often as it has rows. */
static cg_status read_loss(cg_evaluator *e, double *loss) {
    CG_TRY(cg_tensor_read_f64(e->losses.values, e->loss_values, e->batches));
    double sum = 0;
    for (int64_t i = 0; i < e->batches; i++) {
        int64_t left = e->n - i * e->batch;
        sum += e->loss_values[i] * (double)(left < e->batch ? left : e->batch);
    }
    *loss = sum / (double)e->n;
    return CG_OK;
}

static cg_status read_accuracy(cg_evaluator *e, double *accuracy) {
    CG_TRY(cg_tensor_read(e->predictions.values, e->predicted, (size_t)e->n * sizeof *e->predicted));
    int64_t right = 0;
    for (int64_t i = 0; i < e->n; i++) {
        right += e->predicted[i] == e->expected[i];
    }
    *accuracy = (double)right / (double)e->n;
    return CG_OK;
}

cg_status cg_evaluator_run(cg_evaluator *e, cg_evaluation *evaluation) {
    *evaluation = (cg_evaluation){.loss = NAN, .accuracy = NAN, .n = e->n};
    for (size_t i = 0; i < e->n_metrics; i++) {
        cg_metrics_begin(e->metrics[i], e->split, e->n);
    }
    if (e->n == 0) {
        return CG_OK;
    }
    cg_status status = run_batches(e);
    if (status != CG_OK) {
        cg_tape_reset(e->tape);
        return status;
    }
    CG_TRY(read_loss(e, &evaluation->loss));
    return e->expected ? read_accuracy(e, &evaluation->accuracy) : CG_OK;
}

cg_status cg_evaluate(cg_module *model, cg_module *loss, const cg_data *data, cg_split split, int64_t batch,
                      cg_evaluation *evaluation) {
    cg_evaluator *evaluator;
    CG_TRY(cg_evaluator_create(model, loss, data, split, batch, &evaluator));
    cg_status status = cg_evaluator_run(evaluator, evaluation);
    cg_evaluator_destroy(evaluator);
    return status;
}
