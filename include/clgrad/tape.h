/*
 * The tape: the execution context. It records ops, owns the tensors between them, and runs the list when a value is
 * read or the step ends; gradients are the list read backwards. Shapes and arguments are checked when an op is
 * recorded.
 *
 * The first error of a tape sticks: from then on every op returns a poison tensor and every call the same status, so
 * expressions nest and one check is enough. cg_tape_reset makes a failed tape usable again.
 */
#ifndef CLGRAD_TAPE_H
#define CLGRAD_TAPE_H

#include <clgrad/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_tape cg_tape;

typedef enum cg_mode {
    CG_EVAL = 0, /* no gradients are recorded; dropout and the like are off */
    CG_TRAIN = 1,
} cg_mode;

/* A tape on one device, in train mode; NULL when memory is out (cg_error_message). CLGRAD_EAGER=1 makes it run each op
 * at once; CLGRAD_PLAN names the passes over a list that are wanted: "memory" (places in one buffer), "chains" (of
 * elementwise ops), "memory,chains" (as without it), "none"; no device opens where it has another name. */
CG_API cg_tape *cg_tape_create(cg_device *device);

/* Begins the tape's random numbers anew: dropout and the like draw by (seed, steps run since, place in the step). A new
 * tape has seed 0. Resuming a training sets the steps it had run. */
CG_API void cg_tape_set_seed(cg_tape *tape, uint64_t seed, int64_t steps);

/* Drops what was not run. NULL does nothing. */
CG_API void cg_tape_destroy(cg_tape *tape);

CG_API void cg_tape_set_mode(cg_tape *tape, cg_mode mode);
CG_API cg_mode cg_tape_mode(const cg_tape *tape);
CG_API cg_device *cg_tape_device(const cg_tape *tape);

/* What is kept between the ops that are recorded from now on: CG_F32, CG_F16 or CG_BF16, at first the device's
 * (cg_device_set_precision). Returns what it was before. */
CG_API cg_dtype cg_tape_set_precision(cg_tape *tape, cg_dtype precision);

/* Records the gradients of `loss`, one element, with respect to every tensor that requires them. Those of tensors made
 * by cg_tensor_create are added to their gradient (the first after creation, cg_tensor_zero_grad or an optimizer's step
 * overwrites). */
CG_API cg_status cg_backward(cg_tape *tape, cg_tensor *loss);

/* The same for an output of any shape with its gradient given. */
CG_API cg_status cg_backward_from(cg_tape *tape, cg_tensor *output, cg_tensor *grad_output);

/* Runs what is recorded and forgets it: the tape's tensors are gone afterwards. Does not wait for the device. */
CG_API cg_status cg_tape_run(cg_tape *tape);

/* Runs what is recorded but keeps the tape's tensors. What cg_tensor_read does first. */
CG_API cg_status cg_tape_flush(cg_tape *tape);

/* An op that has just run. What is absent is NULL. */
typedef struct cg_ran_op {
    const char *name;
    size_t index; /* in the order of recording, as of cg_tape_length */
    cg_tensor *const *inputs, *const *outputs;
    size_t n_inputs, n_outputs;
} cg_ran_op;

/* Is called after each op that runs from now on, in order; it may read tensors, which have the values of that moment,
 * and must not record. A failure sticks to the tape. For finding out where something went wrong. NULL: nobody. */
typedef cg_status (*cg_tape_watcher)(void *context, const cg_ran_op *op);
CG_API void cg_tape_watch(cg_tape *tape, cg_tape_watcher watcher, void *context);

/* The index, as of cg_ran_op, of the last recorded op that writes to a tensor's memory; SIZE_MAX when none does. Behind
 * it a gradient is whole. */
CG_API size_t cg_tape_last_write(const cg_tape *tape, const cg_tensor *tensor);

/* Forgets what is recorded without running it, and the error. */
CG_API void cg_tape_reset(cg_tape *tape);

/* CG_OK, or the first error; cg_tape_error gives its message, "" if there is none. */
CG_API cg_status cg_tape_status(const cg_tape *tape);
CG_API const char *cg_tape_error(const cg_tape *tape);

/* For layers, which check before they record: fails the tape with the failure that cg_error_message tells of, and
 * returns the poison tensor. A tape that has failed keeps its status and takes the message: a layer's name in front. */
CG_API cg_tensor *cg_tape_blame(cg_tape *tape, cg_status status);

/* Ops recorded since the last run, and floating point operations among them (a multiply-add counts two): those of
 * matrix products and convolutions. */
CG_API size_t cg_tape_length(const cg_tape *tape);
CG_API double cg_tape_flops(const cg_tape *tape);

/* How many of the recorded ops have run already: since a value was read, or all with CLGRAD_EAGER=1. */
CG_API size_t cg_tape_ran(const cg_tape *tape);

#ifdef __cplusplus
}
#endif
#endif
