#include "chain.h"

#include <string.h>

#include "custom.h"
#include "dispatch.h"
#include "plan.h"
#include "tape.h"

bool cg_chains_wanted(const cg_device *device) {
    return (device->backend->run_chain != NULL || device->backend->run_steps != NULL) && cg_plan_has("chains");
}

static bool runs(const cg_node *node) {
    return node->kind != NULL && !node->idle;
}

/* A row of elementwise.def or its gradient: the kinds from CG_OP_ADD on that are not a program's own. */
static bool is_elementwise(uint32_t number) {
    return number >= CG_OP_ADD && number < CG_FIRST_CUSTOM;
}

/* Its operands have the output's number of elements, as floats without a gap. */
static bool fits(const cg_node *node, int64_t n) {
    bool fitting = is_elementwise(node->kind->number) && node->n_outputs == 1;
    for (uint32_t i = 0; fitting && i < node->n_inputs + 1; i++) {
        const cg_tensor *tensor = i < node->n_inputs ? node->inputs[i] : node->outputs[0];
        fitting = tensor == NULL || (cg_tensor_numel(tensor) == n && cg_tensor_stored(tensor) == CG_F32);
    }
    return fitting;
}

/* Two operands of one storage begin at the same place, or blocks of one would be other blocks of the other. */
static bool clashes(const cg_tensor *a, const cg_tensor *b) {
    return a != NULL && b != NULL && a->storage == b->storage && a->offset != b->offset;
}

static bool node_clashes(const cg_node *node, const cg_tensor *tensor) {
    bool any = clashes(node->outputs[0], tensor);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        any = any || clashes(node->inputs[i], tensor);
    }
    return any;
}

/* With none of the ops that the chain has already. */
static bool joins(const cg_tape *tape, size_t first, const cg_node *node) {
    for (size_t i = first; tape->nodes[i] != node; i++) {
        const cg_node *other = tape->nodes[i];
        bool any = runs(other) && node_clashes(other, node->outputs[0]);
        for (uint32_t j = 0; runs(other) && j < node->n_inputs; j++) {
            any = any || node_clashes(other, node->inputs[j]);
        }
        if (any) {
            return false;
        }
    }
    return true;
}

static bool stands_alone(const cg_node *node) {
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node_clashes(node, node->inputs[i])) {
            return false;
        }
    }
    return true;
}

/* The storages that a chain's operands are in: its different operands. */
typedef struct storages {
    const cg_storage *met[CG_MAX_CHAIN_OPERANDS];
    size_t count;
} storages;

/* False: there is no room for it. */
static bool meet(storages *all, const cg_tensor *tensor) {
    if (tensor == NULL) {
        return true;
    }
    for (size_t i = 0; i < all->count; i++) {
        if (all->met[i] == tensor->storage) {
            return true;
        }
    }
    if (all->count == CG_MAX_CHAIN_OPERANDS) {
        return false;
    }
    all->met[all->count++] = tensor->storage;
    return true;
}

static bool meet_all(storages *all, const cg_node *node) {
    bool room = meet(all, node->outputs[0]);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        room = meet(all, node->inputs[i]) && room;
    }
    return room;
}

/* The last node of the chain that begins at `first`, and the number of its ops. */
static size_t end_of(const cg_tape *tape, size_t first, size_t *ops) {
    const cg_node *begin = tape->nodes[first];
    int64_t n = runs(begin) ? cg_tensor_numel(begin->outputs[0]) : 0;
    size_t last = first;
    storages all = {.count = 0};
    *ops = 0;
    if (tape->device->backend->run_chain == NULL || n < tape->device->backend->chain_least) {
        return last;
    }
    for (size_t i = first; i < tape->n_nodes && *ops < CG_MAX_CHAIN; i++) {
        const cg_node *node = tape->nodes[i];
        if (!runs(node)) {
            continue;
        }
        if (!fits(node, n) || !stands_alone(node) || !joins(tape, first, node) || !meet_all(&all, node)) {
            break;
        }
        last = i;
        ++*ops;
    }
    return last;
}

/* What one op of the chain writes whole and only others of it use. */
static void mark_inner(cg_tape *tape, size_t first, size_t last) {
    uint32_t inner = 0;
    for (size_t i = first; i <= last && inner < CG_MAX_INNER; i++) {
        const cg_node *node = tape->nodes[i];
        cg_storage *storage = runs(node) ? node->outputs[0]->storage : NULL;
        if (storage == NULL || storage->references > 0 || storage->buffer != NULL || storage->inner > 0) {
            continue;
        }
        size_t bytes = (size_t)cg_tensor_numel(node->outputs[0]) * sizeof(float);
        bool inside = storage->first_use >= first && storage->last_use <= last;
        if (inside && node->accumulate == 0 && storage->bytes == bytes) {
            storage->inner = ++inner;
        }
    }
}

/* The last node of the chain or of the steps that begin at `first`; itself where it stands alone. */
static size_t last_of(const cg_tape *tape, size_t first) {
    if (cg_is_step(tape->nodes[first])) {
        return tape->device->backend->run_steps != NULL ? cg_steps_end(tape, first) : first;
    }
    size_t ops, last = end_of(tape, first, &ops);
    return ops > 1 ? last : first;
}

void cg_chains_find(cg_tape *tape) {
    for (size_t i = tape->n_run; i < tape->n_nodes;) {
        size_t last = last_of(tape, i);
        for (size_t j = i; j <= last; j++) {
            tape->nodes[j]->chain_first = i;
            tape->nodes[j]->chain_last = last;
        }
        if (last > i && !cg_is_step(tape->nodes[i])) {
            mark_inner(tape, i, last);
        }
        i = last + 1;
    }
}

size_t cg_chain_first(const cg_tape *tape, size_t index) {
    return tape->chained && index >= tape->n_run ? tape->nodes[index]->chain_first : index;
}

size_t cg_chain_last(const cg_tape *tape, size_t index) {
    return tape->chained && index >= tape->n_run ? tape->nodes[index]->chain_last : index;
}

static void set_operand(const cg_chain *chain, const cg_tensor *tensor, cg_operand *operand) {
    if (tensor == NULL) {
        *operand = (cg_operand){.buffer = NULL};
        return;
    }
    const cg_storage *storage = tensor->storage;
    operand->buffer = storage->inner > 0 ? (void *)(chain->inner + storage->inner - 1) : storage->buffer->handle;
    operand->offset = storage->inner > 0 ? 0 : cg_tensor_start(tensor) / sizeof(float);
    operand->extent = (size_t)cg_tensor_numel(tensor);
    operand->shape = tensor->shape;
    operand->dtype = CG_F32;
}

static void set_op(const cg_chain *chain, const cg_node *node, cg_op *op) {
    op->kind = node->kind;
    op->attrs = node->attrs;
    op->n_inputs = node->n_inputs;
    op->n_outputs = 1;
    op->accumulate = node->accumulate;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        set_operand(chain, node->inputs[i], &op->inputs[i]);
    }
    set_operand(chain, node->outputs[0], &op->outputs[0]);
}

cg_status cg_chain_run(cg_tape *tape, size_t first, size_t last) {
    static const char inner[CG_MAX_INNER];
    cg_op ops[CG_MAX_CHAIN];
    cg_chain chain = {.ops = ops, .inner = inner};
    for (size_t i = first; i <= last; i++) {
        const cg_node *node = tape->nodes[i];
        if (runs(node)) {
            set_op(&chain, node, &ops[chain.n_ops++]);
        }
    }
    return cg_dispatch_chain(tape->device, &chain);
}
