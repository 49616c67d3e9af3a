/* The losses of losses.h as modules: a row each, whose create takes the arguments that its signature has. */
#include <string.h>

#include <clgrad/losses.h>

#include "module.h"

typedef struct loss_state {
    cg_reduction reduction;
    bool batch_mean, log_target, log_input, full;
    double beta, delta, margin, eps;
} loss_state;

static double real_or_zero(const cg_arguments *arguments, const char *name) {
    return cg_argument_exists(arguments, name) ? cg_argument_real(arguments, name) : 0;
}

static bool true_if_given(const cg_arguments *arguments, const char *name) {
    return cg_argument_exists(arguments, name) && cg_argument_bool(arguments, name);
}

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    const char *reduction = cg_argument_text(arguments, "reduction");
    loss_state *state = module->state;
    *state = (loss_state){
        .reduction = strcmp(reduction, "none") == 0  ? CG_REDUCE_NONE
                     : strcmp(reduction, "sum") == 0 ? CG_REDUCE_SUM
                                                     : CG_REDUCE_MEAN,
        .batch_mean = strcmp(reduction, "batchmean") == 0,
        .log_target = true_if_given(arguments, "log_target"),
        .log_input = true_if_given(arguments, "log_input"),
        .full = true_if_given(arguments, "full"),
        .beta = real_or_zero(arguments, "beta"),
        .delta = real_or_zero(arguments, "delta"),
        .margin = real_or_zero(arguments, "margin"),
        .eps = real_or_zero(arguments, "eps"),
    };
    return CG_OK;
}

/* A forward NAME of `tape`, the inputs x[] and the state s. */
#define FORWARD(name, call)                                                                                            \
    static cg_status name(cg_module *module, cg_tape *tape, cg_tensor *const *x, cg_tensor **outputs) {                \
        const loss_state *s = module->state;                                                                           \
        outputs[0] = call;                                                                                             \
        return CG_OK;                                                                                                  \
    }

FORWARD(l1, cg_l1_loss(tape, x[0], x[1], s->reduction))
FORWARD(smooth_l1, cg_smooth_l1_loss(tape, x[0], x[1], s->beta, s->reduction))
FORWARD(huber, cg_huber_loss(tape, x[0], x[1], s->delta, s->reduction))
FORWARD(kl_div, cg_kl_div_loss(tape, x[0], x[1], s->log_target, s->batch_mean, s->reduction))
FORWARD(poisson, cg_poisson_nll_loss(tape, x[0], x[1], s->log_input, s->full, s->eps, s->reduction))
FORWARD(gaussian, cg_gaussian_nll_loss(tape, x[0], x[1], x[2], s->full, s->eps, s->reduction))
FORWARD(hinge, cg_hinge_embedding_loss(tape, x[0], x[1], s->margin, s->reduction))
FORWARD(soft_margin, cg_soft_margin_loss(tape, x[0], x[1], s->reduction))
FORWARD(bce_with_logits, cg_bce_with_logits_loss(tape, x[0], x[1], s->reduction))
FORWARD(multilabel, cg_multilabel_soft_margin_loss(tape, x[0], x[1], s->reduction))
FORWARD(cosine, cg_cosine_embedding_loss(tape, x[0], x[1], x[2], s->margin, s->reduction))

#define LOSS(text, arguments_text, inputs_text, count, function)                                                       \
    {                                                                                                                  \
        .name = text, .signature = arguments_text, .inputs = inputs_text, .n_inputs = count, .n_outputs = 1,           \
        .state_size = sizeof(loss_state), .create = create, .forward = function,                                       \
    }

/* size_average and reduce are PyTorch's old way to say reduction. */
#define OLD "size_average: later = None, reduce: later = None, "
#define REDUCTION "reduction: 'mean' | 'sum' | 'none' = 'mean'"

const cg_module_class cg_pointwise_loss_classes[] = {
    LOSS("L1Loss", OLD REDUCTION, "input, target", 2, l1),
    LOSS("SmoothL1Loss", OLD REDUCTION ", beta: float = 1.0", "input, target", 2, smooth_l1),
    LOSS("HuberLoss", REDUCTION ", delta: float = 1.0", "input, target", 2, huber),
    LOSS("KLDivLoss", OLD "reduction: 'mean' | 'batchmean' | 'sum' | 'none' = 'mean', log_target: bool = False",
         "input, target", 2, kl_div),
    LOSS("PoissonNLLLoss",
         "log_input: bool = True, full: bool = False, size_average: later = None, eps: float = 1e-08, "
         "reduce: later = None, " REDUCTION,
         "input, target", 2, poisson),
    LOSS("GaussianNLLLoss", "full: bool = False, eps: float = 1e-06, " REDUCTION, "input, target, var", 3, gaussian),
    LOSS("HingeEmbeddingLoss", "margin: float = 1.0, " OLD REDUCTION, "input, target", 2, hinge),
    LOSS("SoftMarginLoss", OLD REDUCTION, "input, target", 2, soft_margin),
    LOSS("BCEWithLogitsLoss",
         "weight: later = None, size_average: later = None, reduce: later = None, " REDUCTION
         ", pos_weight: later = None",
         "input, target", 2, bce_with_logits),
    LOSS("MultiLabelSoftMarginLoss", "weight: later = None, " OLD REDUCTION, "input, target", 2, multilabel),
    LOSS("CosineEmbeddingLoss", "margin: float = 0.0, " OLD REDUCTION, "input1, input2, target", 3, cosine),
};
const size_t cg_pointwise_loss_count = sizeof cg_pointwise_loss_classes / sizeof *cg_pointwise_loss_classes;
