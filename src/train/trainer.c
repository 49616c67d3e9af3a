/*
 * The training loop. A step is recorded and run without reading anything back: its loss is copied into a history on the
 * device, which is read every HISTORY steps and at the end of an epoch; the program hears of each step then.
 */
#include <math.h>
#include <time.h>

#include "alloc.h"
#include "collector.h"
#include "evaluator.h"
#include "sample.h"

#define HISTORY 16

/* A step whose loss is still on the device. */
typedef struct pending_step {
    int64_t batch, step, samples, n;
    double lr, seconds;
} pending_step;

/*
 * What an epoch's updates cost. Time is taken over stretches that begin and end with nothing left to do on the device,
 * so that no step waits for the clock; loading is taken off, but not where it was hidden behind the device's work. The
 * first step of each batch size builds kernels and fills pools: it is kept apart and counted as if it took as long per
 * sample as the others.
 */
typedef struct step_clock {
    double seconds, first_seconds;
    int64_t samples, timed_samples;
    double begin, loading, first_loading; /* of the stretch that runs */
    int64_t steps, stretch_samples;
} step_clock;

struct cg_trainer {
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    const cg_data *data;
    cg_train_options options;
    cg_train_callbacks callbacks;
    cg_device *device;
    cg_tape *tape;
    cg_loader *loader;
    cg_evaluator *validation;
    int64_t epoch, position, batches; /* finished epochs, finished batches of the next, batches in one */
    int64_t samples;                  /* trained on in this epoch, by this run */
    double begin;                     /* of the first update; 0: none yet */
    step_clock clock;
    bool seen_full, seen_last; /* batch sizes that have had their first step */
    bool stop;                 /* a callback returned false */
    cg_collector history;
    cg_sample sample; /* for the running accuracy; empty when the target is a number */
    pending_step pending[HISTORY];
    size_t n_pending;
    double loss_sum; /* of this epoch's losses that are known, weighted by samples */
    int64_t loss_samples;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static cg_status check_options(const cg_train_options *options, const cg_data *data) {
    if (options->batch < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a batch of %lld: at least 1 is needed", (long long)options->batch);
    }
    if (options->epochs < 0 || options->steps < 0 || options->save_every < 0 || options->stop_after < 0) {
        return cg_fail(CG_ERR_ARGUMENT, "epochs, steps, save_every and stop_after must not be negative");
    }
    if (cg_data_describe(data)->rows[CG_SPLIT_TRAIN] == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the data '%s' has no training rows", cg_data_describe(data)->name);
    }
    return CG_OK;
}

static cg_status build(cg_trainer *t) {
    CG_TRY(check_options(&t->options, t->data));
    CG_TRY(cg_model_device(t->model, &t->device));
    CG_TRY(cg_model_fits(t->model, t->data, t->options.batch));
    t->tape = cg_tape_create(t->device);
    if (!t->tape) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_loader_create(t->device, t->data, CG_SPLIT_TRAIN, t->options.batch, &t->loader));
    t->batches = cg_loader_batches(t->loader);
    CG_TRY(cg_collector_create(t->device, cg_device_real(t->device), HISTORY, 1, &t->history));
    if (cg_data_describe(t->data)->classes > 0) {
        CG_TRY(cg_sample_create(t->device, t->options.batch, &t->sample));
    }
    return cg_evaluator_create(t->model, t->loss, t->data, CG_SPLIT_VALID, t->options.batch, &t->validation);
}

cg_status cg_trainer_create(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                            const cg_train_options *options, const cg_train_callbacks *callbacks,
                            cg_trainer **trainer) {
    *trainer = NULL;
    cg_trainer *t = cg_alloc_zero(1, sizeof *t);
    if (!t) {
        return CG_ERR_MEMORY;
    }
    *t = (cg_trainer){.model = model, .loss = loss, .optimizer = optimizer, .data = data, .options = *options};
    if (callbacks) {
        t->callbacks = *callbacks;
    }
    cg_status status = build(t);
    if (status != CG_OK) {
        cg_trainer_destroy(t);
        return status;
    }
    *trainer = t;
    return CG_OK;
}

void cg_trainer_destroy(cg_trainer *t) {
    if (!t) {
        return;
    }
    cg_evaluator_destroy(t->validation);
    cg_collector_clear(&t->history);
    cg_sample_clear(&t->sample);
    cg_loader_destroy(t->loader);
    cg_tape_destroy(t->tape);
    cg_free(t);
}

void cg_trainer_set_position(cg_trainer *t, int64_t epoch, int64_t position) {
    t->epoch = epoch + position / t->batches;
    t->position = position % t->batches;
}

void cg_trainer_position(const cg_trainer *t, int64_t *epoch, int64_t *position) {
    *epoch = t->epoch;
    *position = t->position;
}

static int64_t steps_done(const cg_trainer *t) {
    return t->epoch * t->batches + t->position;
}

static bool finished(const cg_trainer *t) {
    if (t->options.stop_after > 0 && t->epoch >= t->options.stop_after) {
        return true;
    }
    return t->options.steps > 0 ? steps_done(t) >= t->options.steps : t->epoch >= t->options.epochs;
}

/* What is true of every event; `epoch` and `step` are of the newest update. */
static cg_progress progress_now(const cg_trainer *t) {
    const cg_train_options *options = &t->options;
    return (cg_progress){
        .epoch = t->epoch + 1,
        .epochs = options->steps > 0 ? 0 : options->epochs,
        .step = steps_done(t),
        .steps = options->steps > 0 ? options->steps : options->epochs * t->batches,
        .batch = t->position,
        .batches = t->batches,
        .samples = t->samples,
        .loss = t->loss_samples > 0 ? t->loss_sum / (double)t->loss_samples : NAN,
        .accuracy = cg_sample_accuracy(&t->sample),
        .lr = cg_optimizer_lr(t->optimizer),
        .seconds = now() - t->begin,
        .train_loss = NAN,
        .valid_loss = NAN,
        .valid_accuracy = NAN,
    };
}

static void tell(cg_trainer *t, bool (*callback)(void *, const cg_progress *), const cg_progress *progress) {
    if (callback && !callback(t->callbacks.context, progress)) {
        t->stop = true;
    }
}

static cg_status tell_step(cg_trainer *t, const pending_step *step, double loss) {
    t->loss_sum += loss * (double)step->n;
    t->loss_samples += step->n;
    cg_progress progress = progress_now(t);
    progress.step = step->step;
    progress.batch = step->batch;
    progress.samples = step->samples;
    progress.loss = loss;
    progress.lr = step->lr;
    progress.seconds = step->seconds;
    tell(t, t->callbacks.on_step, &progress);
    if (isnan(loss)) {
        return cg_fail(CG_ERR_NAN,
                       "the loss is not a number in epoch %lld, step %lld (learning rate %g): try a smaller one",
                       (long long)progress.epoch, (long long)step->step, step->lr);
    }
    return CG_OK;
}

/* The read of the history, from `begin` to `end`, has emptied the device's queue. Where it had to wait for more than a
 * part of a step, the queue was ahead of the device, and only the first loading of the stretch held it up. */
static void end_stretch(step_clock *clock, double begin, double end) {
    if (clock->steps > 0) {
        double whole = end - clock->begin;
        bool hidden = (end - begin) * (double)clock->steps > whole / 4;
        clock->seconds += whole - (hidden ? clock->first_loading : clock->loading);
        clock->timed_samples += clock->stretch_samples;
    }
    clock->steps = 0;
}

/* Reads the losses that wait on the device and tells of their steps. */
static cg_status read_history(cg_trainer *t) {
    size_t n = t->n_pending;
    t->n_pending = 0;
    if (n == 0) {
        return CG_OK;
    }
    double losses[HISTORY], begin = now();
    CG_TRY(cg_tensor_read_f64(t->history.values, losses, HISTORY));
    CG_TRY(cg_sample_read(&t->sample));
    end_stretch(&t->clock, begin, now());
    for (size_t i = 0; i < n; i++) {
        CG_TRY(tell_step(t, &t->pending[i], losses[i]));
    }
    return CG_OK;
}

static cg_status record_step(cg_trainer *t, const cg_batch *batch) {
    cg_tensor *output = cg_module_forward(t->model, t->tape, batch->x);
    cg_tensor *loss;
    CG_TRY(cg_batch_loss(t->loss, t->tape, output, batch->y, &loss));
    CG_TRY(cg_backward(t->tape, loss));
    CG_TRY(cg_optimizer_step(t->optimizer, t->tape));
    CG_TRY(cg_copy(t->tape, t->history.slots[t->n_pending], loss));
    if (t->n_pending == HISTORY - 1) {
        CG_TRY(cg_sample_record(&t->sample, t->tape, output, batch->y));
    }
    return cg_tape_run(t->tape);
}

static cg_status load_batch(cg_trainer *t, cg_batch *batch) {
    step_clock *clock = &t->clock;
    double begin = now();
    CG_TRY(cg_loader_next(t->loader, batch));
    double seconds = now() - begin;
    if (clock->steps == 0) {
        clock->begin = begin;
        clock->first_loading = seconds;
        clock->loading = 0;
        clock->stretch_samples = 0;
    }
    clock->loading += seconds;
    return CG_OK;
}

/* The first step of a batch size, alone between two waits. */
static cg_status record_first_step(cg_trainer *t, const cg_batch *batch) {
    CG_TRY(read_history(t));
    CG_TRY(cg_device_wait(t->device));
    double begin = now();
    CG_TRY(record_step(t, batch));
    CG_TRY(cg_device_wait(t->device));
    t->clock.first_seconds += now() - begin;
    return CG_OK;
}

static cg_status record_timed_step(cg_trainer *t, const cg_batch *batch) {
    CG_TRY(record_step(t, batch));
    t->clock.steps++;
    t->clock.stretch_samples += batch->n;
    return CG_OK;
}

static double epoch_seconds(const step_clock *clock) {
    if (clock->timed_samples == 0) {
        return clock->first_seconds;
    }
    return clock->seconds * (double)clock->samples / (double)clock->timed_samples;
}

static cg_status train_batch(cg_trainer *t, const cg_batch *batch) {
    double lr = cg_optimizer_lr(t->optimizer);
    bool *seen = batch->n == t->options.batch ? &t->seen_full : &t->seen_last;
    if (t->begin == 0) {
        t->begin = now();
    }
    CG_TRY(*seen ? record_timed_step(t, batch) : record_first_step(t, batch));
    *seen = true;
    t->clock.samples += batch->n;
    t->position++;
    t->samples += batch->n;
    cg_progress progress = progress_now(t);
    tell(t, t->callbacks.on_batch, &progress);
    t->pending[t->n_pending++] = (pending_step){.batch = progress.batch,
                                                .step = progress.step,
                                                .samples = t->samples,
                                                .n = batch->n,
                                                .lr = lr,
                                                .seconds = progress.seconds};
    return t->n_pending == HISTORY ? read_history(t) : CG_OK;
}

/* Between two saves at most save_every updates; at the end of an epoch it is finish_epoch that saves. */
static cg_status save_when_due(cg_trainer *t) {
    int64_t every = t->options.save_every;
    if (every == 0 || steps_done(t) % every != 0 || t->position == t->batches) {
        return CG_OK;
    }
    CG_TRY(read_history(t));
    cg_progress progress = progress_now(t);
    tell(t, t->callbacks.on_save, &progress);
    return CG_OK;
}

static cg_status finish_epoch(cg_trainer *t) {
    cg_evaluation evaluation;
    CG_TRY(cg_evaluator_run(t->validation, &evaluation));
    cg_progress progress = progress_now(t);
    progress.train_seconds = epoch_seconds(&t->clock);
    progress.train_loss = progress.loss;
    progress.has_valid = evaluation.n > 0;
    progress.valid_loss = evaluation.loss;
    progress.valid_accuracy = evaluation.accuracy;
    t->epoch++;
    t->position = 0;
    tell(t, t->callbacks.on_epoch, &progress);
    tell(t, t->callbacks.on_save, &progress);
    return CG_OK;
}

static void begin_epoch(cg_trainer *t) {
    t->samples = t->loss_samples = 0;
    t->loss_sum = 0;
    t->sample.right = t->sample.judged = 0;
    t->clock = (step_clock){0};
}

static cg_status run_epoch(cg_trainer *t) {
    begin_epoch(t);
    CG_TRY(cg_loader_start(t->loader, !t->options.no_shuffle, t->options.seed, (uint64_t)t->epoch));
    cg_loader_skip(t->loader, t->position);
    cg_tape_set_seed(t->tape, t->options.seed, t->epoch * t->batches + t->position); /* dropout, also when resumed */
    while (t->position < t->batches && !finished(t) && !t->stop) {
        cg_batch batch;
        CG_TRY(load_batch(t, &batch));
        CG_TRY(train_batch(t, &batch));
        CG_TRY(save_when_due(t));
    }
    CG_TRY(read_history(t));
    return t->position == t->batches ? finish_epoch(t) : CG_OK;
}

static cg_status run_epochs(cg_trainer *t) {
    while (!finished(t) && !t->stop) {
        CG_TRY(run_epoch(t));
    }
    if (t->stop && !finished(t)) {
        return cg_fail(CG_ERR_INTERRUPTED, "interrupted in epoch %lld after %lld of %lld steps",
                       (long long)t->epoch + 1, (long long)t->position, (long long)t->batches);
    }
    return CG_OK;
}

cg_status cg_trainer_run(cg_trainer *t) {
    t->stop = false;
    t->begin = 0;
    t->n_pending = 0;
    cg_status status = run_epochs(t);
    if (status != CG_OK) {
        cg_tape_reset(t->tape);
    }
    return status;
}
