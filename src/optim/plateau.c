/* ReduceLROnPlateau: the one schedule that goes by what it is told, not by the step. */
#include <math.h>
#include <string.h>

#include "schedule.h"

static cg_status create(cg_schedule *schedule, const cg_arguments *arguments) {
    cg_plateau *plateau = &schedule->plateau;
    *plateau = (cg_plateau){
        .rises = strcmp(cg_argument_text(arguments, "mode"), "max") == 0,
        .relative = strcmp(cg_argument_text(arguments, "threshold_mode"), "rel") == 0,
        .factor = cg_argument_real(arguments, "factor"),
        .threshold = cg_argument_real(arguments, "threshold"),
        .min_lr = cg_argument_real(arguments, "min_lr"),
        .eps = cg_argument_real(arguments, "eps"),
        .patience = cg_argument_int(arguments, "patience"),
        .cooldown = cg_argument_int(arguments, "cooldown"),
    };
    plateau->state.best = plateau->rises ? (double)-INFINITY : (double)INFINITY;
    if (!(plateau->factor < 1)) {
        return cg_fail(CG_ERR_ARGUMENT, "ReduceLROnPlateau: factor is %g, expected a number below 1", plateau->factor);
    }
    return CG_OK;
}

static bool better(const cg_plateau *plateau, double metric) {
    double best = plateau->state.best, margin = plateau->threshold;
    if (plateau->rises) {
        return metric > (plateau->relative ? best * (1 + margin) : best + margin);
    }
    return metric < (plateau->relative ? best * (1 - margin) : best - margin);
}

static void report(cg_schedule *schedule, double metric) {
    const cg_plateau *plateau = &schedule->plateau;
    cg_schedule_state *state = &schedule->plateau.state;
    if (better(plateau, metric)) {
        state->best = metric;
        state->bad = 0;
    } else {
        state->bad++;
    }
    if (state->cooldown > 0) {
        state->cooldown--;
        state->bad = 0;
    }
    if (state->bad > plateau->patience) {
        state->reductions++;
        state->cooldown = plateau->cooldown;
        state->bad = 0;
    }
}

/* Every group's rate has been reduced so often, less often where it has come so low that no reduction is worth it. */
static cg_status at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    (void)step;
    (void)momentum;
    const cg_plateau *plateau = &schedule->plateau;
    for (int64_t i = 0; i < plateau->state.reductions; i++) {
        double next = fmax(*lr * plateau->factor, plateau->min_lr);
        if (!(*lr - next > plateau->eps)) {
            break;
        }
        *lr = next;
    }
    return CG_OK;
}

const cg_schedule_class cg_plateau_class = {
    .name = "ReduceLROnPlateau",
    .signature = "mode: 'min' | 'max' = 'min', factor: float = 0.1, patience: int = 10, threshold: float = 0.0001, "
                 "threshold_mode: 'rel' | 'abs' = 'rel', cooldown: int = 0, min_lr: float = 0, eps: float = 1e-8",
    .create = create,
    .at = at,
    .report = report,
};
