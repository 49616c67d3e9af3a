/*
 * Losses of an input and a target, element by element: torch.nn.functional's, by name, arguments and defaults. Input
 * and target have equal shapes unless it says otherwise (nothing is broadcast: [n, 1] against [n] is an error, never
 * [n, n]). The result is a scalar, the mean or the sum over all elements, or what is said for CG_REDUCE_NONE. Both
 * sides get a gradient where they want one. cg_cross_entropy and cg_mse_loss stand in ops.h.
 */
#ifndef CLGRAD_LOSSES_H
#define CLGRAD_LOSSES_H

#include <clgrad/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/* -(target log(sigmoid(input)) + (1 - target) log(1 - sigmoid(input))), in a form that no input overflows.
 * multi-label: the mean over the last axis first; CG_REDUCE_NONE leaves the other axes. */
CG_API cg_tensor *cg_bce_with_logits_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction);
CG_API cg_tensor *cg_multilabel_soft_margin_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target,
                                                 cg_reduction reduction);

/* 1 - cos, or max(0, cos - margin) where the target is -1, of the rows of a and b [n, d], or of two vectors [d]; target
 * [n] or a scalar. */
CG_API cg_tensor *cg_cosine_embedding_loss(cg_tape *tape, cg_tensor *a, cg_tensor *b, cg_tensor *target, double margin,
                                           cg_reduction reduction);

#ifdef __cplusplus
}
#endif
#endif
