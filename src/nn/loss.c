/* Losses: modules of two or three inputs, a row each, whose create takes the arguments that its signature has. */
#include <stdio.h>
#include <string.h>

#include <clgrad/losses.h>

#include "module.h"

typedef struct loss_state {
    cg_reduction reduction;
    bool batch_mean, log_target, log_input, full;
    double beta, delta, margin, eps;
    cg_tensor *weight, *pos_weight;   /* the module's buffers; NULL: none */
    cg_cross_entropy_options classes; /* of the losses of classes; its weight is the same */
} loss_state;

static double real_or_zero(const cg_arguments *arguments, const char *name) {
    return cg_argument_exists(arguments, name) ? cg_argument_real(arguments, name) : 0;
}

static bool true_if_given(const cg_arguments *arguments, const char *name) {
    return cg_argument_exists(arguments, name) && cg_argument_bool(arguments, name);
}

/* A tensor that the arguments give becomes a buffer, as in PyTorch. */
static cg_status add_buffer(cg_module *module, const cg_arguments *arguments, const char *name, cg_tensor **buffer) {
    if (cg_argument_exists(arguments, name) && !cg_argument_is_none(arguments, name)) {
        CG_TRY(cg_module_add_constant(module, name, cg_argument_value(arguments, name)));
    }
    *buffer = cg_module_own(module, name);
    return CG_OK;
}

static cg_status take_weights(cg_module *module, const cg_arguments *arguments, loss_state *state) {
    CG_TRY(add_buffer(module, arguments, "weight", &state->weight));
    CG_TRY(add_buffer(module, arguments, "pos_weight", &state->pos_weight));
    state->classes = (cg_cross_entropy_options){
        .weight = state->weight,
        .ignore_index = cg_argument_exists(arguments, "ignore_index") ? cg_argument_int(arguments, "ignore_index") : 0,
        .label_smoothing = real_or_zero(arguments, "label_smoothing"),
    };
    double smoothing = state->classes.label_smoothing;
    return smoothing >= 0 && smoothing <= 1
               ? CG_OK
               : cg_fail(CG_ERR_ARGUMENT, "%s: label_smoothing is %g, expected 0 to 1", module->class->name, smoothing);
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
    return take_weights(module, arguments, state);
}

/* A forward NAME of `tape`, the inputs x[] and the state s. */
#define FORWARD(name, call)                                                                                            \
    static cg_status name(cg_module *module, cg_tape *tape, cg_tensor *const *x, cg_tensor **outputs) {                \
        const loss_state *s = module->state;                                                                           \
        outputs[0] = call;                                                                                             \
        return CG_OK;                                                                                                  \
    }

FORWARD(mse, cg_mse_loss(tape, x[0], x[1], s->reduction))
FORWARD(cross_entropy, cg_cross_entropy_loss(tape, x[0], x[1], &s->classes, s->reduction))
FORWARD(nll, cg_nll_loss(tape, x[0], x[1], s->weight, s->classes.ignore_index, s->reduction))
FORWARD(l1, cg_l1_loss(tape, x[0], x[1], s->reduction))
FORWARD(smooth_l1, cg_smooth_l1_loss(tape, x[0], x[1], s->beta, s->reduction))
FORWARD(huber, cg_huber_loss(tape, x[0], x[1], s->delta, s->reduction))
FORWARD(kl_div, cg_kl_div_loss(tape, x[0], x[1], s->log_target, s->batch_mean, s->reduction))
FORWARD(poisson, cg_poisson_nll_loss(tape, x[0], x[1], s->log_input, s->full, s->eps, s->reduction))
FORWARD(gaussian, cg_gaussian_nll_loss(tape, x[0], x[1], x[2], s->full, s->eps, s->reduction))
FORWARD(hinge, cg_hinge_embedding_loss(tape, x[0], x[1], s->margin, s->reduction))
FORWARD(soft_margin, cg_soft_margin_loss(tape, x[0], x[1], s->reduction))
FORWARD(bce, cg_bce_loss(tape, x[0], x[1], s->weight, s->reduction))
FORWARD(bce_with_logits, cg_bce_with_logits_loss(tape, x[0], x[1], s->weight, s->pos_weight, s->reduction))
FORWARD(multilabel, cg_multilabel_soft_margin_loss(tape, x[0], x[1], s->weight, s->reduction))
FORWARD(cosine, cg_cosine_embedding_loss(tape, x[0], x[1], x[2], s->margin, s->reduction))

#define LOSS(text, arguments_text, inputs_text, count, function)                                                       \
    {                                                                                                                  \
        .name = text, .signature = arguments_text, .inputs = inputs_text, .n_inputs = count, .n_outputs = 1,           \
        .state_size = sizeof(loss_state), .create = create, .forward = function,                                       \
    }

/* size_average and reduce are PyTorch's old way to say reduction. */
#define OLD "size_average: later = None, reduce: later = None, "
#define REDUCTION "reduction: 'mean' | 'sum' | 'none' = 'mean'"
#define WEIGHT "weight: tensor | None = None, "
#define CLASSES WEIGHT "size_average: later = None, ignore_index: int = -100, reduce: later = None, " REDUCTION

const cg_module_class cg_loss_classes[] = {
    LOSS("MSELoss", REDUCTION, "input, target", 2, mse),
    LOSS("CrossEntropyLoss", CLASSES ", label_smoothing: float = 0.0", "input, target", 2, cross_entropy),
    LOSS("NLLLoss", CLASSES, "input, target", 2, nll),
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
    LOSS("BCELoss", WEIGHT OLD REDUCTION, "input, target", 2, bce),
    LOSS("BCEWithLogitsLoss", WEIGHT OLD REDUCTION ", pos_weight: tensor | None = None", "input, target", 2,
         bce_with_logits),
    LOSS("MultiLabelSoftMarginLoss", WEIGHT OLD REDUCTION, "input, target", 2, multilabel),
    LOSS("CosineEmbeddingLoss", "margin: float = 0.0, " OLD REDUCTION, "input1, input2, target", 3, cosine),
};
const size_t cg_loss_count = sizeof cg_loss_classes / sizeof *cg_loss_classes;

/* The loss of that name, made from C. */
static cg_status make(cg_device *device, const char *name, cg_reduction reduction, cg_module **module) {
    static const char *const names[] = {[CG_REDUCE_MEAN] = "mean", [CG_REDUCE_SUM] = "sum", [CG_REDUCE_NONE] = "none"};
    char text[64];
    *module = NULL;
    if (reduction < CG_REDUCE_MEAN || reduction > CG_REDUCE_NONE) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there is no reduction %d", name, (int)reduction);
    }
    snprintf(text, sizeof text, "%s(reduction='%s')", name, names[reduction]);
    return cg_module_parse(device, text, module);
}

cg_status cg_module_mse_loss(cg_device *device, cg_reduction reduction, cg_module **module) {
    return make(device, "MSELoss", reduction, module);
}

cg_status cg_module_cross_entropy_loss(cg_device *device, cg_reduction reduction, cg_module **module) {
    return make(device, "CrossEntropyLoss", reduction, module);
}
