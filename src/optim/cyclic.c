/* Schedules that begin again: CosineAnnealingWarmRestarts (Loshchilov and Hutter 2017) and CyclicLR (Smith 2017). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "schedule.h"

static cg_status restarts_create(cg_schedule *schedule, const cg_arguments *arguments) {
    schedule->restarts.first = cg_argument_int(arguments, "T_0");
    schedule->restarts.factor = cg_argument_int(arguments, "T_mult");
    schedule->restarts.least = cg_argument_real(arguments, "eta_min");
    return CG_OK;
}

static cg_status restarts_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)momentum;
    const cg_restarts *restarts = &schedule->restarts;
    int64_t length = restarts->first, at = step;
    if (restarts->factor == 1) {
        at %= length;
    }
    while (at >= length) { /* a factor of at least 2: no more than 63 times */
        at -= length;
        length = length > INT64_MAX / restarts->factor ? INT64_MAX : length * restarts->factor;
    }
    *lr = restarts->least + (*lr - restarts->least) * (1 + cos(CG_PI * (double)at / (double)length)) / 2;
    return CG_OK;
}

const cg_schedule_class cg_cosine_restarts_class = {
    .name = "CosineAnnealingWarmRestarts",
    .signature = "T_0: positive, T_mult: positive = 1, eta_min: float = 0.0, last_epoch: later = -1",
    .create = restarts_create,
    .at = restarts_at,
};

static cg_status cyclic_create(cg_schedule *schedule, const cg_arguments *arguments) {
    cg_cyclic *cyclic = &schedule->cyclic;
    const char *mode = cg_argument_text(arguments, "mode");
    bool even = cg_argument_is_none(arguments, "step_size_down");
    *cyclic = (cg_cyclic){
        .up = (double)cg_argument_int(arguments, "step_size_up"),
        .down = (double)cg_argument_int(arguments, even ? "step_size_up" : "step_size_down"),
        .lr = {cg_argument_real(arguments, "base_lr"), cg_argument_real(arguments, "max_lr")},
        .momentum = {cg_argument_real(arguments, "base_momentum"), cg_argument_real(arguments, "max_momentum")},
        .cycles_momentum = cg_argument_bool(arguments, "cycle_momentum"),
        .base = strcmp(mode, "triangular") == 0    ? 1.0
                : strcmp(mode, "triangular2") == 0 ? 0.5
                                                   : cg_argument_real(arguments, "gamma"),
        .by_step = strcmp(mode, "exp_range") == 0,
    };
    return CG_OK;
}

static cg_status cyclic_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    const cg_cyclic *cyclic = &schedule->cyclic;
    double total = cyclic->up + cyclic->down, cycle = floor((double)step / total);
    double at = (double)step - cycle * total; /* steps into this cycle */
    double share = at <= cyclic->up ? at / cyclic->up : (total - at) / cyclic->down;
    double height = share * pow(cyclic->base, cyclic->by_step ? (double)step : cycle);
    *lr = cyclic->lr[0] + (cyclic->lr[1] - cyclic->lr[0]) * height;
    if (cyclic->cycles_momentum) {
        *momentum = cyclic->momentum[1] - (cyclic->momentum[1] - cyclic->momentum[0]) * height;
    }
    return CG_OK;
}

const cg_schedule_class cg_cyclic_lr_class = {
    .name = "CyclicLR",
    .signature =
        "base_lr: float, max_lr: float, step_size_up: positive = 2000, step_size_down: positive | None = None, "
        "mode: 'triangular' | 'triangular2' | 'exp_range' = 'triangular', gamma: float = 1.0, "
        "scale_fn: later = None, scale_mode: 'cycle' | 'iterations' = 'cycle', cycle_momentum: bool = True, "
        "base_momentum: float = 0.8, max_momentum: float = 0.9, last_epoch: later = -1",
    .create = cyclic_create,
    .at = cyclic_at,
};
