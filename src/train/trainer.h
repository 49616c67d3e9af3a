/* What a trainer is inside. */
#ifndef CLGRAD_TRAINER_H
#define CLGRAD_TRAINER_H

#include <clgrad/schedule.h>
#include <clgrad/train.h>
#include <stdatomic.h>

#include "collector.h"
#include "evaluator.h"
#include "exchange.h"
#include "loss_scale.h"
#include "sample.h"
#include "snapshot.h"
#include "step_clock.h"

/* Losses that wait on the device at the most. */
#define CG_HISTORY 16

/* A batch whose loss is still on the device. */
typedef struct cg_pending {
    int64_t batch, step, samples, n;
    double share; /* of its rows that this rank has */
    double lr, seconds;
    bool ends_update;
} cg_pending;

/* The best epochs so far, by validation. */
typedef struct cg_best {
    int64_t epoch; /* 0: none */
    double loss, accuracy;
    double lowest_loss; /* of any epoch */
    int64_t stale;      /* epochs since then */
} cg_best;

struct cg_trainer {
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    const cg_data *data;
    cg_train_options options;
    cg_tensor **parameters;
    size_t n_parameters;
    cg_schedule *schedule; /* NULL: none */
    cg_average *average;   /* NULL: none */
    cg_callback *callbacks;
    size_t n_callbacks, callbacks_capacity;
    size_t n_parts;       /* callbacks of the options, the first ones */
    cg_snapshot snapshot; /* of the begin of this epoch, or of where it went on */
    int64_t snapshot_position;
    cg_device *device;
    cg_tape *tape;
    cg_loss_scale scale;
    cg_exchange *exchange; /* with other ranks; NULL: there are none */
    cg_loader *loader;
    cg_evaluator *validation;
    int64_t epoch, position, batches; /* finished epochs, finished batches of the next, batches in one */
    int64_t samples;                  /* trained on in this epoch, by this run */
    double begin;                     /* of the first update; 0: none yet */
    cg_step_clock clock;
    bool seen_full, seen_last; /* batch sizes that have had their first step */
    atomic_bool cancelled;
    cg_step step;
    cg_collector history;
    cg_sample sample; /* for the running accuracy; empty when the target is a number */
    cg_pending pending[CG_HISTORY];
    size_t n_pending;
    double loss_sum; /* of this epoch's losses that are known, weighted by samples */
    int64_t loss_samples;
    double update_loss; /* sum over the batches of the update whose losses are being told */
    int64_t update_batches;
    cg_best best;
};

/* The events, in the order of cg_callback. */
typedef enum cg_event_kind {
    CG_BEFORE_FIT,
    CG_BEFORE_EPOCH,
    CG_BEFORE_BATCH,
    CG_AFTER_LOSS,
    CG_AFTER_BACKWARD,
    CG_BEFORE_STEP,
    CG_AFTER_STEP,
    CG_AFTER_BATCH,
    CG_ON_LOSS,
    CG_BEFORE_VALIDATION,
    CG_AFTER_VALIDATION,
    CG_AFTER_EPOCH,
    CG_ON_SAVE,
    CG_AFTER_FIT,
} cg_event_kind;

/* What is true of every event; of the newest update. */
cg_progress cg_trainer_progress(const cg_trainer *trainer);

/* Tells every callback in turn; the first failure that is no wish to stop is returned. */
cg_status cg_trainer_tell(cg_trainer *trainer, cg_event_kind kind, const cg_progress *progress) CG_MUST_USE;

/* The same with the progress there is, which is not even put together when nobody listens. */
cg_status cg_trainer_emit(cg_trainer *trainer, cg_event_kind kind) CG_MUST_USE;

/* Parts of a training that are callbacks like a program's, attached first where the options ask for them. */
cg_status cg_trainer_add_clipping(cg_trainer *trainer) CG_MUST_USE;
cg_status cg_trainer_add_schedule(cg_trainer *trainer) CG_MUST_USE;
cg_status cg_trainer_add_average(cg_trainer *trainer) CG_MUST_USE;

/* Exchanges weights and averages, where there are some: for evaluation, and back. */
cg_status cg_trainer_swap_average(cg_trainer *trainer) CG_MUST_USE;

/* Freezes and groups parameters. */
cg_status cg_trainer_tune(cg_trainer *trainer) CG_MUST_USE;

/* Begins a pass over the data at the position, with the random numbers that belong there. */
cg_status cg_trainer_begin_pass(cg_trainer *trainer) CG_MUST_USE;

/* The next update without a word about it: no loss, no clock, no save. */
cg_status cg_trainer_repeat_update(cg_trainer *trainer) CG_MUST_USE;

/* Batches to an update. */
int64_t cg_trainer_group(const cg_trainer *trainer);

#endif
