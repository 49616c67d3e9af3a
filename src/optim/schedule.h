/* What a schedule is inside, and how a kind of schedule is made: a cg_schedule_class and a row in schedule.c. */
#ifndef CLGRAD_OPTIM_SCHEDULE_H
#define CLGRAD_OPTIM_SCHEDULE_H

#include <clgrad/schedule.h>

#include "arguments.h"

typedef struct cg_schedule_class {
    const char *name;
    const char *signature; /* what arguments.h reads */
    /* Checks the arguments and keeps them. */
    cg_status (*create)(cg_schedule *schedule, const cg_arguments *arguments);
    /* Learning rate and momentum hold the schedule's own and are changed for step >= 0. */
    cg_status (*at)(const cg_schedule *schedule, int64_t step, double *lr, double *momentum);
} cg_schedule_class;

/* What the schedules of decay.c keep, each what it needs. */
typedef struct cg_decay {
    double gamma;
    double start, end;   /* factors at the beginning and the end; end is eta_min of CosineAnnealingLR */
    int64_t every;       /* step_size, total_iters, T_max */
    int64_t *milestones; /* ascending */
    size_t n_milestones;
} cg_decay;

#define CG_ONE_CYCLE_MAX_PHASES 3

/* From the end of the phase before to `end`, the values go from one to the other. */
typedef struct cg_phase {
    double end;
    double lr[2], momentum[2];
} cg_phase;

typedef struct cg_one_cycle {
    int64_t total_steps;
    bool cosine, cycles_momentum;
    size_t n_phases;
    cg_phase phases[CG_ONE_CYCLE_MAX_PHASES];
} cg_one_cycle;

struct cg_schedule {
    const cg_schedule_class *class;
    double lr, momentum;
    cg_decay decay;
    cg_one_cycle one_cycle;
};

/* CG_ERR_ARGUMENT unless the value of that name is a number from `least` to `most`. */
cg_status cg_schedule_within(const cg_arguments *arguments, const char *name, double least, double most) CG_MUST_USE;

extern const cg_schedule_class cg_step_lr_class, cg_multi_step_lr_class, cg_exponential_lr_class, cg_constant_lr_class,
    cg_linear_lr_class, cg_cosine_annealing_lr_class, cg_one_cycle_lr_class;

#endif
