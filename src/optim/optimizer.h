/* What an optimizer is inside, and how a kind of optimizer is made: a cg_optimizer_class and a row in optimizer.c. */
#ifndef CLGRAD_OPTIMIZER_H
#define CLGRAD_OPTIMIZER_H

#include <clgrad/optim.h>

#include "arguments.h"

/* Places in hyper that all of them share, before those that a row of updates.def names. */
enum { CG_HYPER_LR = 0, CG_HYPER_SIGN = 1, CG_HYPER_DECAY = 2, CG_HYPER_SHRINK = 3, CG_HYPER_OWN = 4 };

/* Where NAdam keeps the product of its momenta, which the next step needs. */
#define CG_HYPER_PRODUCT 11

/* The arguments of an optimizer; those that it does not take are 0. */
typedef struct cg_settings {
    double lr, momentum, beta2; /* momentum is the first beta where there are two */
    double eps, weight_decay, dampening, alpha, rho, lr_decay, initial_accumulator_value, momentum_decay;
    bool nesterov, amsgrad, centered, maximize, decoupled, bias_correction;
} cg_settings;

typedef struct cg_optimizer_class {
    const char *name;
    const char *signature;                    /* what arguments.h reads; the first argument is lr */
    uint32_t op;                              /* inputs hyper and grad; outputs param and the states */
    const char *states[CG_UPDATE_MAX_STATES]; /* "momentum_buffer"; NULL: none, or one that is no state to be saved */
    bool decoupled;                           /* the weight decay is not added to the gradient */
    bool keeps_product;                       /* as NAdam does */
    bool keeps_direction;                     /* as LAMB does: the step is scaled by norms, in a second op */
    cg_status (*check)(const cg_settings *settings);        /* of arguments together; NULL: nothing to check */
    bool (*has)(const cg_settings *settings, size_t state); /* NULL: all states are always there */
    /* Fills hyper from CG_HYPER_OWN on for step `step`, the first being 1. */
    void (*numbers)(const cg_settings *settings, double step, double *hyper);
} cg_optimizer_class;

/* Parameters that share their arguments. */
typedef struct cg_group {
    cg_settings settings;
    double initial_lr, initial_momentum;
    cg_tensor *hyper;
    double written[CG_UPDATE_NUMBERS]; /* what hyper holds; NaN: not known */
} cg_group;

/* One state more than an op has: the product. */
#define CG_MEMBER_STATES (CG_UPDATE_MAX_STATES + 1)

typedef struct cg_member {
    cg_tensor *parameter;
    char *name;
    size_t group;
    cg_tensor *states[CG_MEMBER_STATES]; /* the optimizer's; NULL: not there */
    char *state_names[CG_MEMBER_STATES]; /* NULL: not to be saved */
} cg_member;

struct cg_optimizer {
    const cg_optimizer_class *class;
    int64_t steps;
    cg_text options; /* all arguments but lr, as printed */
    cg_group *groups;
    size_t n_groups;
    cg_member *members;
    size_t count;
};

/* groups.c: the settings that arguments say, checked. */
cg_status cg_settings_read(const cg_optimizer_class *class, const cg_arguments *arguments,
                           cg_settings *settings) CG_MUST_USE;

/* Whether a name is what a pattern says: * any text, ? any character. */
bool cg_name_matches(const char *pattern, const char *name);

/* Adds a group of those settings, without members. */
cg_status cg_optimizer_grow(cg_optimizer *optimizer, const cg_settings *settings) CG_MUST_USE;

/* Gives a member of a group the states that the group's settings ask for and it has not, new. */
cg_status cg_member_add_states(const cg_optimizer *optimizer, cg_member *member) CG_MUST_USE;
void cg_member_clear_states(cg_member *member);

/* Whether all parameters are there; `who` is named in the error. */
cg_status cg_parameters_given(const char *who, cg_tensor *const *parameters, size_t count) CG_MUST_USE;

/* Writes each group's hyper where the next step's numbers are others than the last one's. */
cg_status cg_optimizer_write_hyper(cg_optimizer *optimizer) CG_MUST_USE;

extern const cg_optimizer_class cg_sgd_class, cg_rmsprop_class, cg_adagrad_class, cg_adadelta_class, cg_adam_class,
    cg_adamw_class, cg_nadam_class, cg_radam_class, cg_lion_class, cg_lamb_class;

#endif
