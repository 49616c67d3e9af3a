/* The list runs, and is forgotten. */
#include <stdio.h>

#include "chain.h"
#include "dispatch.h"
#include "plan.h"
#include "tape.h"

/* The sticking failure once more, so that whoever asks last finds the message. */
static cg_status failed(const cg_tape *tape) {
    return tape->status == CG_OK ? CG_OK : cg_fail(tape->status, "%s", tape->error);
}

static void set_operand(const cg_op_kind *kind, cg_tensor *tensor, cg_operand *operand) {
    if (tensor == NULL) {
        *operand = (cg_operand){.buffer = NULL};
        return;
    }
    operand->buffer = tensor->storage->buffer->handle;
    operand->dtype = cg_tensor_stored(tensor);
    operand->offset = cg_tensor_start(tensor) / cg_dtype_size(operand->dtype);
    /* matmul's attributes may step over rows: it may touch all that follows */
    operand->extent = kind->number == CG_OP_MATMUL ? cg_record_room(tensor) : (size_t)cg_shape_numel(&tensor->shape);
    operand->shape = tensor->shape;
}

static cg_status materialize(cg_tensor *const *tensors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i] != NULL && tensors[i]->storage->inner == 0) {
            CG_TRY(cg_storage_materialize(tensors[i]->storage));
        }
    }
    return CG_OK;
}

static void set_op(const cg_node *node, cg_op *op) {
    op->kind = node->kind;
    op->attrs = node->attrs;
    op->n_inputs = node->n_inputs;
    op->n_outputs = node->n_outputs;
    op->accumulate = node->accumulate;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        set_operand(node->kind, node->inputs[i], &op->inputs[i]);
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        set_operand(node->kind, node->outputs[i], &op->outputs[i]);
    }
}

static cg_status run_node(cg_tape *tape, const cg_node *node) {
    CG_TRY(materialize(node->inputs, node->n_inputs));
    CG_TRY(materialize(node->outputs, node->n_outputs));
    cg_op op;
    set_op(node, &op);
    return cg_dispatch_run(tape->device, &op);
}

/* Gives back the memory of the tape's tensors that node `i` was the last to use. */
static void release_dead(cg_tensor *const *tensors, uint32_t count, size_t i) {
    for (uint32_t j = 0; j < count; j++) {
        cg_storage *storage = tensors[j] != NULL ? tensors[j]->storage : NULL;
        if (storage != NULL && storage->references == 0 && storage->last_use == i) {
            cg_storage_release(storage);
        }
    }
}

static void unmark(cg_tensor *const *tensors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i] != NULL && tensors[i]->storage != NULL) {
            tensors[i]->storage->tape = NULL;
        }
    }
}

/* The nodes from `first` on no longer wait to run. */
static void settle_from(cg_tape *tape, size_t first) {
    for (size_t i = first; i < tape->n_nodes; i++) {
        unmark(tape->nodes[i]->inputs, tape->nodes[i]->n_inputs);
        unmark(tape->nodes[i]->outputs, tape->nodes[i]->n_outputs);
    }
}

void cg_tape_watch(cg_tape *tape, cg_tape_watcher watcher, void *context) {
    tape->watcher = watcher;
    tape->watcher_context = context;
}

static cg_status show(cg_tape *tape, const cg_node *node, size_t index) {
    const cg_ran_op op = {.name = node->kind->name,
                          .index = index,
                          .inputs = node->inputs,
                          .outputs = node->outputs,
                          .n_inputs = node->n_inputs,
                          .n_outputs = node->n_outputs};
    tape->watched = true;
    cg_status status = tape->watcher(tape->watcher_context, &op);
    tape->watched = false;
    return status;
}

static cg_status run_alone(cg_tape *tape, size_t i) {
    const cg_node *node = tape->nodes[i];
    if (node->kind == NULL || node->idle) {
        return CG_OK;
    }
    CG_TRY(run_node(tape, node));
    return tape->watcher != NULL ? show(tape, node, i) : CG_OK;
}

static cg_status run_steps(cg_tape *tape, size_t first, size_t last) {
    cg_op ops[CG_MAX_STEPS];
    for (size_t i = first; i <= last; i++) {
        set_op(tape->nodes[i], &ops[i - first]);
    }
    return cg_dispatch_steps(tape->device, ops, last - first + 1);
}

static cg_status run_chain(cg_tape *tape, size_t first, size_t last) {
    for (size_t i = first; i <= last; i++) {
        const cg_node *node = tape->nodes[i];
        if (node->kind != NULL && !node->idle) {
            CG_TRY(materialize(node->inputs, node->n_inputs));
            CG_TRY(materialize(node->outputs, node->n_outputs));
        }
    }
    return cg_is_step(tape->nodes[first]) ? run_steps(tape, first, last) : cg_chain_run(tape, first, last);
}

static cg_status run_pending(cg_tape *tape, bool keep) {
    size_t first = tape->n_run;
    for (size_t i = first; i < tape->n_nodes && tape->status == CG_OK; i++) {
        size_t begin = i;
        i = cg_chain_last(tape, begin);
        cg_status status = i > begin ? run_chain(tape, begin, i) : run_alone(tape, i);
        if (status != CG_OK) {
            cg_tape_fail_status(tape, status);
        }
        for (size_t j = begin; j <= i && status == CG_OK && !keep; j++) {
            release_dead(tape->nodes[j]->inputs, tape->nodes[j]->n_inputs, j);
            release_dead(tape->nodes[j]->outputs, tape->nodes[j]->n_outputs, j);
        }
    }
    settle_from(tape, first);
    tape->n_run = tape->n_nodes;
    return failed(tape);
}

static void forget(cg_tape *tape) {
    for (cg_storage *storage = tape->storages; storage != NULL; storage = storage->next) {
        cg_storage_release(storage);
    }
    tape->storages = NULL;
    tape->n_nodes = tape->n_run = 0;
    tape->flops = 0;
    tape->step++;
    tape->draws = 0;
    cg_arena_reset(&tape->arena);
}

cg_status cg_tape_flush(cg_tape *tape) {
    return tape->watched ? CG_OK : run_pending(tape, true);
}

cg_status cg_tape_run(cg_tape *tape) {
    tape->chained = tape->chains && tape->status == CG_OK && tape->watcher == NULL;
    if (tape->chained) {
        cg_chains_find(tape);
    }
    bool planned = tape->status == CG_OK && cg_plan_begin(tape);
    cg_status status = run_pending(tape, false);
    tape->chained = false;
    forget(tape);
    if (planned) {
        cg_plan_end(tape);
    }
    const cg_backend *backend = tape->device->backend;
    if (status == CG_OK && backend->flush != NULL) {
        status = backend->flush(tape->device->handle);
    }
    return status;
}

void cg_tape_reset(cg_tape *tape) {
    settle_from(tape, tape->n_run);
    forget(tape);
    tape->status = CG_OK;
    tape->nameless = false;
    tape->error[0] = '\0';
}
