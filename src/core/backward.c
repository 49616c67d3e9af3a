/* Gradients: the tape read backwards. */
#include "tape.h"

bool cg_grad_wanted(const cg_tape *tape, const cg_tensor *tensor) {
    return tape->status == CG_OK && tensor != NULL && tensor->requires_grad;
}

cg_tensor *cg_grad_of(cg_tape *tape, const cg_tensor *tensor) {
    return tape->status == CG_OK && tensor != NULL && tensor->has_grad ? tensor->grad : NULL;
}

/* A leaf keeps its gradient from step to step; other tensors get one from the tape. */
static cg_tensor *grad_target(cg_tape *tape, cg_tensor *target) {
    if (target->tape != NULL) {
        return cg_tape_tensor(tape, target->dtype, &target->shape);
    }
    if (target->grad == NULL) {
        cg_status status = cg_tensor_create(target->storage->device, target->dtype, &target->shape, &target->grad);
        if (status != CG_OK) {
            return cg_tape_fail_status(tape, status);
        }
    }
    return target->grad;
}

/* Whose gradient a contribution to `target` belongs to: a leaf that is used in another shape gets it without a detour.
 */
static cg_tensor *owner_of(cg_tensor *target) {
    cg_tensor *owner = target;
    while (owner->reshaped != NULL) {
        owner = owner->reshaped;
    }
    return owner->tape == NULL ? owner : target;
}

static bool is_only_owner(cg_tensor *const *targets, uint32_t count, uint32_t i) {
    bool only = true;
    for (uint32_t j = 0; j < count; j++) {
        only = only && (j == i || owner_of(targets[j]) != owner_of(targets[i]));
    }
    return only;
}

static cg_tensor *shaped(cg_tape *tape, cg_tensor *tensor, const cg_shape *shape) {
    return shape == NULL || cg_shape_equal(shape, &tensor->shape) ? tensor : cg_tape_alias(tape, tensor, shape);
}

/* accumulate: bit i: output i is added to. */
static void emit(cg_tape *tape, uint32_t number, const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs,
                 cg_tensor *const *outputs, uint32_t n_outputs, uint32_t accumulate) {
    size_t before = tape->n_nodes;
    bool eager = tape->eager;
    tape->eager = false; /* the accumulate bits must be there before it runs */
    cg_record(tape, number, attrs, inputs, n_inputs, outputs, n_outputs, NULL);
    tape->eager = eager;
    if (tape->status == CG_OK && tape->n_nodes > before) {
        tape->nodes[before]->accumulate = accumulate;
    }
    if (eager) {
        cg_status status = cg_tape_flush(tape);
        (void)status; /* sticks to the tape */
    }
}

/* A gradient that is somebody else's tensor must not be added to: the sum goes into one of its own. */
static void unshare(cg_tape *tape, cg_tensor *target) {
    if (!target->grad_shared) {
        return;
    }
    cg_tensor *own = cg_tape_tensor(tape, target->dtype, &target->shape);
    if (tape->status == CG_OK) {
        emit(tape, CG_OP_COPY, NULL, &target->grad, 1, &own, 1, 0);
        target->grad = own;
        target->grad_shared = false;
    }
}

/* Where a contribution to the gradient of `target` goes, as the op sees it; *accumulate: it is added to what is there.
 */
static cg_tensor *contribution_to(cg_tape *tape, cg_tensor *target, const cg_shape *shape, bool *accumulate) {
    *accumulate = target->has_grad;
    if (target->has_grad) {
        unshare(tape, target);
    } else {
        cg_tensor *grad = grad_target(tape, target);
        if (tape->status != CG_OK) {
            return &tape->poison;
        }
        target->grad = grad;
        target->grad_shared = false;
    }
    return tape->status == CG_OK ? shaped(tape, target->grad, shape) : &tape->poison;
}

void cg_grad_emit_all(cg_tape *tape, cg_tensor *const *targets, const cg_shape *shapes, uint32_t count, uint32_t number,
                      const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs) {
    cg_tensor *owners[CG_MAX_OUTPUTS], *outputs[CG_MAX_OUTPUTS];
    uint32_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool accumulate;
        owners[i] = is_only_owner(targets, count, i) ? owner_of(targets[i]) : targets[i];
        outputs[i] = contribution_to(tape, owners[i], &shapes[i], &accumulate);
        bits |= accumulate ? 1u << i : 0u;
    }
    if (tape->status == CG_OK) {
        emit(tape, number, attrs, inputs, n_inputs, outputs, count, bits);
    }
    for (uint32_t i = 0; i < count && tape->status == CG_OK; i++) {
        owners[i]->has_grad = true;
    }
}

void cg_grad_emit(cg_tape *tape, cg_tensor *target, const cg_shape *shape, uint32_t number, const void *attrs,
                  cg_tensor *const *inputs, uint32_t n_inputs) {
    if (!cg_grad_wanted(tape, target)) {
        return;
    }
    const cg_shape *seen = shape != NULL ? shape : &target->shape;
    target = owner_of(target);
    if (target->has_grad && !(cg_kind(number)->flags & CG_KIND_ACCUMULATES)) {
        cg_tensor *contribution = cg_tape_tensor(tape, target->dtype, seen);
        emit(tape, number, attrs, inputs, n_inputs, &contribution, 1, 0);
        cg_grad_add(tape, target, contribution);
        return;
    }
    cg_grad_emit_all(tape, &target, seen, 1, number, attrs, inputs, n_inputs);
}

void cg_grad_add(cg_tape *tape, cg_tensor *target, cg_tensor *contribution) {
    if (!cg_grad_wanted(tape, target)) {
        return;
    }
    cg_tensor *same = shaped(tape, contribution, &target->shape);
    if (target->tape != NULL && !target->has_grad) { /* no work: both are the same tensor now */
        target->grad = same;
        target->has_grad = true;
        target->grad_shared = true;
        return;
    }
    cg_grad_emit(tape, target, NULL, CG_OP_COPY, NULL, &same, 1);
}

/* Gradients between ops belong to one backward; those of leaves stay. */
static void clear_inner_gradients(cg_tape *tape, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cg_node *node = tape->nodes[i];
        for (uint32_t j = 0; j < node->n_outputs; j++) {
            if (node->outputs[j] != NULL && node->outputs[j]->tape != NULL) {
                node->outputs[j]->grad = NULL;
                node->outputs[j]->has_grad = false;
            }
        }
    }
}

static bool any_output_has_grad(const cg_node *node) {
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (node->outputs[i] != NULL && node->outputs[i]->tape != NULL && node->outputs[i]->has_grad) {
            return true;
        }
    }
    return false;
}

cg_status cg_backward_from(cg_tape *tape, cg_tensor *output, cg_tensor *grad_output) {
    cg_tensor *both[] = {output, grad_output};
    if (!cg_tape_accepts(tape, "backward", both, 2)) {
        return cg_fail(tape->status, "%s", tape->error);
    }
    if (!output->requires_grad) {
        cg_tape_fail(tape, CG_ERR_STATE, "backward: nothing that requires a gradient leads to this tensor of shape %s",
                     cg_shape_print(&output->shape, CG_SHAPE_TEXT));
    } else if (!cg_shape_equal(&output->shape, &grad_output->shape) || output->dtype != grad_output->dtype) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "backward: the output is %s of %s, its gradient %s of %s",
                     cg_shape_print(&output->shape, CG_SHAPE_TEXT), cg_dtype_name(output->dtype),
                     cg_shape_print(&grad_output->shape, CG_SHAPE_TEXT), cg_dtype_name(grad_output->dtype));
    }
    size_t count = tape->n_nodes;
    if (tape->status == CG_OK) {
        clear_inner_gradients(tape, count);
        cg_grad_add(tape, output, grad_output);
    }
    for (size_t i = count; i > 0 && tape->status == CG_OK; i--) {
        const cg_node *node = tape->nodes[i - 1];
        if (node->backward != NULL && any_output_has_grad(node)) {
            node->backward(tape, node);
        }
    }
    return tape->status == CG_OK ? CG_OK : cg_fail(tape->status, "%s", tape->error);
}

/* The gradient of a loss with respect to itself, made once a tape. */
static cg_tensor *one(cg_tape *tape, const cg_tensor *loss) {
    if (tape->one == NULL) {
        cg_status status = cg_tensor_create(tape->device, loss->dtype, &CG_SCALAR, &tape->one);
        if (status == CG_OK) {
            status = cg_tensor_fill(tape->one, 1.0);
        }
        if (status != CG_OK) {
            return cg_tape_fail_status(tape, status);
        }
    }
    return cg_tape_alias(tape, tape->one, &loss->shape);
}

cg_status cg_backward(cg_tape *tape, cg_tensor *loss) {
    if (cg_tape_accepts(tape, "backward", &loss, 1) && cg_tensor_numel(loss) != 1) {
        cg_tape_fail(tape, CG_ERR_SHAPE,
                     "backward: a loss has one element, this tensor has shape %s: use cg_backward_from",
                     cg_shape_print(&loss->shape, CG_SHAPE_TEXT));
    }
    if (tape->status != CG_OK) {
        return cg_fail(tape->status, "%s", tape->error);
    }
    return cg_backward_from(tape, loss, one(tape, loss));
}
