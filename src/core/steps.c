/* Optimizer steps that follow each other, one for each parameter: found beside the chains and run as one. */
#include "chain.h"
#include "tape.h"

static bool is_step(uint32_t number) {
    switch (number) {
#define CG_UPDATE(NAME, name, statements) case CG_OP_##NAME:
#include <clgrad/updates.def>
#undef CG_UPDATE
        return true;
    default:
        return false;
    }
}

bool cg_is_step(const cg_node *node) {
    bool step = node->kind != NULL && !node->idle && is_step(node->kind->number);
    for (uint32_t i = 0; step && i < node->n_inputs; i++) {
        step = node->inputs[i] == NULL || cg_tensor_stored(node->inputs[i]) == CG_F32;
    }
    return step && cg_tensor_stored(node->outputs[0]) == CG_F32;
}

static bool holds(cg_tensor *const *tensors, uint32_t n, const cg_tensor *tensor) {
    for (uint32_t i = 0; i < n; i++) {
        if (tensor != NULL && tensors[i] != NULL && tensors[i]->storage == tensor->storage) {
            return true;
        }
    }
    return false;
}

/* One of them writes what the other reads or writes. */
static bool depend(const cg_node *a, const cg_node *b) {
    for (uint32_t i = 0; i < a->n_outputs; i++) {
        if (holds(b->outputs, b->n_outputs, a->outputs[i]) || holds(b->inputs, b->n_inputs, a->outputs[i])) {
            return true;
        }
    }
    for (uint32_t i = 0; i < b->n_outputs; i++) {
        if (holds(a->inputs, a->n_inputs, b->outputs[i])) {
            return true;
        }
    }
    return false;
}

size_t cg_steps_end(const cg_tape *tape, size_t first) {
    const cg_node *const *nodes = (const cg_node *const *)tape->nodes;
    size_t i = first + 1;
    for (; i < tape->n_nodes && i - first < CG_MAX_STEPS; i++) {
        if (!cg_is_step(nodes[i]) || nodes[i]->kind != nodes[first]->kind) {
            break;
        }
        for (size_t j = first; j < i; j++) {
            if (depend(nodes[j], nodes[i])) {
                return i - 1;
            }
        }
    }
    return i - 1;
}
