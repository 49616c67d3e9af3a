/* torch.optim's SGD, RMSprop (Hinton 2012), Adagrad (Duchi et al. 2011) and Adadelta (Zeiler 2012). */
#include "optimizer.h"

static cg_status sgd_check(const cg_settings *s) {
    if (s->nesterov && !(s->momentum > 0 && s->dampening == 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "SGD: nesterov needs a momentum above 0 and a dampening of 0, given %g and %g",
                       s->momentum, s->dampening);
    }
    return CG_OK;
}

static bool sgd_has(const cg_settings *s, size_t state) {
    (void)state;
    return s->momentum != 0;
}

static void sgd_numbers(const cg_settings *s, double step, double *hyper) {
    hyper[4] = s->momentum;
    hyper[5] = 1.0 - s->dampening;
    hyper[6] = step == 1.0;
    hyper[7] = s->nesterov;
}

const cg_optimizer_class cg_sgd_class = {
    .name = "SGD",
    .signature =
        "lr: float = 0.001, momentum: float = 0, dampening: float = 0, weight_decay: float = 0, "
        "nesterov: bool = False, maximize: bool = False, foreach: later = None, differentiable: later = False, "
        "fused: later = None",
    .op = CG_OP_SGD_STEP,
    .states = {"momentum_buffer"},
    .check = sgd_check,
    .has = sgd_has,
    .numbers = sgd_numbers,
};

static bool rmsprop_has(const cg_settings *s, size_t state) {
    const bool has[] = {true, s->centered, s->momentum > 0};
    return has[state];
}

static void rmsprop_numbers(const cg_settings *s, double step, double *hyper) {
    (void)step;
    hyper[4] = s->alpha;
    hyper[5] = 1.0 - s->alpha;
    hyper[6] = s->eps;
    hyper[7] = s->momentum;
}

const cg_optimizer_class cg_rmsprop_class = {
    .name = "RMSprop",
    .signature = "lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0, "
                 "momentum: float = 0, centered: bool = False, capturable: later = False, foreach: later = None, "
                 "maximize: bool = False, differentiable: later = False",
    .op = CG_OP_RMSPROP_STEP,
    .states = {"square_avg", "grad_avg", "momentum_buffer"},
    .has = rmsprop_has,
    .numbers = rmsprop_numbers,
};

static void adagrad_numbers(const cg_settings *s, double step, double *hyper) {
    hyper[4] = s->lr / (1.0 + (step - 1.0) * s->lr_decay);
    hyper[5] = s->eps;
}

const cg_optimizer_class cg_adagrad_class = {
    .name = "Adagrad",
    .signature = "lr: float = 0.01, lr_decay: float = 0, weight_decay: float = 0, "
                 "initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: later = None, "
                 "maximize: bool = False, differentiable: later = False, fused: later = None",
    .op = CG_OP_ADAGRAD_STEP,
    .states = {"sum"},
    .numbers = adagrad_numbers,
};

static void adadelta_numbers(const cg_settings *s, double step, double *hyper) {
    (void)step;
    hyper[4] = s->rho;
    hyper[5] = 1.0 - s->rho;
    hyper[6] = s->eps;
}

const cg_optimizer_class cg_adadelta_class = {
    .name = "Adadelta",
    .signature = "lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0, "
                 "foreach: later = None, capturable: later = False, maximize: bool = False, "
                 "differentiable: later = False",
    .op = CG_OP_ADADELTA_STEP,
    .states = {"square_avg", "acc_delta"},
    .numbers = adadelta_numbers,
};
