/* Optimizers, written as PyTorch writes them: "SGD(lr=0.01, momentum=0.9)", "Adam(lr=0.001)", "AdamW()". */
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

#ifdef __cplusplus
}
#endif
#endif
