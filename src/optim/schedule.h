/* What a schedule is inside, and how a kind of schedule is made: a cg_schedule_class and a row in schedule.c. */
#ifndef CLGRAD_OPTIM_SCHEDULE_H
#define CLGRAD_OPTIM_SCHEDULE_H

#include <clgrad/schedule.h>

#include "arguments.h"

#define CG_PI 3.14159265358979323846

typedef struct cg_schedule_class {
    const char *name;
    const char *signature; /* what arguments.h reads */
    /* Checks the arguments and keeps them. */
    cg_status (*create)(cg_schedule *schedule, const cg_arguments *arguments);
    /* Learning rate and momentum hold the schedule's own and are changed for step >= 0. */
    cg_status (*at)(const cg_schedule *schedule, int64_t step, double *lr, double *momentum);
    void (*report)(cg_schedule *schedule, double metric); /* NULL: it goes by the step alone */
    int64_t (*length)(const cg_schedule *schedule);       /* steps that it is made for; NULL: any number */
} cg_schedule_class;

/* What the schedules of decay.c keep, each what it needs. */
typedef struct cg_decay {
    double gamma;
    double start, end; /* factors at the beginning and the end; end is eta_min of CosineAnnealingLR */
    double power;
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

typedef struct cg_restarts {
    int64_t first, factor; /* steps of the first cycle; how much longer each is than the one before */
    double least;
} cg_restarts;

typedef struct cg_cyclic {
    double up, down;           /* steps */
    double lr[2], momentum[2]; /* low, high */
    double base;               /* a cycle's height is a power of this, */
    bool by_step;              /* of the step, else of the cycle's number */
    bool cycles_momentum;
} cg_cyclic;

typedef struct cg_plateau {
    bool rises, relative; /* the metric gets better by rising; by a share of the best */
    double factor, threshold, min_lr, eps;
    int64_t patience, cooldown;
    cg_schedule_state state;
} cg_plateau;

/* Schedule i from step begins[i] on. */
typedef struct cg_sequence {
    cg_schedule **items;
    int64_t *begins;
    size_t count;
} cg_sequence;

struct cg_schedule {
    const cg_schedule_class *class;
    double lr, momentum;
    cg_text arguments; /* all of them, as printed */
    cg_decay decay;
    cg_one_cycle one_cycle;
    cg_restarts restarts;
    cg_cyclic cyclic;
    cg_plateau plateau;
    cg_sequence sequence;
};

/* The schedule that a call describes. */
cg_status cg_schedule_build(const cg_expression *call, double lr, double momentum, cg_schedule **schedule) CG_MUST_USE;

/* CG_ERR_ARGUMENT unless the value of that name is a number from `least` to `most`. */
cg_status cg_schedule_within(const cg_arguments *arguments, const char *name, double least, double most) CG_MUST_USE;

extern const cg_schedule_class cg_step_lr_class, cg_multi_step_lr_class, cg_exponential_lr_class, cg_constant_lr_class,
    cg_linear_lr_class, cg_polynomial_lr_class, cg_cosine_annealing_lr_class, cg_cosine_restarts_class,
    cg_one_cycle_lr_class, cg_cyclic_lr_class, cg_plateau_class, cg_sequential_lr_class;

#endif
