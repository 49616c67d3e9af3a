/*
 * How a front end puts an op on the tape, and how a backward rule puts gradients there. Used by src/ops and src/optim.
 *
 * A front end checks its arguments, makes its outputs with cg_tape_tensor and records one node. Its backward rule,
 * called with that node, emits ops for the inputs' gradients with cg_grad_emit or cg_grad_add.
 */
#ifndef CLGRAD_RECORD_H
#define CLGRAD_RECORD_H

#include <clgrad/tape.h>

typedef struct cg_node cg_node;
typedef void (*cg_backward_fn)(cg_tape *tape, const cg_node *node);

struct cg_node {
    const cg_op_kind *kind;  /* NULL: a view, nothing to run */
    const void *attrs;       /* kind->attrs_size bytes, the tape's */
    cg_backward_fn backward; /* NULL: no gradient flows through */
    uint32_t n_inputs, n_outputs;
    uint32_t accumulate;
    bool idle;                        /* nothing to run: its outputs are empty */
    size_t chain_first, chain_last;   /* while a list with chains runs: chain.h */
    cg_tensor *inputs[CG_MAX_INPUTS]; /* NULL: absent */
    cg_tensor *outputs[CG_MAX_OUTPUTS];
};

/* The record of a built-in kind; never NULL for a number of enum cg_op_number. */
const cg_op_kind *cg_kind(uint32_t number);

/* Fails the tape (the first failure sticks) and returns its poison tensor. */
cg_tensor *cg_tape_fail(cg_tape *tape, cg_status status, const char *format, ...) CG_PRINTF(3, 4);

/* Makes the failure that cg_error_message tells of the tape's own. */
cg_tensor *cg_tape_fail_status(cg_tape *tape, cg_status status);

/* True when the tape has not failed and all `count` tensors are there, whole and usable on it; else fails it, naming
 * `op`. */
bool cg_tape_accepts(cg_tape *tape, const char *op, cg_tensor *const *tensors, size_t count);

/* A new tensor between ops: memory comes when it is needed. The poison tensor on failure. */
cg_tensor *cg_tape_tensor(cg_tape *tape, cg_dtype dtype, const cg_shape *shape);

/* A new tensor that shares base's memory (contiguous, same number of elements), recorded with that backward rule. */
cg_tensor *cg_tape_view(cg_tape *tape, cg_tensor *base, const cg_shape *shape, cg_backward_fn backward);

/* Such a view that comes of other tensors than base (NULL ones are absent): the rule is for their gradients. */
cg_tensor *cg_tape_view_of(cg_tape *tape, cg_tensor *base, const cg_shape *shape, cg_tensor *const *inputs,
                           uint32_t n_inputs, cg_backward_fn backward);

/* The same without a gradient: what kernels want in another shape. */
cg_tensor *cg_tape_alias(cg_tape *tape, cg_tensor *base, const cg_shape *shape);

/* Records an op. attrs may be NULL for cg_no_attrs. An output requires a gradient when `backward` is given, the tape
 * records them and an input does. Does nothing on a failed tape. */
void cg_record(cg_tape *tape, uint32_t number, const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs,
               cg_tensor *const *outputs, uint32_t n_outputs, cg_backward_fn backward);

/* In a backward rule: the gradient of an output, NULL when nothing flowed into it. */
cg_tensor *cg_grad_of(cg_tape *tape, const cg_tensor *tensor);

/* In a backward rule: whether this input wants a gradient at all (NULL inputs do not). */
bool cg_grad_wanted(const cg_tape *tape, const cg_tensor *tensor);

/* Emits an op whose only output is a contribution to the gradient of `target`: it overwrites the first time and adds
 * after that. `shape` is the output's shape as the op sees it (as many elements as target); NULL: target's own. */
void cg_grad_emit(cg_tape *tape, cg_tensor *target, const cg_shape *shape, uint32_t number, const void *attrs,
                  cg_tensor *const *inputs, uint32_t n_inputs);

/* The same of an op with a gradient for each of some inputs, all of which want one (cg_grad_wanted). */
void cg_grad_emit_all(cg_tape *tape, cg_tensor *const *targets, const cg_shape *shapes, uint32_t count, uint32_t number,
                      const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs);

/* Adds a tensor that exists to the gradient of `target` (same number of elements). */
void cg_grad_add(cg_tape *tape, cg_tensor *target, cg_tensor *contribution);

/* Whether gradients are recorded. cg_tape_set_mode makes it so for training alone; gradients of a module in eval mode
 * are to be had all the same. */
void cg_tape_set_grad(cg_tape *tape, bool enabled);

/* For an op that draws random numbers: the tape's seed, the place of this draw in the step, and the tensor [1] of i64
 * that counts the steps: attributes stay the same from step to step, so the numbers come from there. */
cg_tensor *cg_tape_draw(cg_tape *tape, uint64_t *seed, uint64_t *stream);

/* Elements from the tensor's first to the end of its memory. */
size_t cg_record_room(const cg_tensor *tensor);

/* Whether two tensors have memory in common. */
bool cg_record_overlap(const cg_tensor *a, const cg_tensor *b);

/* Whether a gradient was recorded for this leaf since the last zero_grad. */
bool cg_tensor_has_grad(const cg_tensor *tensor);

/* Gives a tensor of the program's a gradient, as a backward would leave it; `count` values, one an element. */
cg_status cg_tensor_set_grad(cg_tensor *tensor, const float *values, int64_t count) CG_MUST_USE;

#endif
