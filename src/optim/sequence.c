/* SequentialLR: one schedule after the other, each from its own first step: a warm-up, then a decay. */
#include <inttypes.h>

#include "alloc.h"
#include "schedule.h"

static cg_status check(const cg_expression *schedules, const cg_expression *milestones) {
    if (schedules->count == 0 || schedules->count != milestones->count + 1) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "SequentialLR: %u schedulers and %u milestones; there must be one scheduler more",
                       (unsigned)schedules->count, (unsigned)milestones->count);
    }
    int64_t before = 0;
    const cg_expression *milestone = cg_expression_first(milestones);
    for (uint32_t i = 0; i < milestones->count; i++) {
        if (milestone->integer <= before) {
            return cg_fail(CG_ERR_ARGUMENT,
                           "SequentialLR: milestone %" PRId64 " after %" PRId64 "; they must rise from 1",
                           milestone->integer, before);
        }
        before = milestone->integer;
        milestone = cg_expression_next(milestone);
    }
    return CG_OK;
}

static cg_status create(cg_schedule *schedule, const cg_arguments *arguments) {
    const cg_expression *schedules = cg_argument_value(arguments, "schedulers");
    const cg_expression *milestones = cg_argument_value(arguments, "milestones");
    CG_TRY(check(schedules, milestones));
    cg_sequence *sequence = &schedule->sequence;
    sequence->items = cg_alloc_zero(schedules->count, sizeof *sequence->items);
    sequence->begins = cg_alloc_zero(schedules->count, sizeof *sequence->begins);
    if (sequence->items == NULL || sequence->begins == NULL) {
        return CG_ERR_MEMORY;
    }
    sequence->count = schedules->count;
    const cg_expression *call = cg_expression_first(schedules), *milestone = cg_expression_first(milestones);
    for (uint32_t i = 0; i < schedules->count; i++) {
        CG_TRY(cg_schedule_build(call, schedule->lr, schedule->momentum, &sequence->items[i]));
        if (sequence->items[i]->class->report != NULL) {
            return cg_fail(CG_ERR_ARGUMENT, "SequentialLR: %s goes by a metric and cannot be one of several",
                           sequence->items[i]->class->name);
        }
        call = cg_expression_next(call);
        if (i + 1 < schedules->count) {
            sequence->begins[i + 1] = milestone->integer;
            milestone = cg_expression_next(milestone);
        }
    }
    return CG_OK;
}

static cg_status at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    const cg_sequence *sequence = &schedule->sequence;
    size_t i = 0;
    while (i + 1 < sequence->count && sequence->begins[i + 1] <= step) {
        i++;
    }
    const cg_schedule *item = sequence->items[i];
    return item->class->at(item, step - sequence->begins[i], lr, momentum);
}

static int64_t length(const cg_schedule *schedule) {
    size_t last = schedule->sequence.count - 1;
    int64_t own = cg_schedule_length(schedule->sequence.items[last]);
    return own > 0 ? schedule->sequence.begins[last] + own : 0;
}

const cg_schedule_class cg_sequential_lr_class = {
    .name = "SequentialLR",
    .signature = "schedulers: [schedule], milestones: [int], last_epoch: later = -1",
    .create = create,
    .at = at,
    .length = length,
};
