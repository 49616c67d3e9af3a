/*
 * Learning-rate schedules, written as PyTorch writes them: "StepLR(step_size=30)", "OneCycleLR(max_lr=0.4,
 * total_steps=1000)". A schedule is a function of the number of updates made so far: it has no state.
 *
 * There are StepLR, MultiStepLR, ExponentialLR, ConstantLR, LinearLR, CosineAnnealingLR and OneCycleLR, with
 * torch.optim.lr_scheduler's arguments, defaults and values.
 */
#ifndef CLGRAD_SCHEDULE_H
#define CLGRAD_SCHEDULE_H

#include <clgrad/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_schedule cg_schedule;

/* Makes the schedule that `text` describes for an optimizer of that learning rate and momentum (the first beta of Adam;
 * 0 where there is none). Errors as cg_module_parse. */
CG_API cg_status cg_schedule_parse(const char *text, double lr, double momentum, cg_schedule **schedule) CG_MUST_USE;

CG_API void cg_schedule_destroy(cg_schedule *schedule);

/* Learning rate and momentum of the update after `step` others: 0 for the first. What the schedule leaves alone is what
 * it was made with. CG_ERR_ARGUMENT for a step below 0, or beyond the last one of OneCycleLR. */
CG_API cg_status cg_schedule_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
