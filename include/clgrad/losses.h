/*
 * Losses: torch.nn.functional's, by name, arguments and defaults. Element by element, input and target have equal
 * shapes unless it says otherwise (nothing is broadcast: [n, 1] against [n] is an error, never [n, n]). The result is a
 * scalar, the mean or the sum over all elements, or what is said for CG_REDUCE_NONE. Both sides get a gradient where
 * they want one; a weight is a constant of the input's dtype. cg_cross_entropy and cg_mse_loss stand in ops.h.
 */
#ifndef CLGRAD_LOSSES_H
#define CLGRAD_LOSSES_H

#include <clgrad/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Losses of classes. The input is [classes], [n, classes] or [n, classes, d1, ...], the target [], [n] or [n, d1, ...]:
 * a class each, i64 or i32, without a gradient; so is the loss with CG_REDUCE_NONE. A class out of range reads nothing
 * outside and is CG_ERR_INDEX, with its place, at the next read or wait.
 *
 * l[i] = -weight[target[i]] input[i, target[i]], and 0 where target[i] is ignore_index, which need not be a class. The
 * weight, [classes] or NULL, is 1 where there is none. CG_REDUCE_MEAN divides the sum by that of weight[target[i]] over
 * what is not ignored: NaN where nothing is left. The input has logarithms of probabilities.
 */
CG_API cg_tensor *cg_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                              int64_t ignore_index, cg_reduction reduction);

typedef struct cg_cross_entropy_options {
    cg_tensor *weight;      /* [classes]; NULL: 1 */
    int64_t ignore_index;   /* what does not count; negative where the target has probabilities */
    double label_smoothing; /* 0 to 1: the share of the target that is spread evenly over all classes */
} cg_cross_entropy_options;

#define CG_CROSS_ENTROPY_DEFAULTS ((cg_cross_entropy_options){NULL, -100, 0.0})

/*
 * cg_nll_loss of log_softmax(input) over the classes, with s = label_smoothing: (1 - s) of that, and s / classes times
 * -sum(weight[c] log_softmax(input)[i, c]), 0 where ignored, with the same divisor. Rows without smoothing are one op.
 *
 * A target of the input's shape and dtype has a probability for every class: -sum(weight[c] t[i, c]
 * log_softmax(input)[i, c]), t = (1 - s) target + s / classes, and the mean is over the rows. It may get a gradient.
 * `options` NULL: the defaults. torch.nn.functional.cross_entropy.
 */
CG_API cg_tensor *cg_cross_entropy_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target,
                                        const cg_cross_entropy_options *options, cg_reduction reduction);

/* |input - target| */
CG_API cg_tensor *cg_l1_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction);

/* d = |input - target|: d^2 / 2 up to delta, then delta (d - delta / 2). delta > 0. */
CG_API cg_tensor *cg_huber_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double delta,
                                cg_reduction reduction);

/* The same divided by beta, which may be 0: then it is cg_l1_loss. */
CG_API cg_tensor *cg_smooth_l1_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double beta,
                                    cg_reduction reduction);

/* target (log(target) - input), with 0 log 0 = 0; or, where the target is a logarithm, exp(target) (target - input).
 * input is a logarithm of probabilities. batch_mean: the sum divided by the first dimension, in place of `reduction`.
 */
CG_API cg_tensor *cg_kl_div_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, bool log_target, bool batch_mean,
                                 cg_reduction reduction);

/* exp(input) - target input, or, without log_input, input - target log(input + eps). full adds Stirling's approximation
 * of log(target!) where the target is above 1. */
CG_API cg_tensor *cg_poisson_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, bool log_input, bool full,
                                      double eps, cg_reduction reduction);

/* (log(v) + (input - target)^2 / v) / 2 with v = max(variance, eps); full adds log(2 pi) / 2. variance has input's
 * shape, or 1 for its last axis, or lacks that axis. */
CG_API cg_tensor *cg_gaussian_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *variance,
                                       bool full, double eps, cg_reduction reduction);

/* Targets are 1 or -1. hinge: input, or max(0, margin - input) where the target is -1. soft margin: log(1 + exp(-target
 * input)). */
CG_API cg_tensor *cg_hinge_embedding_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, double margin,
                                          cg_reduction reduction);
CG_API cg_tensor *cg_soft_margin_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction);

/* Binary cross-entropy. A weight, or NULL for 1, is a factor of each element: any shape that broadcasts to the input's.
 *
 * bce: -(target max(log(input), -100) + (1 - target) max(log(1 - input), -100)), the input 0 to 1 (NaN beyond); its
 * gradient is (input - target) / max(input (1 - input), 1e-12), as PyTorch has it.
 * with logits: -(pos_weight target log(sigmoid(input)) + (1 - target) log(1 - sigmoid(input))), in a form that no input
 * overflows; pos_weight, broadcast as well, or NULL.
 * multi-label: the same without pos_weight, and the mean over the last axis first; CG_REDUCE_NONE leaves the others. */
CG_API cg_tensor *cg_bce_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                              cg_reduction reduction);
CG_API cg_tensor *cg_bce_with_logits_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                                          cg_tensor *pos_weight, cg_reduction reduction);
CG_API cg_tensor *cg_multilabel_soft_margin_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight,
                                                 cg_reduction reduction);

/* 1 - cos, or max(0, cos - margin) where the target is -1, of the rows of a and b [n, d], or of two vectors [d]; target
 * [n] or a scalar. */
CG_API cg_tensor *cg_cosine_embedding_loss(cg_tape *tape, cg_tensor *a, cg_tensor *b, cg_tensor *target, double margin,
                                           cg_reduction reduction);

#ifdef __cplusplus
}
#endif
#endif
