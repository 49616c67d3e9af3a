/*
 * Normalization, random numbers and dropout. All rules of ops.h hold. Weights and biases may be NULL: 1 and 0.
 */
#ifndef CLGRAD_OPS_NORM_H
#define CLGRAD_OPS_NORM_H

#include <clgrad/op_kinds.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_batch_norm_options {
    cg_tensor *weight, *bias;              /* [channels] or NULL */
    cg_tensor *running_mean, *running_var; /* [channels], the caller's own; both NULL: none are kept */
    cg_tensor *num_batches; /* [] of i64, counts the batches of training; there when the running ones are */
    bool training;          /* normalize by the batch and update the running ones; else by these, if there are any */
    double momentum;        /* share of the batch in the running ones; below 0: the mean over all batches */
    double eps;
} cg_batch_norm_options;

/* x [n, channels, ...]: each channel to mean 0 and variance 1 over all other axes, times weight plus bias. The running
 * variance is that of a sample. Training needs more than one value a channel. torch.nn.functional.batch_norm. */
CG_API cg_tensor *cg_batch_norm(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options);

/* relu(batch_norm(x)), in one op where the batch is what normalizes: the same values, one pass over them less. */
CG_API cg_tensor *cg_batch_norm_relu(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options);

/* x [n, channels, ...]: each channel of each n to mean 0 and variance 1. Training moves the running ones, if there are
 * any, by `momentum` to the means over n; num_batches is not used. torch.nn.functional.instance_norm. */
CG_API cg_tensor *cg_instance_norm(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options);

/* The last `axes` axes of x to mean 0 and variance 1; weight and bias have their shape. */
CG_API cg_tensor *cg_layer_norm(cg_tape *tape, cg_tensor *x, int axes, cg_tensor *weight, cg_tensor *bias, double eps);

/* The last `axes` axes of x divided by the root of the mean of their squares. */
CG_API cg_tensor *cg_rms_norm(cg_tape *tape, cg_tensor *x, int axes, cg_tensor *weight, double eps);

/* x [n, channels, ...]: each of `groups` runs of channels of each n to mean 0 and variance 1; weight and bias
 * [channels]. As many groups as channels: instance norm. */
CG_API cg_tensor *cg_group_norm(cg_tape *tape, cg_tensor *x, int64_t groups, cg_tensor *weight, cg_tensor *bias,
                                double eps);

/* x / (k + alpha mean(x^2))^beta, the mean over `size` neighbouring channels of x [n, channels, ...], 0 beyond the
 * first and last. */
CG_API cg_tensor *cg_local_response_norm(cg_tape *tape, cg_tensor *x, int64_t size, double alpha, double beta,
                                         double k);

/* Random numbers of a step: by (the tape's seed, how many steps it has run, the place of the draw in the step). No
 * gradient. In the device's real data type; uniform in low .. high, and 1 with that probability, else 0, are the same
 * bits on every device. */
CG_API cg_tensor *cg_uniform(cg_tape *tape, const cg_shape *shape, double low, double high);
CG_API cg_tensor *cg_normal(cg_tape *tape, const cg_shape *shape, double mean, double std);
CG_API cg_tensor *cg_bernoulli(cg_tape *tape, const cg_shape *shape, double probability);

/* Each element 0 with probability p, else times 1 / (1 - p), whatever the tape's mode. The second: whole channels of
 * x [n, channels, ...] at once. */
CG_API cg_tensor *cg_dropout(cg_tape *tape, cg_tensor *x, double p);
CG_API cg_tensor *cg_feature_dropout(cg_tape *tape, cg_tensor *x, double p);

#ifdef __cplusplus
}
#endif
#endif
