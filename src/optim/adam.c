/* Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), which takes the weight decay out of the gradient.
 */
#include <math.h>

#include "optimizer.h"

static cg_status check(const cg_optimizer *optimizer, const cg_arguments *arguments) {
    static const char *const checked[] = {"lr", "eps", "weight_decay"};
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        CG_TRY(cg_optimizer_not_negative(arguments, checked[i]));
    }
    const cg_expression *beta1 = cg_expression_first(cg_argument_value(arguments, "betas"));
    const cg_expression *beta2 = cg_expression_next(beta1);
    if (!(beta1->real >= 0 && beta1->real < 1 && beta2->real >= 0 && beta2->real < 1)) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: betas is (%g, %g), expected at least 0 and below 1",
                       optimizer->class->name, beta1->real, beta2->real);
    }
    return CG_OK;
}

static cg_status create(cg_optimizer *optimizer, const cg_arguments *arguments) {
    CG_TRY(check(optimizer, arguments));
    const cg_expression *beta1 = cg_expression_first(cg_argument_value(arguments, "betas"));
    optimizer->attrs.adam = (cg_adam_attrs){
        .size = sizeof(cg_adam_attrs),
        .decoupled = optimizer->class == &cg_adamw_class,
        .beta1 = beta1->real,
        .beta2 = cg_expression_next(beta1)->real,
        .eps = cg_argument_real(arguments, "eps"),
        .weight_decay = cg_argument_real(arguments, "weight_decay"),
    };
    optimizer->n_states = 2;
    return CG_OK;
}

/* The corrections of the moments' bias, which depend on the step. */
static void hyper(const cg_optimizer *optimizer, double *values) {
    double step = (double)optimizer->steps + 1.0;
    values[0] = optimizer->lr;
    values[1] = 1.0 - pow(optimizer->attrs.adam.beta1, step);
    values[2] = sqrt(1.0 - pow(optimizer->attrs.adam.beta2, step));
}

/* The two differ in one default. */
#define SIGNATURE(weight_decay)                                                                                        \
    "lr: float = 0.001, betas: (float, float) = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = " weight_decay  \
    ", amsgrad: later = False, maximize: later = False, foreach: later = None, capturable: later = False, "            \
    "differentiable: later = False, fused: later = None"

const cg_optimizer_class cg_adam_class = {
    .name = "Adam",
    .signature = SIGNATURE("0"),
    .op = CG_OP_ADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq"},
    .n_hyper = 3,
    .create = create,
    .hyper = hyper,
};

const cg_optimizer_class cg_adamw_class = {
    .name = "AdamW",
    .signature = SIGNATURE("0.01"),
    .op = CG_OP_ADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq"},
    .n_hyper = 3,
    .create = create,
    .hyper = hyper,
};
