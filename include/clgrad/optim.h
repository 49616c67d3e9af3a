/*
 * Optimizers, written as PyTorch writes them: "SGD(lr=0.01, momentum=0.9)", "Adam(lr=0.001)", "AdamW()".
 *
 * There are SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, NAdam and RAdam, with torch.optim's arguments, defaults and
 * names of states; and what it lacks:
 *   Lion(lr=0.0001, betas=(0.9, 0.99), weight_decay=0, maximize=False)    Chen et al. 2023
 *   LAMB(lr=0.001, bias_correction=True, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, maximize=False)    You et al.
 *     2020, algorithm 2: a parameter's step is as long as the parameter, times lr, where neither it nor the step is 0
 */
#ifndef CLGRAD_OPTIM_H
#define CLGRAD_OPTIM_H

#include <clgrad/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_optimizer cg_optimizer;

/* Makes an optimizer over a module's parameters, which must be resolved and must outlive it. Errors as cg_module_parse.
 */
CG_API cg_status cg_optimizer_parse(const char *text, cg_module *module, cg_optimizer **optimizer) CG_MUST_USE;

/* The same over a list of tensors; their names ("0", "1" ... where names is NULL) are those of the state. */
CG_API cg_status cg_optimizer_create(const char *text, cg_tensor *const *parameters, const char *const *names,
                                     size_t count, cg_optimizer **optimizer) CG_MUST_USE;

CG_API void cg_optimizer_destroy(cg_optimizer *optimizer);

/* Records the update of every parameter that has a gradient, and uses the gradients up: the next backward overwrites
 * them. To accumulate over several batches, call cg_backward several times before one step. */
CG_API cg_status cg_optimizer_step(cg_optimizer *optimizer, cg_tape *tape);

/*
 * Groups: parameters with arguments of their own. All begin in group 0, which has the optimizer's.
 *
 * cg_optimizer_add_group moves the parameters whose names match `pattern` to a new group, with the optimizer's
 * arguments but for those that `arguments` gives: cg_optimizer_add_group(optimizer, "*.bias", "weight_decay=0,
 * lr=0.1"). A later group takes from an earlier one. In a pattern * stands for any text and ? for any character. What
 * it moves begins with new state: groups are to be made before the first step, and before a checkpoint's state is
 * loaded. They are no part of cg_optimizer_print's text. Errors: CG_ERR_NAME when nothing matches, CG_ERR_STATE after
 * the first step, and those of cg_optimizer_parse. When memory runs out the optimizer can only be destroyed.
 */
CG_API cg_status cg_optimizer_add_group(cg_optimizer *optimizer, const char *pattern,
                                        const char *arguments) CG_MUST_USE;
CG_API size_t cg_optimizer_group_count(const cg_optimizer *optimizer);

/* The parameters in the order they were given, with their names and groups (either may be NULL). */
CG_API size_t cg_optimizer_parameter_count(const cg_optimizer *optimizer);
CG_API cg_tensor *cg_optimizer_parameter(const cg_optimizer *optimizer, size_t index, const char **name, size_t *group);

/* A group's learning rate and momentum, which is the first beta where there are two and 0 where there is neither; and
 * what they were when the group was made. A momentum above 0 gives SGD and RMSprop a momentum_buffer if they had none.
 * CG_ERR_ARGUMENT for a momentum that the optimizer would not take at its making, or that is not 0 where there is none.
 */
CG_API double cg_optimizer_group_lr(const cg_optimizer *optimizer, size_t group);
CG_API void cg_optimizer_set_group_lr(cg_optimizer *optimizer, size_t group, double lr);
CG_API double cg_optimizer_group_momentum(const cg_optimizer *optimizer, size_t group);
CG_API cg_status cg_optimizer_set_group_momentum(cg_optimizer *optimizer, size_t group, double momentum) CG_MUST_USE;
CG_API void cg_optimizer_group_initial(const cg_optimizer *optimizer, size_t group, double *lr, double *momentum);

/* Group 0's. */
CG_API double cg_optimizer_lr(const cg_optimizer *optimizer);
CG_API void cg_optimizer_set_lr(cg_optimizer *optimizer, double lr);

/* Steps taken so far. */
CG_API int64_t cg_optimizer_steps(const cg_optimizer *optimizer);
CG_API void cg_optimizer_set_steps(cg_optimizer *optimizer, int64_t steps);

/* State tensors by name: "0.weight.exp_avg". They belong to the optimizer. */
CG_API size_t cg_optimizer_state_count(const cg_optimizer *optimizer);
CG_API cg_tensor *cg_optimizer_state(const cg_optimizer *optimizer, size_t index, const char **name);

/* The text that cg_optimizer_parse reads, all arguments written out. Returns its length; cut to size. */
CG_API size_t cg_optimizer_print(const cg_optimizer *optimizer, char *text, size_t size);

/*
 * What is done to gradients between cg_backward and cg_optimizer_step. To accumulate over several batches, call
 * cg_backward for each, its loss divided by their number where the mean over all is wanted, then clip and step once.
 */

/* Freezes the parameters whose names match (patterns as of cg_optimizer_add_group), "layer1.*": backward computes no
 * gradient for them and no optimizer changes them; or, with frozen false, lets them go. Their gradients are forgotten.
 * CG_ERR_NAME when nothing matches. */
CG_API cg_status cg_module_freeze(cg_module *module, const char *pattern, bool frozen) CG_MUST_USE;

/* Multiplies all gradients by max_norm / (total + 1e-6) where that is below 1; total is the norm, of order 1, 2 or
 * INFINITY, of all of them as one vector. torch.nn.utils.clip_grad_norm_. Parameters without a gradient are passed
 * over. Nothing is read back, but with error_if_nonfinite, which fails the tape (CG_ERR_ARGUMENT) and leaves the
 * gradients where the norm is infinite or NaN. *total_norm (or NULL) gets the norm, a tensor of the tape's; NULL where
 * there was no gradient at all. */
CG_API cg_status cg_clip_grad_norm(cg_tape *tape, cg_tensor *const *parameters, size_t count, double max_norm,
                                   double norm_type, bool error_if_nonfinite, cg_tensor **total_norm) CG_MUST_USE;

/* Clamps all gradients to -clip_value..clip_value. torch.nn.utils.clip_grad_value_. */
CG_API cg_status cg_clip_grad_value(cg_tape *tape, cg_tensor *const *parameters, size_t count,
                                    double clip_value) CG_MUST_USE;

/* For gradients kept in f16 (cg_device_set_precision), which are too small for it unless the loss is multiplied by a
 * number, torch.amp.GradScaler's: divides them by that number, `scale` [], before anything else looks at them. Runs
 * what is recorded. *finite: false when one of them is not; all are as if there were none then, and the update is to be
 * left out. */
CG_API cg_status cg_unscale_grad(cg_tape *tape, cg_tensor *const *parameters, size_t count, cg_tensor *scale,
                                 bool *finite) CG_MUST_USE;

/*
 * Averages of weights, torch.optim.swa_utils.AveragedModel: "EMA(decay=0.999, use_buffers=False)", average = decay
 * average + (1 - decay) weight, and "SWA(use_buffers=False)", the mean of all updates. The first update copies. Buffers
 * that are counts are not averaged. The module must be resolved and outlive it.
 */
typedef struct cg_average cg_average;
CG_API cg_status cg_average_parse(const char *text, cg_module *module, cg_average **average) CG_MUST_USE;
CG_API void cg_average_destroy(cg_average *average);

/* Records the update by the weights as they will be then: to be called after cg_optimizer_step. */
CG_API cg_status cg_average_update(cg_average *average, cg_tape *tape) CG_MUST_USE;

/* Runs what is recorded and exchanges the module's weights and their averages: evaluate or save, then swap back. */
CG_API cg_status cg_average_swap(cg_average *average, cg_tape *tape) CG_MUST_USE;

/* Updates so far, and the averages by the names of the module's tensors: the state of a training. They belong to the
 * average. */
CG_API int64_t cg_average_updates(const cg_average *average);
CG_API void cg_average_set_updates(cg_average *average, int64_t updates);
CG_API size_t cg_average_count(const cg_average *average);
CG_API cg_tensor *cg_average_tensor(const cg_average *average, size_t index, const char **name);

#ifdef __cplusplus
}
#endif
#endif
