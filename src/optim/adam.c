/*
 * Adam (Kingma and Ba 2015) and what came of it: AdamW (Loshchilov and Hutter 2019), NAdam (Dozat 2016), RAdam (Liu et
 * al. 2020), as torch.optim has them; Lion (Chen et al. 2023) and LAMB (You et al. 2020, algorithm 2), which it lacks.
 */
#include <math.h>

#include "optimizer.h"

/* The weights of a new gradient in both moments. */
static void moments(const cg_settings *s, double *hyper) {
    hyper[4] = 1.0 - s->momentum;
    hyper[5] = s->beta2;
    hyper[6] = 1.0 - s->beta2;
}

/* What a moment lacks after so many steps: 1 - beta^step. */
static double correction(double beta, double step) {
    return 1.0 - pow(beta, step);
}

static bool adam_has(const cg_settings *s, size_t state) {
    return state < 2 || s->amsgrad;
}

static void adam_numbers(const cg_settings *s, double step, double *hyper) {
    moments(s, hyper);
    hyper[7] = s->lr / correction(s->momentum, step);
    hyper[8] = sqrt(correction(s->beta2, step));
    hyper[9] = s->eps;
}

#define BETAS(beta1, beta2) "betas: (float, float) = (" beta1 ", " beta2 ")"
#define LATER "foreach: later = None, capturable: later = False, differentiable: later = False"

const cg_optimizer_class cg_adam_class = {
    .name = "Adam",
    .signature = "lr: float = 0.001, " BETAS(
        "0.9", "0.999") ", eps: float = 1e-8, weight_decay: float = 0, "
                        "amsgrad: bool = False, maximize: bool = False, decoupled_weight_decay: bool = False, " LATER
                        ", fused: later = None",
    .op = CG_OP_ADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .has = adam_has,
    .numbers = adam_numbers,
};

const cg_optimizer_class cg_adamw_class = {
    .name = "AdamW",
    .signature = "lr: float = 0.001, " BETAS("0.9", "0.999") ", eps: float = 1e-8, weight_decay: float = 0.01, "
                                                             "amsgrad: bool = False, maximize: bool = False, " LATER
                                                             ", fused: later = None",
    .op = CG_OP_ADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .decoupled = true,
    .has = adam_has,
    .numbers = adam_numbers,
};

static double nadam_momentum(const cg_settings *s, double step) {
    return s->momentum * (1.0 - 0.5 * pow(0.96, step * s->momentum_decay));
}

static void nadam_numbers(const cg_settings *s, double step, double *hyper) {
    double now = nadam_momentum(s, step), next = nadam_momentum(s, step + 1.0);
    double product = hyper[CG_HYPER_PRODUCT] * now;
    moments(s, hyper);
    hyper[7] = correction(s->beta2, step);
    hyper[8] = s->eps;
    hyper[9] = s->lr * (1.0 - now) / (1.0 - product);
    hyper[10] = s->lr * next / (1.0 - product * next);
    hyper[CG_HYPER_PRODUCT] = product;
}

const cg_optimizer_class cg_nadam_class = {
    .name = "NAdam",
    .signature = "lr: float = 0.002, " BETAS(
        "0.9",
        "0.999") ", eps: float = 1e-8, weight_decay: float = 0, "
                 "momentum_decay: float = 0.004, decoupled_weight_decay: bool = False, maximize: bool = False, " LATER,
    .op = CG_OP_NADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq"},
    .keeps_product = true,
    .numbers = nadam_numbers,
};

static void radam_numbers(const cg_settings *s, double step, double *hyper) {
    double known = correction(s->beta2, step), most = 2.0 / (1.0 - s->beta2) - 1.0;
    double length = most - 2.0 * step * pow(s->beta2, step) / known; /* of the average that the variance is */
    double rectified = (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length);
    moments(s, hyper);
    hyper[7] = s->lr / correction(s->momentum, step);
    hyper[8] = length > 5.0 ? sqrt(rectified * known) : 0.0;
    hyper[9] = s->eps;
}

const cg_optimizer_class cg_radam_class = {
    .name = "RAdam",
    .signature = "lr: float = 0.001, " BETAS(
        "0.9", "0.999") ", eps: float = 1e-8, weight_decay: float = 0, "
                        "decoupled_weight_decay: bool = False, maximize: bool = False, " LATER,
    .op = CG_OP_RADAM_STEP,
    .states = {"exp_avg", "exp_avg_sq"},
    .numbers = radam_numbers,
};

static void lion_numbers(const cg_settings *s, double step, double *hyper) {
    (void)step;
    hyper[4] = 1.0 - s->momentum;
    hyper[5] = 1.0 - s->beta2;
}

const cg_optimizer_class cg_lion_class = {
    .name = "Lion",
    .signature = "lr: float = 0.0001, " BETAS("0.9", "0.99") ", weight_decay: float = 0, maximize: bool = False",
    .op = CG_OP_LION_STEP,
    .states = {"exp_avg"},
    .decoupled = true,
    .numbers = lion_numbers,
};

static void lamb_numbers(const cg_settings *s, double step, double *hyper) {
    moments(s, hyper);
    hyper[7] = s->bias_correction ? correction(s->momentum, step) : 1.0;
    hyper[8] = s->bias_correction ? sqrt(correction(s->beta2, step)) : 1.0;
    hyper[9] = s->eps;
    hyper[10] = s->weight_decay;
    hyper[CG_HYPER_SHRINK] = 1.0; /* the decay is a part of the direction */
}

const cg_optimizer_class cg_lamb_class = {
    .name = "LAMB",
    .signature = "lr: float = 0.001, bias_correction: bool = True, " BETAS(
        "0.9", "0.999") ", eps: float = 1e-6, weight_decay: float = 0.01, maximize: bool = False",
    .op = CG_OP_LAMB_DIRECTION,
    .states = {"exp_avg", "exp_avg_sq"},
    .decoupled = true,
    .keeps_direction = true,
    .numbers = lamb_numbers,
};
