/*
 * The training loop. A step is recorded and run without reading anything back: its loss is copied into a history on the
 * device, which is read every CG_HISTORY batches and at the end of an epoch; the program hears of each update then.
 */
#include "trainer.h"

#include <math.h>
#include <stdio.h>

#include "alloc.h"
#include "nan_search.h"

static cg_status check_options(const cg_train_options *options, const cg_data *data) {
    if (options->batch < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a batch of %lld: at least 1 is needed", (long long)options->batch);
    }
    if (options->ranks != NULL && options->batch < options->ranks->count) {
        return cg_fail(CG_ERR_ARGUMENT, "a batch of %lld for %d processes: at least a row for each is needed",
                       (long long)options->batch, options->ranks->count);
    }
    if (options->epochs < 0 || options->steps < 0 || options->save_every < 0 || options->stop_after < 0 ||
        options->accumulate < 0 || options->patience < 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "epochs, steps, save_every, stop_after, accumulate and patience must not be negative");
    }
    if (options->patience > 0 && cg_data_describe(data)->rows[CG_SPLIT_VALID] == 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "patience goes by the validation loss, and the data '%s' has no validation rows",
                       cg_data_describe(data)->name);
    }
    if (cg_data_describe(data)->rows[CG_SPLIT_TRAIN] == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the data '%s' has no training rows", cg_data_describe(data)->name);
    }
    return CG_OK;
}

static cg_status list_parameters(cg_trainer *t) {
    t->n_parameters = cg_module_parameter_count(t->model);
    t->parameters = cg_alloc(t->n_parameters * sizeof(cg_tensor *));
    if (t->parameters == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < t->n_parameters; i++) {
        t->parameters[i] = cg_module_parameter(t->model, i, NULL);
    }
    return CG_OK;
}

/* What the options ask for and is told of the training as a program is. */
static cg_status add_parts(cg_trainer *t) {
    CG_TRY(cg_trainer_tune(t));
    CG_TRY(cg_trainer_add_clipping(t));
    CG_TRY(cg_trainer_add_schedule(t));
    CG_TRY(cg_trainer_add_average(t));
    t->n_parts = t->n_callbacks;
    return cg_snapshot_create(t->model, t->optimizer, &t->scale, &t->snapshot);
}

/* Rows that a full batch has on this rank. */
static int64_t my_rows(const cg_trainer *t) {
    int64_t first;
    return cg_ranks_rows(t->options.ranks, t->options.batch, &first);
}

static cg_status build(cg_trainer *t) {
    CG_TRY(check_options(&t->options, t->data));
    CG_TRY(cg_model_device(t->model, &t->device));
    CG_TRY(cg_model_fits(t->model, t->data, t->options.batch));
    t->tape = cg_tape_create(t->device);
    if (!t->tape) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_loader_create_share(t->device, t->data, CG_SPLIT_TRAIN, t->options.batch, t->options.ranks, &t->loader));
    CG_TRY(cg_loader_augment(t->loader));
    t->batches = cg_loader_batches(t->loader);
    CG_TRY(cg_collector_create(t->device, cg_device_real(t->device), CG_HISTORY, 1, &t->history));
    if (cg_data_describe(t->data)->classes > 0) {
        CG_TRY(cg_sample_create(t->device, my_rows(t), &t->sample));
    }
    CG_TRY(cg_evaluator_create(t->model, t->loss, t->data, CG_SPLIT_VALID, t->options.batch, &t->validation));
    CG_TRY(list_parameters(t));
    CG_TRY(cg_loss_scale_create(t->device, cg_device_precision(t->device), &t->scale));
    CG_TRY(cg_exchange_create(t->options.ranks, t->tape, t->loss, t->parameters, t->n_parameters, &t->cancelled,
                              &t->exchange));
    return add_parts(t);
}

cg_status cg_trainer_create(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                            const cg_train_options *options, cg_trainer **trainer) {
    *trainer = NULL;
    cg_trainer *t = cg_alloc_zero(1, sizeof *t);
    if (!t) {
        return CG_ERR_MEMORY;
    }
    t->model = model;
    t->loss = loss;
    t->optimizer = optimizer;
    t->data = data;
    t->options = *options;
    t->best = (cg_best){.loss = INFINITY, .accuracy = -INFINITY, .lowest_loss = INFINITY};
    atomic_init(&t->cancelled, false);
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
    cg_snapshot_clear(&t->snapshot);
    cg_loss_scale_clear(&t->scale);
    cg_exchange_destroy(t->exchange);
    cg_average_destroy(t->average);
    cg_schedule_destroy(t->schedule);
    cg_free(t->parameters);
    cg_evaluator_destroy(t->validation);
    cg_collector_clear(&t->history);
    cg_sample_clear(&t->sample);
    cg_loader_destroy(t->loader);
    cg_tape_destroy(t->tape);
    cg_free(t->callbacks);
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

bool cg_trainer_out_of_patience(const cg_trainer *t) {
    return t->options.patience > 0 && t->best.stale >= t->options.patience;
}

cg_best_epoch cg_trainer_best(const cg_trainer *t) {
    return (cg_best_epoch){t->best.epoch, t->best.loss, t->best.accuracy};
}

static bool finished(const cg_trainer *t) {
    if (cg_trainer_out_of_patience(t)) {
        return true;
    }
    if (t->options.stop_after > 0 && t->epoch >= t->options.stop_after) {
        return true;
    }
    return t->options.steps > 0 ? cg_trainer_updates(t) >= t->options.steps : t->epoch >= t->options.epochs;
}

/* Ranks stop after the same update: one that all know of. */
static bool cancelled(cg_trainer *t) {
    return t->exchange != NULL ? cg_exchange_stopped(t->exchange) : atomic_load(&t->cancelled);
}

static cg_status fail_nan(cg_trainer *t, const cg_progress *progress) {
    char cause[768] = "";
    if (t->exchange == NULL) { /* ranks would find different places, and wait for each other */
        cg_trainer_find_nan(t, progress->step, cause, sizeof cause);
    }
    return cg_fail(CG_ERR_NAN,
                   "the loss is not a number in epoch %lld, step %lld (learning rate %g): try a smaller one%s",
                   (long long)progress->epoch, (long long)progress->step, progress->lr, cause);
}

/* Tells of an update when the loss of its last batch is known. */
static cg_status tell_loss(cg_trainer *t, const cg_pending *batch, double loss) {
    t->loss_sum += loss * (double)batch->n;
    t->loss_samples += batch->n;
    t->update_loss += loss;
    t->update_batches++;
    if (!batch->ends_update) {
        return CG_OK;
    }
    cg_progress progress = cg_trainer_progress(t);
    progress.step = batch->step;
    progress.batch = batch->batch;
    progress.samples = batch->samples;
    progress.loss = t->update_loss / (double)t->update_batches;
    progress.lr = batch->lr;
    progress.seconds = batch->seconds;
    t->update_loss = 0;
    t->update_batches = 0;
    CG_TRY(cg_trainer_tell(t, CG_ON_LOSS, &progress));
    return isnan(progress.loss) ? fail_nan(t, &progress) : CG_OK;
}

/* Losses of whole batches, from those of this rank's rows. */
static cg_status join_losses(const cg_trainer *t, double *losses, size_t n) {
    for (size_t i = 0; i < n && t->exchange != NULL; i++) {
        double share = t->pending[i].share;
        losses[i] = share > 0 ? losses[i] * cg_exchange_factor(t->exchange, share) : 0.0;
    }
    return cg_exchange_add(t->exchange, losses, n);
}

/* Reads the losses that wait on the device and tells of their updates. */
static cg_status read_history(cg_trainer *t) {
    size_t n = t->n_pending;
    t->n_pending = 0;
    if (n == 0) {
        return CG_OK;
    }
    double losses[CG_HISTORY], begin = cg_clock_now();
    CG_TRY(cg_tensor_read_f64(t->history.values, losses, CG_HISTORY));
    CG_TRY(cg_sample_read(&t->sample));
    CG_TRY(join_losses(t, losses, n));
    cg_clock_end_stretch(&t->clock, begin, cg_clock_now());
    for (size_t i = 0; i < n; i++) {
        CG_TRY(tell_loss(t, &t->pending[i], losses[i]));
    }
    return CG_OK;
}

/* For dropout in the batch at a position of this epoch; each rank draws for rows of its own. */
static void set_seed(cg_trainer *t, int64_t position) {
    uint64_t rank = t->options.ranks != NULL ? (uint64_t)t->options.ranks->rank : 0;
    cg_tape_set_seed(t->tape, t->options.seed + (rank << 32), t->epoch * t->batches + position);
}

/* Forward, loss and backward of one batch of `group`, whose gradient is the mean over them, and of this rank's rows. */
static cg_status record_gradient(cg_trainer *t, const cg_batch *batch, int64_t group) {
    t->step = (cg_step){.tape = t->tape, .x = batch->x, .y = batch->y, .n = batch->n};
    CG_TRY(cg_trainer_emit(t, CG_BEFORE_BATCH));
    cg_dtype precision = cg_device_precision(t->device); /* of forward and backward alone */
    cg_tape_set_precision(t->tape, precision);
    t->step.output = cg_module_forward(t->model, t->tape, batch->x);
    CG_TRY(cg_batch_loss(t->loss, t->tape, t->step.output, batch->y, &t->step.loss));
    CG_TRY(cg_trainer_emit(t, CG_AFTER_LOSS));
    double factor = cg_exchange_factor(t->exchange, batch->share) / (double)group;
    cg_tape_set_precision(t->tape, CG_F32);
    cg_tensor *part = factor != 1.0 ? cg_scale(t->tape, t->step.loss, factor) : t->step.loss;
    part = cg_loss_scale_apply(&t->scale, t->tape, part);
    cg_tape_set_precision(t->tape, precision);
    CG_TRY(cg_backward(t->tape, part));
    cg_tape_set_precision(t->tape, CG_F32);
    return cg_trainer_emit(t, CG_AFTER_BACKWARD);
}

static cg_status record_step(cg_trainer *t) {
    CG_TRY(cg_trainer_emit(t, CG_BEFORE_STEP));
    CG_TRY(cg_optimizer_step(t->optimizer, t->tape));
    return cg_trainer_emit(t, CG_AFTER_STEP);
}

static cg_status record_figures(cg_trainer *t, const cg_batch *batch) {
    CG_TRY(cg_copy(t->tape, t->history.slots[t->n_pending], t->step.loss));
    return t->n_pending == CG_HISTORY - 1 ? cg_sample_record(&t->sample, t->tape, t->step.output, batch->y) : CG_OK;
}

/* With a scaled loss the gradients are looked at before they are used: the step of the optimizer is a run of its own,
 * behind which the next batch draws the random numbers that it would have drawn without. */
static cg_status run_scaled_batch(cg_trainer *t, const cg_batch *batch, bool last) {
    bool finite = true;
    CG_TRY(last ? cg_exchange_record(t->exchange) : CG_OK);
    CG_TRY(record_figures(t, batch));
    t->step.output = t->step.loss = NULL;
    CG_TRY(cg_tape_run(t->tape));
    if (last) {
        CG_TRY(cg_loss_scale_undo(&t->scale, t->tape, t->parameters, t->n_parameters, &finite));
        CG_TRY(finite ? record_step(t) : CG_OK);
    }
    t->step = (cg_step){0};
    CG_TRY(cg_tape_run(t->tape));
    set_seed(t, t->position + 1);
    return CG_OK;
}

static cg_status run_batch(cg_trainer *t, const cg_batch *batch, int64_t group, bool last) {
    CG_TRY(record_gradient(t, batch, group));
    if (t->scale.value != 0) {
        return run_scaled_batch(t, batch, last);
    }
    CG_TRY(last ? cg_exchange_record(t->exchange) : CG_OK);
    CG_TRY(last ? record_step(t) : CG_OK);
    CG_TRY(record_figures(t, batch));
    t->step = (cg_step){0};
    return cg_tape_run(t->tape);
}

/* The first of a batch size, alone between two waits. */
static cg_status run_first_batch(cg_trainer *t, const cg_batch *batch, int64_t group, bool last) {
    CG_TRY(read_history(t));
    CG_TRY(cg_device_wait(t->device));
    double begin = cg_clock_now();
    CG_TRY(run_batch(t, batch, group, last));
    CG_TRY(cg_device_wait(t->device));
    t->clock.first_seconds += cg_clock_now() - begin;
    return CG_OK;
}

static cg_status run_timed_batch(cg_trainer *t, const cg_batch *batch, int64_t group, bool last) {
    CG_TRY(run_batch(t, batch, group, last));
    cg_clock_stepped(&t->clock, batch->total);
    return CG_OK;
}

static void count_batch(cg_trainer *t, const cg_batch *batch, bool ends_update) {
    t->clock.samples += batch->total;
    t->position++;
    t->samples += batch->total;
    t->pending[t->n_pending++] = (cg_pending){.batch = t->position,
                                              .step = cg_trainer_updates(t),
                                              .samples = t->samples,
                                              .n = batch->total,
                                              .share = batch->share,
                                              .lr = cg_optimizer_lr(t->optimizer),
                                              .seconds = cg_clock_now() - t->begin,
                                              .ends_update = ends_update};
}

static cg_status train_batch(cg_trainer *t, int64_t group, bool last) {
    cg_batch batch;
    double begin = cg_clock_now();
    CG_TRY(cg_loader_next(t->loader, &batch));
    cg_clock_loaded(&t->clock, begin);
    t->begin = t->begin > 0 ? t->begin : cg_clock_now();
    bool *seen = batch.total == t->options.batch ? &t->seen_full : &t->seen_last;
    CG_TRY(*seen ? run_timed_batch(t, &batch, group, last) : run_first_batch(t, &batch, group, last));
    *seen = true;
    count_batch(t, &batch, last);
    CG_TRY(cg_trainer_emit(t, CG_AFTER_BATCH));
    return t->n_pending == CG_HISTORY ? read_history(t) : CG_OK;
}

/* Batches of the next update. */
static int64_t next_group(const cg_trainer *t) {
    int64_t group = cg_trainer_group(t), left = t->batches - t->position;
    return left < group ? left : group;
}

cg_status cg_trainer_repeat_update(cg_trainer *t) {
    int64_t group = next_group(t);
    for (int64_t i = 1; i <= group; i++) {
        cg_batch batch;
        CG_TRY(cg_loader_next(t->loader, &batch));
        t->n_pending = 0;
        CG_TRY(run_batch(t, &batch, group, i == group));
        t->position++;
    }
    return CG_OK;
}

/* All batches of an update: between them there is nothing to stop at or to save. */
static cg_status train_update(cg_trainer *t) {
    int64_t group = next_group(t);
    for (int64_t i = 1; i <= group; i++) {
        CG_TRY(train_batch(t, group, i == group));
    }
    return CG_OK;
}

/* Between two saves at most save_every updates; at the end of an epoch it is finish_epoch that saves. */
static cg_status save_when_due(cg_trainer *t) {
    int64_t every = t->options.save_every;
    if (every == 0 || cg_trainer_updates(t) % every != 0 || t->position == t->batches) {
        return CG_OK;
    }
    CG_TRY(read_history(t));
    return cg_trainer_emit(t, CG_ON_SAVE);
}

/* The buffers and the result are rank 0's: what follows from them is the same everywhere. */
static cg_status evaluate(cg_trainer *t, cg_evaluation *evaluation) {
    CG_TRY(cg_evaluator_run(t->validation, evaluation));
    if (t->exchange != NULL) {
        bool mine = t->options.ranks->rank == 0;
        double both[] = {mine ? evaluation->loss : 0.0, mine ? evaluation->accuracy : 0.0};
        CG_TRY(cg_exchange_add(t->exchange, both, 2));
        evaluation->loss = both[0];
        evaluation->accuracy = both[1];
    }
    return CG_OK;
}

static cg_status validate(cg_trainer *t, cg_progress *progress) {
    cg_evaluation evaluation;
    CG_TRY(cg_exchange_broadcast(t->exchange, t->model, false));
    CG_TRY(cg_trainer_emit(t, CG_BEFORE_VALIDATION));
    cg_status status = evaluate(t, &evaluation);
    cg_status after = cg_trainer_emit(t, CG_AFTER_VALIDATION);
    CG_TRY(status);
    progress->has_valid = evaluation.n > 0;
    progress->valid_loss = evaluation.loss;
    progress->valid_accuracy = evaluation.accuracy;
    return after;
}

/* Whether an epoch is the best of all so far; a loss that is not a number is no better than any. */
static bool is_best(cg_best *best, const cg_progress *progress) {
    bool lower = progress->valid_loss < best->lowest_loss;
    best->lowest_loss = lower ? progress->valid_loss : best->lowest_loss;
    best->stale = lower || !progress->has_valid ? 0 : best->stale + 1;
    bool classes = !isnan(progress->valid_accuracy);
    bool better = classes && progress->valid_accuracy != best->accuracy ? progress->valid_accuracy > best->accuracy
                                                                        : progress->valid_loss < best->loss;
    if (better) {
        best->epoch = progress->epoch;
        best->loss = progress->valid_loss;
        best->accuracy = progress->valid_accuracy;
    }
    return better;
}

static cg_status finish_epoch(cg_trainer *t) {
    cg_progress progress = cg_trainer_progress(t);
    progress.train_seconds = cg_clock_seconds(&t->clock);
    progress.train_loss = progress.loss;
    CG_TRY(validate(t, &progress));
    progress.best = is_best(&t->best, &progress);
    t->epoch++;
    t->position = 0;
    CG_TRY(cg_trainer_tell(t, CG_AFTER_EPOCH, &progress));
    return cg_trainer_tell(t, CG_ON_SAVE, &progress);
}

cg_status cg_trainer_begin_pass(cg_trainer *t) {
    CG_TRY(cg_loader_start(t->loader, !t->options.no_shuffle, t->options.seed, (uint64_t)t->epoch));
    cg_loader_skip(t->loader, t->position);
    set_seed(t, t->position);
    return CG_OK;
}

static cg_status begin_epoch(cg_trainer *t) {
    t->samples = t->loss_samples = 0;
    t->loss_sum = 0;
    t->sample.right = t->sample.judged = 0;
    t->clock = (cg_step_clock){0};
    t->snapshot_position = t->position;
    CG_TRY(cg_snapshot_take(&t->snapshot, t->tape));
    CG_TRY(cg_trainer_begin_pass(t));
    return cg_trainer_emit(t, CG_BEFORE_EPOCH);
}

static cg_status run_epoch(cg_trainer *t) {
    CG_TRY(begin_epoch(t));
    while (t->position < t->batches && !finished(t) && !cancelled(t)) {
        CG_TRY(train_update(t));
        CG_TRY(save_when_due(t));
    }
    CG_TRY(read_history(t));
    return t->position == t->batches ? finish_epoch(t) : CG_OK;
}

static cg_status run_epochs(cg_trainer *t) {
    while (!finished(t) && !cancelled(t)) {
        CG_TRY(run_epoch(t));
    }
    if (cancelled(t) && !finished(t)) {
        return cg_fail(CG_ERR_INTERRUPTED, "interrupted in epoch %lld after %lld of %lld batches",
                       (long long)t->epoch + 1, (long long)t->position, (long long)t->batches);
    }
    return CG_OK;
}

/* Gradients that an update which did not come about has left would be added to. */
static void forget_gradients(cg_trainer *t) {
    for (size_t i = 0; i < t->n_parameters; i++) {
        cg_tensor_zero_grad(t->parameters[i]);
    }
}

/* after_fit, whose functions leave the message of what ended the run. */
static cg_status end_fit(cg_trainer *t, cg_status status) {
    char message[2048];
    snprintf(message, sizeof message, "%s", status != CG_OK ? cg_error_message() : "");
    cg_status after = cg_trainer_emit(t, CG_AFTER_FIT);
    atomic_store(&t->cancelled, false);
    cg_exchange_go_on(t->exchange);
    return status != CG_OK ? cg_fail(status, "%s", message) : after;
}

cg_status cg_trainer_run(cg_trainer *t) {
    t->begin = 0;
    t->n_pending = 0;
    t->update_loss = 0;
    t->update_batches = 0;
    forget_gradients(t);
    CG_TRY(cg_exchange_broadcast(t->exchange, t->model, true));
    CG_TRY(cg_trainer_emit(t, CG_BEFORE_FIT));
    cg_status status = run_epochs(t);
    t->step = (cg_step){0};
    if (status != CG_OK) {
        cg_tape_watch(t->tape, NULL, NULL);
        cg_tape_reset(t->tape);
    }
    return end_fit(t, status);
}
