/* Events of a training: who listens, and what is told. */
#include <math.h>

#include "alloc.h"
#include "trainer.h"

cg_status cg_trainer_attach(cg_trainer *t, const cg_callback *callback) {
    if (!CG_GROW(t->callbacks, t->n_callbacks, t->callbacks_capacity)) {
        return CG_ERR_MEMORY;
    }
    t->callbacks[t->n_callbacks++] = *callback;
    return CG_OK;
}

void cg_trainer_cancel(cg_trainer *t) {
    atomic_store(&t->cancelled, true);
}

const cg_step *cg_trainer_step(const cg_trainer *t) {
    return &t->step;
}

cg_module *cg_trainer_model(const cg_trainer *t) {
    return t->model;
}

cg_optimizer *cg_trainer_optimizer(const cg_trainer *t) {
    return t->optimizer;
}

int64_t cg_trainer_group(const cg_trainer *t) {
    return t->options.accumulate > 1 ? t->options.accumulate : 1;
}

static int64_t updates_of(const cg_trainer *t, int64_t batches) {
    return (batches + cg_trainer_group(t) - 1) / cg_trainer_group(t);
}

int64_t cg_trainer_updates(const cg_trainer *t) {
    return t->epoch * updates_of(t, t->batches) + updates_of(t, t->position);
}

int64_t cg_trainer_planned(const cg_trainer *t) {
    return t->options.steps > 0 ? t->options.steps : t->options.epochs * updates_of(t, t->batches);
}

cg_progress cg_trainer_progress(const cg_trainer *t) {
    int64_t batch = t->position + (t->step.tape != NULL ? 1 : 0); /* the one that is being recorded counts */
    return (cg_progress){
        .epoch = t->epoch + 1,
        .epochs = t->options.steps > 0 ? 0 : t->options.epochs,
        .step = t->epoch * updates_of(t, t->batches) + updates_of(t, batch),
        .steps = cg_trainer_planned(t),
        .batch = batch,
        .batches = t->batches,
        .samples = t->samples,
        .loss = t->loss_samples > 0 ? t->loss_sum / (double)t->loss_samples : NAN,
        .accuracy = cg_sample_accuracy(&t->sample),
        .lr = cg_optimizer_lr(t->optimizer),
        .seconds = t->begin > 0 ? cg_clock_now() - t->begin : 0,
        .train_loss = NAN,
        .valid_loss = NAN,
        .valid_accuracy = NAN,
    };
}

static cg_event listener(const cg_callback *c, cg_event_kind kind) {
    switch (kind) {
    case CG_BEFORE_FIT:
        return c->before_fit;
    case CG_BEFORE_EPOCH:
        return c->before_epoch;
    case CG_BEFORE_BATCH:
        return c->before_batch;
    case CG_AFTER_LOSS:
        return c->after_loss;
    case CG_AFTER_BACKWARD:
        return c->after_backward;
    case CG_BEFORE_STEP:
        return c->before_step;
    case CG_AFTER_STEP:
        return c->after_step;
    case CG_AFTER_BATCH:
        return c->after_batch;
    case CG_ON_LOSS:
        return c->on_loss;
    case CG_BEFORE_VALIDATION:
        return c->before_validation;
    case CG_AFTER_VALIDATION:
        return c->after_validation;
    case CG_AFTER_EPOCH:
        return c->after_epoch;
    case CG_ON_SAVE:
        return c->on_save;
    case CG_AFTER_FIT:
        return c->after_fit;
    }
    return NULL;
}

cg_status cg_trainer_tell(cg_trainer *t, cg_event_kind kind, const cg_progress *progress) {
    for (size_t i = 0; i < t->n_callbacks; i++) {
        cg_event event = listener(&t->callbacks[i], kind);
        cg_status status = event != NULL ? event(t->callbacks[i].context, t, progress) : CG_OK;
        if (status == CG_ERR_INTERRUPTED) {
            cg_trainer_cancel(t);
        } else if (status != CG_OK) {
            return status;
        }
    }
    return CG_OK;
}

cg_status cg_trainer_emit(cg_trainer *t, cg_event_kind kind) {
    bool heard = false;
    for (size_t i = 0; i < t->n_callbacks; i++) {
        heard = heard || listener(&t->callbacks[i], kind) != NULL;
    }
    if (!heard) {
        return CG_OK;
    }
    const cg_progress progress = cg_trainer_progress(t);
    return cg_trainer_tell(t, kind, &progress);
}
