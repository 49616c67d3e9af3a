/*
 * The learning-rate finder (Smith 2017, as fast.ai does it): a short training whose rate grows from step to step by the
 * same factor. While it is too small the loss stays, then it falls, then it bursts; a good rate is where it falls
 * fastest.
 */
#ifndef CLGRAD_FIND_LR_H
#define CLGRAD_FIND_LR_H

#include <clgrad/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_find_lr_options {
    double start_lr, end_lr; /* 0: 1e-7 and 10, fast.ai's */
    int64_t steps;           /* 0: 100 */
} cg_find_lr_options;

typedef struct cg_lr_point {
    double lr, loss, smooth; /* smooth: the running mean of losses, decay 0.98, unbiased */
} cg_lr_point;

/* Trains with growing rates and puts everything back as it was: weights, buffers, optimizer. Of `options` batch,
 * accumulation, clipping, seed and order count. `points` has room for `find->steps`; *count gets how many there are: it
 * ends early where the smooth loss is over 4 times its lowest, or not a number. *suggestion: where the smooth loss
 * falls fastest over the logarithm of the rate, the first tenth and the last 5 points left out; NAN where it does not
 * fall by a twentieth in all. Groups keep the ratio of their rates. Errors: CG_ERR_ARGUMENT, and those of
 * cg_trainer_create. */
CG_API cg_status cg_find_lr(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                            const cg_train_options *options, const cg_find_lr_options *find, cg_lr_point *points,
                            size_t *count, double *suggestion) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
