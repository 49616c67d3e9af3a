/* What an optimizer is inside, and how a kind of optimizer is made: a cg_optimizer_class and a row in optimizer.c. */
#ifndef CLGRAD_OPTIMIZER_H
#define CLGRAD_OPTIMIZER_H

#include <clgrad/optim.h>

#include "arguments.h"

#define CG_OPTIMIZER_MAX_STATES 2
#define CG_OPTIMIZER_MAX_HYPER 3

typedef struct cg_optimizer_class {
    const char *name;
    const char *signature;                       /* what arguments.h reads; the first argument is lr */
    uint32_t op;                                 /* inputs hyper and grad; outputs param and the states */
    const char *states[CG_OPTIMIZER_MAX_STATES]; /* "momentum_buffer"; NULL: no more */
    size_t n_hyper;
    /* Checks the arguments and fills the op's attributes. */
    cg_status (*create)(cg_optimizer *optimizer, const cg_arguments *arguments);
    /* What the next step writes into hyper: all that changes from step to step. */
    void (*hyper)(const cg_optimizer *optimizer, double *values);
} cg_optimizer_class;

struct cg_optimizer {
    const cg_optimizer_class *class;
    double lr;
    int64_t steps;
    union {
        cg_sgd_attrs sgd;
        cg_adam_attrs adam;
    } attrs;
    cg_text options; /* all arguments but lr, as printed */
    cg_tensor **parameters;
    size_t count;
    size_t n_states;    /* of each parameter */
    cg_tensor **states; /* those of parameter 0, then of 1, ...; they are the optimizer's */
    char **state_names;
    cg_tensor *hyper;
    double written[CG_OPTIMIZER_MAX_HYPER]; /* what hyper holds */
};

/* CG_ERR_ARGUMENT unless the value of that name is a number of at least 0. */
cg_status cg_optimizer_not_negative(const cg_arguments *arguments, const char *name) CG_MUST_USE;

extern const cg_optimizer_class cg_sgd_class, cg_adam_class, cg_adamw_class;

#endif
