/*
 * Ops of a program's own. A program registers a kind of op: its name, the plain loops that define it, the rule of its
 * gradient, and, if it has one, an OpenCL kernel. From then on the op is like a built-in one: it is recorded on any
 * tape, runs on every device (where there is no kernel for it, on the CPU, counted with the reason), and check: and the
 * gradient checker take it. docs/own-op.md walks through docs/examples/outside/own_op.c.
 */
#ifndef CLGRAD_CUSTOM_H
#define CLGRAD_CUSTOM_H

#include <clgrad/op_kinds.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One recorded op, as a backward rule sees it. */
typedef struct cg_node cg_recorded_op;

/* A backward rule: called while gradients are recorded, after every op that uses the outputs. It records ops that
 * contribute to the gradients of the inputs, by cg_op_grad_emit or cg_op_grad_add. */
typedef void (*cg_op_backward_fn)(cg_tape *tape, const cg_recorded_op *op);

/* A kind. Texts are copied. */
typedef struct cg_op_definition {
    uint32_t size;                   /* sizeof(cg_op_definition) */
    const char *name;                /* small letters, digits and _; nobody else's */
    uint32_t min_inputs, max_inputs; /* at most CG_MAX_INPUTS; those behind min_inputs may be NULL or left out */
    uint32_t outputs;                /* 1 to CG_MAX_OUTPUTS */
    uint32_t attrs_size;             /* bytes of the attributes, a struct that begins with uint32_t size; 0: none */
    uint32_t flags;                  /* CG_KIND_ACCUMULATES: heeds op->accumulate, which spares a copy of gradients */
    /* Required. The op over host memory in float and in double (buffers are pointers): double is what all devices are
     * compared with. May fail with CG_ERR_INDEX, through cg_fail. Any thread may call them. */
    cg_reference_fn reference_f32, reference_f64;
    cg_op_backward_fn backward; /* NULL: no gradient flows through */
    /* Optional: OpenCL C 1.2 with a kernel of the op's name, for f32 operands, at most 8. Its arguments: for each
     * input, then each output, `global const float *` (an output without const) and `ulong`, the first element; `ulong`
     * elements of output 0; `int` accumulate; the attributes by value where there are any. It is started with at least
     * one item for each element of output 0, in work-groups of 64: items behind the end must do nothing. NULL: OpenCL
     * devices fall back. */
    const char *opencl_source;
} cg_op_definition;

/* Registers a kind and gives its number, for this process. It cannot be taken back. CG_ERR_ARGUMENT for a definition
 * that is not one, CG_ERR_NAME for a name that is taken. Any thread. */
CG_API cg_status cg_op_register(const cg_op_definition *definition, uint32_t *number) CG_MUST_USE;

/* Records an op of a registered kind: what its front end does once it has checked shapes. Outputs are new tensors of
 * these shapes, of the device's real dtype (cg_device_real), and stand in `outputs` (NULL: not wanted); the first is
 * returned. attrs: NULL where there are none; copied, and the size in front is filled in. On a failed tape, or with
 * inputs that are not usable, poison tensors. */
CG_API cg_tensor *cg_op_record(cg_tape *tape, uint32_t number, const void *attrs, cg_tensor *const *inputs,
                               uint32_t n_inputs, const cg_shape *shapes, cg_tensor **outputs);

/* For front ends: fails the tape and returns its poison tensor. */
CG_API cg_tensor *cg_op_fail(cg_tape *tape, cg_status status, const char *format, ...) CG_PRINTF(3, 4);

/* What was recorded; NULL for an input that is absent or an index that is none. */
CG_API const void *cg_op_attrs(const cg_recorded_op *op);
CG_API cg_tensor *cg_op_input(const cg_recorded_op *op, uint32_t i);
CG_API cg_tensor *cg_op_output(const cg_recorded_op *op, uint32_t i);

/* The gradient that has come to output i; NULL when none has. Whether input i wants one. */
CG_API cg_tensor *cg_op_grad_output(cg_tape *tape, const cg_recorded_op *op, uint32_t i);
CG_API bool cg_op_grad_wanted(cg_tape *tape, const cg_recorded_op *op, uint32_t i);

/* Records an op of any kind with one output, built-in or registered, whose output is a contribution to the gradient of
 * input i. Does nothing when that wants none. */
CG_API void cg_op_grad_emit(cg_tape *tape, const cg_recorded_op *op, uint32_t i, uint32_t number, const void *attrs,
                            cg_tensor *const *inputs, uint32_t n_inputs);

/* Adds a tensor, made by ops in the rule, to the gradient of input i, which has as many elements. */
CG_API void cg_op_grad_add(cg_tape *tape, const cg_recorded_op *op, uint32_t i, cg_tensor *contribution);

/* Builds an output from inputs on a tape: what is to be checked. */
typedef cg_tensor *(*cg_gradcheck_fn)(cg_tape *tape, cg_tensor **inputs, const void *context);

/* Checks the gradient of what `build` builds, for inputs of these shapes (at most 6) with seeded normal values: on the
 * reference in double against central differences, every element; on the device outputs and gradients against the
 * reference in double; on the device against its own differences. CG_ERR_STATE with a message that names the proof, the
 * largest errors and the place when it is wrong. */
CG_API cg_status cg_gradcheck(const char *name, cg_device *device, cg_gradcheck_fn build, const void *context,
                              const cg_shape *shapes, uint32_t n_inputs) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
