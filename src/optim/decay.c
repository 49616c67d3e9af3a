/*
 * Schedules that multiply the learning rate by a factor of the step alone: StepLR, MultiStepLR, ExponentialLR,
 * ConstantLR, LinearLR, PolynomialLR, and CosineAnnealingLR. PyTorch multiplies the rate of the step before; these are
 * the same values in closed form, which knows no rounding errors that add up.
 */
#include <math.h>
#include <stdlib.h>

#include "alloc.h"
#include "schedule.h"

static cg_status step_create(cg_schedule *schedule, const cg_arguments *arguments) {
    schedule->decay.every = cg_argument_int(arguments, "step_size");
    schedule->decay.gamma = cg_argument_real(arguments, "gamma");
    return CG_OK;
}

static cg_status step_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    int64_t times = step / schedule->decay.every;
    *lr *= pow(schedule->decay.gamma, (double)times);
    return CG_OK;
}

const cg_schedule_class cg_step_lr_class = {
    .name = "StepLR",
    .signature = "step_size: positive, gamma: float = 0.1, last_epoch: later = -1",
    .create = step_create,
    .at = step_at,
};

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static cg_status multi_step_create(cg_schedule *schedule, const cg_arguments *arguments) {
    cg_decay *decay = &schedule->decay;
    const cg_expression *list = cg_argument_value(arguments, "milestones"), *item = cg_expression_first(list);
    decay->gamma = cg_argument_real(arguments, "gamma");
    decay->milestones = cg_alloc((list->count + 1) * sizeof *decay->milestones);
    if (decay->milestones == NULL) {
        return CG_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (item->integer >= 0) { /* one below 0 is never met */
            decay->milestones[decay->n_milestones++] = item->integer;
        }
        item = cg_expression_next(item);
    }
    qsort(decay->milestones, decay->n_milestones, sizeof *decay->milestones, by_size);
    return CG_OK;
}

static cg_status multi_step_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    size_t passed = 0;
    while (passed < schedule->decay.n_milestones && schedule->decay.milestones[passed] <= step) {
        passed++;
    }
    *lr *= pow(schedule->decay.gamma, (double)passed);
    return CG_OK;
}

const cg_schedule_class cg_multi_step_lr_class = {
    .name = "MultiStepLR",
    .signature = "milestones: [int], gamma: float = 0.1, last_epoch: later = -1",
    .create = multi_step_create,
    .at = multi_step_at,
};

static cg_status exponential_create(cg_schedule *schedule, const cg_arguments *arguments) {
    schedule->decay.gamma = cg_argument_real(arguments, "gamma");
    return CG_OK;
}

static cg_status exponential_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    *lr *= pow(schedule->decay.gamma, (double)step);
    return CG_OK;
}

const cg_schedule_class cg_exponential_lr_class = {
    .name = "ExponentialLR",
    .signature = "gamma: float, last_epoch: later = -1",
    .create = exponential_create,
    .at = exponential_at,
};

static cg_status constant_create(cg_schedule *schedule, const cg_arguments *arguments) {
    CG_TRY(cg_schedule_within(arguments, "factor", 0, 1));
    schedule->decay.start = cg_argument_real(arguments, "factor");
    schedule->decay.every = cg_argument_int(arguments, "total_iters");
    return CG_OK;
}

/* PyTorch takes the factor off at step total_iters exactly: where that is the first step or before, never. */
static cg_status constant_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    bool lifted = schedule->decay.every > 0 && step >= schedule->decay.every;
    *lr *= lifted ? 1.0 : schedule->decay.start;
    return CG_OK;
}

const cg_schedule_class cg_constant_lr_class = {
    .name = "ConstantLR",
    .signature = "factor: float = 0.3333333333333333, total_iters: int = 5, last_epoch: later = -1",
    .create = constant_create,
    .at = constant_at,
};

static cg_status linear_create(cg_schedule *schedule, const cg_arguments *arguments) {
    CG_TRY(cg_schedule_within(arguments, "start_factor", 0, 1));
    CG_TRY(cg_schedule_within(arguments, "end_factor", 0, 1));
    schedule->decay.start = cg_argument_real(arguments, "start_factor");
    schedule->decay.end = cg_argument_real(arguments, "end_factor");
    schedule->decay.every = cg_argument_int(arguments, "total_iters");
    if (schedule->decay.start == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "LinearLR: start_factor is 0, expected more than 0, at most 1");
    }
    return CG_OK;
}

static cg_status linear_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    const cg_decay *decay = &schedule->decay;
    int64_t passed = step < decay->every ? step : decay->every;
    double share = decay->every > 0 ? (double)passed / (double)decay->every : 0.0;
    *lr *= decay->start + (decay->end - decay->start) * share;
    return CG_OK;
}

const cg_schedule_class cg_linear_lr_class = {
    .name = "LinearLR",
    .signature = "start_factor: float = 0.3333333333333333, end_factor: float = 1.0, total_iters: int = 5, "
                 "last_epoch: later = -1",
    .create = linear_create,
    .at = linear_at,
};

static cg_status polynomial_create(cg_schedule *schedule, const cg_arguments *arguments) {
    schedule->decay.every = cg_argument_int(arguments, "total_iters");
    schedule->decay.power = cg_argument_real(arguments, "power");
    return CG_OK;
}

/* Steps until it has come down. */
static int64_t way_down(const cg_schedule *schedule) {
    return schedule->decay.every > 0 ? schedule->decay.every : 0;
}

/* Down to 0 at total_iters; PyTorch never begins where that is 0 or less. */
static cg_status polynomial_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    const cg_decay *decay = &schedule->decay;
    if (decay->every > 0) {
        int64_t passed = step < decay->every ? step : decay->every;
        *lr *= pow(1.0 - (double)passed / (double)decay->every, decay->power);
    }
    return CG_OK;
}

const cg_schedule_class cg_polynomial_lr_class = {
    .name = "PolynomialLR",
    .signature = "total_iters: int = 5, power: float = 1.0, last_epoch: later = -1",
    .create = polynomial_create,
    .at = polynomial_at,
    .length = way_down,
};

static cg_status cosine_create(cg_schedule *schedule, const cg_arguments *arguments) {
    schedule->decay.every = cg_argument_int(arguments, "T_max");
    schedule->decay.end = cg_argument_real(arguments, "eta_min");
    if (schedule->decay.every > INT64_MAX / 2) {
        return cg_fail(CG_ERR_ARGUMENT, "CosineAnnealingLR: T_max is too large");
    }
    return CG_OK;
}

/* Goes up again after T_max and down after that. */
static cg_status cosine_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    const cg_decay *decay = &schedule->decay;
    double angle = CG_PI * (double)(step % (2 * decay->every)) / (double)decay->every;
    *lr = decay->end + (*lr - decay->end) * (1 + cos(angle)) / 2;
    return CG_OK;
}

const cg_schedule_class cg_cosine_annealing_lr_class = {
    .name = "CosineAnnealingLR",
    .signature = "T_max: positive, eta_min: float = 0.0, last_epoch: later = -1",
    .create = cosine_create,
    .at = cosine_at,
    .length = way_down,
};
