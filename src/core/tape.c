/* The tape: recording. */
#include "tape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "chain.h"
#include "half.h"
#include "op_text.h"

cg_tape *cg_tape_create(cg_device *device) {
    cg_tape *tape = cg_alloc_zero(1, sizeof *tape);
    if (tape == NULL) {
        return NULL;
    }
    const char *eager = getenv("CLGRAD_EAGER");
    tape->device = device;
    tape->precision = device->precision;
    cg_tape_set_mode(tape, CG_TRAIN);
    tape->eager = eager != NULL && strcmp(eager, "1") == 0;
    tape->plan.on = cg_plan_wanted(device);
    tape->chains = cg_chains_wanted(device);
    tape->poison = (cg_tensor){.tape = tape, .dtype = CG_F32};
    return tape;
}

void cg_tape_destroy(cg_tape *tape) {
    if (tape == NULL) {
        return;
    }
    cg_tape_reset(tape);
    cg_tensor_destroy(tape->one);
    cg_tensor_destroy(tape->counter);
    cg_free(tape->nodes);
    cg_plan_free(&tape->plan);
    cg_arena_free(&tape->arena);
    cg_free(tape);
}

void cg_tape_set_mode(cg_tape *tape, cg_mode mode) {
    tape->mode = mode;
    tape->grad = mode == CG_TRAIN;
}

void cg_tape_set_grad(cg_tape *tape, bool enabled) {
    tape->grad = enabled;
}

cg_mode cg_tape_mode(const cg_tape *tape) {
    return tape->mode;
}

cg_dtype cg_tape_set_precision(cg_tape *tape, cg_dtype precision) {
    cg_dtype before = tape->precision;
    tape->precision = precision;
    return before;
}

cg_device *cg_tape_device(const cg_tape *tape) {
    return tape->device;
}

cg_status cg_tape_status(const cg_tape *tape) {
    return tape->status;
}

const char *cg_tape_error(const cg_tape *tape) {
    return tape->error;
}

size_t cg_tape_length(const cg_tape *tape) {
    return tape->n_nodes;
}

size_t cg_tape_ran(const cg_tape *tape) {
    return tape->n_run;
}

static bool writes_to(const cg_node *node, const cg_storage *storage) {
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (node->outputs[i] != NULL && node->outputs[i]->storage == storage) {
            return true;
        }
    }
    return false;
}

size_t cg_tape_last_write(const cg_tape *tape, const cg_tensor *tensor) {
    for (size_t i = tape->n_nodes; i > 0; i--) {
        const cg_node *node = tape->nodes[i - 1];
        if (node->kind != NULL && !node->idle && writes_to(node, tensor->storage)) {
            return i - 1;
        }
    }
    return SIZE_MAX;
}

double cg_tape_flops(const cg_tape *tape) {
    return tape->flops;
}

cg_tensor *cg_tape_fail_status(cg_tape *tape, cg_status status) {
    if (tape->status == CG_OK) {
        tape->status = status;
        snprintf(tape->error, sizeof tape->error, "%s", cg_error_message());
    }
    return &tape->poison;
}

cg_tensor *cg_tape_blame(cg_tape *tape, cg_status status) {
    tape->status = tape->status == CG_OK ? status : tape->status;
    snprintf(tape->error, sizeof tape->error, "%s", cg_error_message());
    return &tape->poison;
}

cg_tensor *cg_tape_fail(cg_tape *tape, cg_status status, const char *format, ...) {
    if (tape->status == CG_OK) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(tape->error, sizeof tape->error, format, arguments);
        va_end(arguments);
        tape->status = cg_fail(status, "%s", tape->error);
    }
    return &tape->poison;
}

/* A tensor of the program's that another tape has not run yet is brought up to date first. */
static bool accepts_one(cg_tape *tape, const char *op, cg_tensor *tensor, size_t i) {
    if (tensor == NULL) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: tensor %zu is NULL", op, i);
    } else if (tensor->storage == NULL) {
        cg_tape_fail(tape, CG_ERR_STATE, "%s: tensor %zu comes from a tape that failed: %s", op, i,
                     cg_tape_error(tensor->tape));
    } else if (tensor->storage->device != tape->device) {
        cg_tape_fail(tape, CG_ERR_DEVICE, "%s: tensor %zu is on %s, the tape on %s", op, i,
                     tensor->storage->device->info.string, tape->device->info.string);
    } else if (tensor->tape != NULL && tensor->tape != tape) {
        cg_tape_fail(tape, CG_ERR_STATE, "%s: tensor %zu belongs to another tape: copy it to a tensor of your own", op,
                     i);
    } else if (tensor->storage->tape != NULL && tensor->storage->tape != tape) {
        cg_status status = cg_tape_flush(tensor->storage->tape);
        if (status != CG_OK) {
            cg_tape_fail_status(tape, status);
        }
    }
    return tape->status == CG_OK;
}

bool cg_tape_accepts(cg_tape *tape, const char *op, cg_tensor *const *tensors, size_t count) {
    for (size_t i = 0; i < count && tape->status == CG_OK; i++) {
        accepts_one(tape, op, tensors[i], i);
    }
    return tape->status == CG_OK;
}

static cg_tensor *add_tensor(cg_tape *tape, cg_storage *storage, cg_dtype dtype, const cg_shape *shape, size_t offset) {
    cg_tensor *tensor = cg_arena_alloc(&tape->arena, sizeof *tensor);
    if (tensor == NULL) {
        return cg_tape_fail_status(tape, CG_ERR_MEMORY);
    }
    *tensor = (cg_tensor){.storage = storage, .offset = offset, .shape = *shape, .dtype = dtype, .tape = tape};
    return tensor;
}

cg_tensor *cg_tape_tensor(cg_tape *tape, cg_dtype dtype, const cg_shape *shape) {
    if (tape->status != CG_OK) {
        return &tape->poison;
    }
    size_t bytes;
    cg_status status = cg_tensor_size(dtype, shape, &bytes);
    if (status != CG_OK) {
        tape->nameless = true;
        return cg_tape_fail_status(tape, status);
    }
    cg_storage *storage = cg_arena_alloc(&tape->arena, sizeof *storage);
    if (storage == NULL) {
        return cg_tape_fail_status(tape, CG_ERR_MEMORY);
    }
    *storage = (cg_storage){.device = tape->device, .bytes = bytes, .first_use = SIZE_MAX, .next = tape->storages};
    tape->storages = storage;
    return add_tensor(tape, storage, dtype, shape, 0);
}

cg_tensor *cg_tape_alias(cg_tape *tape, cg_tensor *base, const cg_shape *shape) {
    if (tape->status != CG_OK) {
        return &tape->poison;
    }
    return add_tensor(tape, base->storage, base->dtype, shape, base->offset);
}

/* The list holds these tensors now: none may go before it has run. */
static void hold(cg_tape *tape, cg_tensor *const *tensors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i] != NULL) {
            cg_storage *storage = tensors[i]->storage;
            storage->tape = tape;
            storage->last_use = tape->n_nodes - 1;
            storage->first_use = storage->last_use < storage->first_use ? storage->last_use : storage->first_use;
        }
    }
}

static cg_node *add_node(cg_tape *tape) {
    cg_node *node = cg_arena_alloc(&tape->arena, sizeof *node);
    if (node == NULL || !CG_GROW(tape->nodes, tape->n_nodes, tape->nodes_capacity)) {
        cg_tape_fail_status(tape, CG_ERR_MEMORY);
        return NULL;
    }
    tape->nodes[tape->n_nodes++] = node;
    return node;
}

static bool any_requires_grad(const cg_tape *tape, cg_tensor *const *inputs, uint32_t count) {
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        any = any || (inputs[i] != NULL && inputs[i]->requires_grad);
    }
    return any && tape->grad;
}

cg_tensor *cg_tape_view_of(cg_tape *tape, cg_tensor *base, const cg_shape *shape, cg_tensor *const *inputs,
                           uint32_t n_inputs, cg_backward_fn backward) {
    cg_tensor *view = cg_tape_alias(tape, base, shape);
    cg_node *node = tape->status == CG_OK ? add_node(tape) : NULL;
    if (node == NULL) {
        return &tape->poison;
    }
    view->requires_grad = any_requires_grad(tape, inputs, n_inputs);
    *node = (cg_node){.n_inputs = n_inputs, .n_outputs = 1, .outputs = {view}};
    memcpy(node->inputs, inputs, n_inputs * sizeof *inputs);
    node->backward = view->requires_grad ? backward : NULL;
    hold(tape, &base, 1);
    hold(tape, inputs, n_inputs);
    return view;
}

cg_tensor *cg_tape_view(cg_tape *tape, cg_tensor *base, const cg_shape *shape, cg_backward_fn backward) {
    cg_tensor *view = cg_tape_view_of(tape, base, shape, &base, 1, backward);
    view->reshaped = tape->status == CG_OK ? base : NULL;
    return view;
}

static const void *copy_attrs(cg_tape *tape, const cg_op_kind *kind, const void *attrs) {
    void *copy = cg_arena_alloc(&tape->arena, kind->attrs_size);
    if (copy == NULL) {
        cg_tape_fail_status(tape, CG_ERR_MEMORY);
        return NULL;
    }
    if (attrs != NULL) {
        memcpy(copy, attrs, kind->attrs_size);
    }
    memcpy(copy, &kind->attrs_size, sizeof kind->attrs_size); /* every attribute struct begins with its size */
    return copy;
}

static bool writes_nothing(cg_tensor *const *outputs, uint32_t count) {
    bool nothing = true;
    for (uint32_t i = 0; i < count; i++) {
        nothing = nothing && (outputs[i] == NULL || cg_tensor_numel(outputs[i]) == 0);
    }
    return nothing;
}

/* Statistics and gradients of a layer's parameters are smaller than what it makes. */
static bool is_largest(cg_tensor *const *outputs, uint32_t count, uint32_t index) {
    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i] != NULL && cg_tensor_numel(outputs[i]) > cg_tensor_numel(outputs[index])) {
            return false;
        }
    }
    return true;
}

/* What the op makes is kept in 16 bits. Sums stay whole, and what is there already as it is. */
static void halve(cg_tape *tape, const cg_op_kind *kind, cg_tensor *const *outputs, uint32_t count) {
    bool sums = kind->number == CG_OP_SUM || kind->number == CG_OP_CUMSUM;
    for (uint32_t i = 0; i < count && !sums && cg_is_half(tape->precision); i++) {
        cg_storage *storage = outputs[i] != NULL ? outputs[i]->storage : NULL;
        bool is_new = storage != NULL && outputs[i]->tape == tape && storage->first_use == SIZE_MAX &&
                      storage->buffer == NULL && storage->half == 0;
        if (is_new && outputs[i]->dtype == CG_F32 && is_largest(outputs, count, i)) {
            storage->half = tape->precision;
            storage->bytes /= sizeof(float) / cg_dtype_size(tape->precision);
        }
    }
}

static double flops_of(const cg_node *node) {
    const cg_matmul_attrs *m = node->attrs;
    switch (node->kind->number) {
    case CG_OP_MATMUL:
    case CG_OP_MATMUL_RELU:
        return 2.0 * (double)m->batch * (double)m->m * (double)m->n * (double)m->k;
    case CG_OP_CONV:
        return cg_conv_flops(&node->inputs[1]->shape, &node->outputs[0]->shape);
    case CG_OP_CONV_BACKWARD_INPUT:
        return cg_conv_flops(&node->inputs[1]->shape, &node->inputs[0]->shape);
    case CG_OP_CONV_BACKWARD_WEIGHT:
        return cg_conv_flops(&node->outputs[0]->shape, &node->inputs[1]->shape);
    default:
        return 0.0;
    }
}

void cg_record(cg_tape *tape, uint32_t number, const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs,
               cg_tensor *const *outputs, uint32_t n_outputs, cg_backward_fn backward) {
    const cg_op_kind *kind = cg_kind(number);
    if (tape->nameless) { /* the output that could not be made was this op's */
        tape->nameless = false;
        cg_tape_blame(tape, cg_fail(tape->status, "%s: %s", kind->name, tape->error));
    }
    const void *copy = tape->status == CG_OK ? copy_attrs(tape, kind, attrs) : NULL;
    cg_node *node = copy != NULL ? add_node(tape) : NULL;
    if (node == NULL) {
        return;
    }
    bool grad = backward != NULL && any_requires_grad(tape, inputs, n_inputs);
    *node = (cg_node){.kind = kind, .attrs = copy, .n_inputs = n_inputs, .n_outputs = n_outputs};
    node->backward = grad ? backward : NULL;
    for (uint32_t i = 0; i < n_inputs; i++) {
        node->inputs[i] = inputs[i];
    }
    for (uint32_t i = 0; i < n_outputs; i++) {
        node->outputs[i] = outputs[i];
        if (grad && outputs[i] != NULL) {
            outputs[i]->requires_grad = true;
        }
    }
    hold(tape, inputs, n_inputs);
    halve(tape, kind, outputs, n_outputs);
    hold(tape, outputs, n_outputs);
    node->idle = writes_nothing(outputs, n_outputs);
    tape->flops += flops_of(node);
    if (tape->eager) {
        cg_status status = cg_tape_flush(tape);
        (void)status; /* sticks to the tape */
    }
}
