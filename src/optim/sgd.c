/* Stochastic gradient descent with momentum: torch.optim.SGD. */
#include "optimizer.h"

static cg_status create(cg_optimizer *optimizer, const cg_arguments *arguments) {
    static const char *const checked[] = {"lr", "momentum", "weight_decay"};
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        CG_TRY(cg_optimizer_not_negative(arguments, checked[i]));
    }
    cg_sgd_attrs *attrs = &optimizer->attrs.sgd;
    *attrs = (cg_sgd_attrs){
        .size = sizeof *attrs,
        .nesterov = cg_argument_bool(arguments, "nesterov"),
        .momentum = cg_argument_real(arguments, "momentum"),
        .dampening = cg_argument_real(arguments, "dampening"),
        .weight_decay = cg_argument_real(arguments, "weight_decay"),
    };
    if (attrs->nesterov && !(attrs->momentum > 0 && attrs->dampening == 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "SGD: nesterov needs a momentum above 0 and a dampening of 0, given %g and %g",
                       attrs->momentum, attrs->dampening);
    }
    optimizer->n_states = attrs->momentum != 0 ? 1 : 0;
    return CG_OK;
}

/* The very first step starts the momentum with the gradient itself. */
static void hyper(const cg_optimizer *optimizer, double *values) {
    values[0] = optimizer->lr;
    values[1] = optimizer->steps == 0 ? 1.0 : 0.0;
}

const cg_optimizer_class cg_sgd_class = {
    .name = "SGD",
    .signature =
        "lr: float = 0.001, momentum: float = 0, dampening: float = 0, weight_decay: float = 0, "
        "nesterov: bool = False, maximize: later = False, foreach: later = None, differentiable: later = False, "
        "fused: later = None",
    .op = CG_OP_SGD_STEP,
    .states = {"momentum_buffer"},
    .n_hyper = 2,
    .create = create,
    .hyper = hyper,
};
