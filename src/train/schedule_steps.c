/* The schedule of a training: it sets each update's learning rate before the optimizer's step is recorded. */
#include "trainer.h"

bool cg_trainer_schedule_by_epoch(const cg_trainer *t) {
    return t->schedule != NULL && (t->options.schedule_by_epoch || cg_schedule_wants_metric(t->schedule));
}

static cg_status before_step(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)context;
    return cg_schedule_apply(t->schedule, t->optimizer,
                             cg_trainer_schedule_by_epoch(t) ? t->epoch : progress->step - 1);
}

static cg_status after_epoch(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)context;
    cg_schedule_report(t->schedule, progress->valid_loss);
    return CG_OK;
}

static cg_status check_metric(const cg_trainer *t) {
    if (cg_schedule_wants_metric(t->schedule) && cg_data_describe(t->data)->rows[CG_SPLIT_VALID] == 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "the schedule %s goes by the validation loss, and the data '%s' has no validation rows",
                       t->options.schedule, cg_data_describe(t->data)->name);
    }
    return CG_OK;
}

int64_t cg_trainer_schedule_steps(const cg_trainer *t) {
    if (!cg_trainer_schedule_by_epoch(t)) {
        return cg_trainer_planned(t);
    }
    if (t->options.steps == 0) {
        return t->options.epochs;
    }
    int64_t each = (t->batches + cg_trainer_group(t) - 1) / cg_trainer_group(t);
    return (t->options.steps + each - 1) / each;
}

/* There is nothing after the end of a schedule that has one. */
static cg_status check_length(const cg_trainer *t) {
    if (!cg_schedule_ends(t->schedule) || cg_trainer_schedule_steps(t) <= cg_schedule_length(t->schedule)) {
        return CG_OK;
    }
    return cg_fail(CG_ERR_ARGUMENT, "the schedule %s ends after %lld %s, the training has %lld", t->options.schedule,
                   (long long)cg_schedule_length(t->schedule), cg_trainer_schedule_by_epoch(t) ? "epochs" : "updates",
                   (long long)cg_trainer_schedule_steps(t));
}

cg_status cg_trainer_add_schedule(cg_trainer *t) {
    if (t->options.schedule == NULL) {
        return CG_OK;
    }
    double lr, momentum;
    cg_optimizer_group_initial(t->optimizer, 0, &lr, &momentum);
    CG_TRY(cg_schedule_parse(t->options.schedule, lr, momentum, &t->schedule));
    CG_TRY(check_metric(t));
    CG_TRY(check_length(t));
    CG_TRY(cg_schedule_apply(t->schedule, t->optimizer, 0)); /* what does not go together is found now */
    return cg_trainer_attach(t, &(cg_callback){.before_step = before_step, .after_epoch = after_epoch});
}

cg_schedule *cg_trainer_schedule(const cg_trainer *t) {
    return t->schedule;
}
