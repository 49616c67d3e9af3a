/*
 * Learning-rate schedules, written as PyTorch writes them: "StepLR(step_size=30)", "OneCycleLR(max_lr=0.4,
 * total_steps=1000)". A schedule is a function of the number of updates made so far: it has no state, but for
 * ReduceLROnPlateau, which goes by what cg_schedule_report tells it.
 *
 * There are StepLR, MultiStepLR, ExponentialLR, ConstantLR, LinearLR, PolynomialLR, CosineAnnealingLR,
 * CosineAnnealingWarmRestarts, OneCycleLR, CyclicLR, ReduceLROnPlateau and SequentialLR, with
 * torch.optim.lr_scheduler's arguments, defaults and values. Those inside SequentialLR are written without an
 * optimizer:
 *
 *     SequentialLR(schedulers=[LinearLR(start_factor=0.1), CosineAnnealingLR(T_max=100)], milestones=[5])
 */
#ifndef CLGRAD_SCHEDULE_H
#define CLGRAD_SCHEDULE_H

#include <clgrad/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_schedule cg_schedule;

/* Makes the schedule that `text` describes for an optimizer of that learning rate and momentum (the first beta of Adam;
 * 0 where there is none). Errors as cg_module_parse. */
CG_API cg_status cg_schedule_parse(const char *text, double lr, double momentum, cg_schedule **schedule) CG_MUST_USE;

CG_API void cg_schedule_destroy(cg_schedule *schedule);

/* The text that cg_schedule_parse reads, all arguments written out. Returns its length; cut to size. */
CG_API size_t cg_schedule_print(const cg_schedule *schedule, char *text, size_t size);

/* Learning rate and momentum of the update after `step` others: 0 for the first. What the schedule leaves alone is what
 * it was made with. CG_ERR_ARGUMENT for a step below 0, or beyond the last one of OneCycleLR. */
CG_API cg_status cg_schedule_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) CG_MUST_USE;

/* Steps that the schedule is made for: total_steps of OneCycleLR, T_max of CosineAnnealingLR, total_iters of
 * PolynomialLR; of SequentialLR up to the end of the last. 0 where any number will do. */
CG_API int64_t cg_schedule_length(const cg_schedule *schedule);

/* Whether there are no steps after those: OneCycleLR, alone or as the last of a SequentialLR. */
CG_API bool cg_schedule_ends(const cg_schedule *schedule);

/* Gives each group of the optimizer the learning rate and momentum (or first beta) of the update after `step` others,
 * from those that the group was made with. OneCycleLR and CyclicLR, whose rates are their own, give all groups the
 * same. Errors as cg_schedule_at, and CG_ERR_ARGUMENT where an optimizer without momentum is to cycle it. */
CG_API cg_status cg_schedule_apply(const cg_schedule *schedule, cg_optimizer *optimizer, int64_t step) CG_MUST_USE;

/* What ReduceLROnPlateau watches, a validation loss for one: to be told after each epoch. Other schedules take no
 * notice. A metric that is not a number counts as one that is no better. */
CG_API bool cg_schedule_wants_metric(const cg_schedule *schedule);
CG_API void cg_schedule_report(cg_schedule *schedule, double metric);

/* What ReduceLROnPlateau knows, for a training that goes on later. */
typedef struct cg_schedule_state {
    double best;
    int64_t bad, cooldown; /* reports without progress, reports that will be passed over */
    int64_t reductions;    /* of the learning rate so far */
} cg_schedule_state;
CG_API cg_schedule_state cg_schedule_get_state(const cg_schedule *schedule);
CG_API void cg_schedule_set_state(cg_schedule *schedule, const cg_schedule_state *state);

#ifdef __cplusplus
}
#endif
#endif
