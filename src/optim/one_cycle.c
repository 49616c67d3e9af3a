/* OneCycleLR (Smith and Topin 2018): the learning rate up and down once, the momentum the other way. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "schedule.h"

/* total_steps, or epochs times steps_per_epoch. */
static cg_status take_steps(cg_one_cycle *cycle, const cg_arguments *arguments) {
    if (!cg_argument_is_none(arguments, "total_steps")) {
        cycle->total_steps = cg_argument_int(arguments, "total_steps");
        return CG_OK;
    }
    if (cg_argument_is_none(arguments, "epochs") || cg_argument_is_none(arguments, "steps_per_epoch")) {
        return cg_fail(CG_ERR_ARGUMENT, "OneCycleLR: total_steps is missing, or epochs and steps_per_epoch");
    }
    int64_t epochs = cg_argument_int(arguments, "epochs"), each = cg_argument_int(arguments, "steps_per_epoch");
    if (epochs > INT64_MAX / each) {
        return cg_fail(CG_ERR_ARGUMENT, "OneCycleLR: %" PRId64 " epochs of %" PRId64 " steps are too many", epochs,
                       each);
    }
    cycle->total_steps = epochs * each;
    return CG_OK;
}

static cg_status check(const cg_arguments *arguments) {
    static const char *const divisors[] = {"div_factor", "final_div_factor"};
    CG_TRY(cg_schedule_within(arguments, "pct_start", 0, 1));
    for (size_t i = 0; i < sizeof divisors / sizeof *divisors; i++) {
        if (cg_argument_real(arguments, divisors[i]) == 0) {
            return cg_fail(CG_ERR_ARGUMENT, "OneCycleLR: %s is 0, nothing can be divided by it", divisors[i]);
        }
    }
    return CG_OK;
}

static cg_status create(cg_schedule *schedule, const cg_arguments *arguments) {
    cg_one_cycle *cycle = &schedule->one_cycle;
    CG_TRY(take_steps(cycle, arguments));
    CG_TRY(check(arguments));
    cycle->cosine = strcmp(cg_argument_text(arguments, "anneal_strategy"), "cos") == 0;
    cycle->cycles_momentum = cg_argument_bool(arguments, "cycle_momentum");
    double max = cg_argument_real(arguments, "max_lr"), first = max / cg_argument_real(arguments, "div_factor");
    double last = first / cg_argument_real(arguments, "final_div_factor");
    double low = cg_argument_real(arguments, "base_momentum"), high = cg_argument_real(arguments, "max_momentum");
    double rise = cg_argument_real(arguments, "pct_start") * (double)cycle->total_steps;
    cycle->phases[cycle->n_phases++] = (cg_phase){rise - 1, {first, max}, {high, low}};
    if (cg_argument_bool(arguments, "three_phase")) {
        cycle->phases[cycle->n_phases++] = (cg_phase){2 * rise - 2, {max, first}, {low, high}};
        cycle->phases[cycle->n_phases++] = (cg_phase){(double)cycle->total_steps - 1, {first, last}, {high, high}};
    } else {
        cycle->phases[cycle->n_phases++] = (cg_phase){(double)cycle->total_steps - 1, {max, last}, {low, high}};
    }
    return CG_OK;
}

static double anneal(const cg_one_cycle *cycle, const double ends[2], double share) {
    return cycle->cosine ? ends[1] + (ends[0] - ends[1]) / 2 * (cos(CG_PI * share) + 1)
                         : (ends[1] - ends[0]) * share + ends[0];
}

static cg_status at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    const cg_one_cycle *cycle = &schedule->one_cycle;
    if (step > cycle->total_steps) {
        return cg_fail(CG_ERR_ARGUMENT, "OneCycleLR: there is no step %" PRId64 ", the cycle has %" PRId64, step,
                       cycle->total_steps);
    }
    size_t i = 0;
    double start = 0;
    while (i + 1 < cycle->n_phases && (double)step > cycle->phases[i].end) {
        start = cycle->phases[i++].end;
    }
    const cg_phase *phase = &cycle->phases[i];
    /* A phase of no length is at its end; PyTorch divides by zero there. */
    double share = phase->end == start ? 1.0 : ((double)step - start) / (phase->end - start);
    *lr = anneal(cycle, phase->lr, share);
    *momentum = cycle->cycles_momentum ? anneal(cycle, phase->momentum, share) : *momentum;
    return CG_OK;
}

static int64_t length(const cg_schedule *schedule) {
    return schedule->one_cycle.total_steps;
}

const cg_schedule_class cg_one_cycle_lr_class = {
    .name = "OneCycleLR",
    .signature = "max_lr: float, total_steps: positive | None = None, epochs: positive | None = None, "
                 "steps_per_epoch: positive | None = None, pct_start: float = 0.3, "
                 "anneal_strategy: 'cos' | 'linear' = 'cos', cycle_momentum: bool = True, "
                 "base_momentum: float = 0.85, max_momentum: float = 0.95, div_factor: float = 25.0, "
                 "final_div_factor: float = 10000.0, three_phase: bool = False, last_epoch: later = -1",
    .create = create,
    .at = at,
    .length = length,
};
