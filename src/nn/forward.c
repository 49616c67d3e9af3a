/* Running modules: the one wrapper around every layer's forward, lazy shapes, and initial weights. */
#include <stdio.h>
#include <string.h>

#include "module.h"

/* Puts the layer in front of the message, "2 (Linear(512, 10)): ...", and the failure on the tape. */
static cg_status blame(const cg_module *module, cg_tape *tape, cg_status status) {
    enum { SHOWN = 80 };
    char layer[SHOWN + 4];
    if (module->n_children > 0 || cg_module_print(module, layer, SHOWN) >= SHOWN) {
        snprintf(layer, sizeof layer, "%s", module->class->name);
    }
    bool root = module->path[0] == '\0';
    status = cg_fail_context(status, root ? "%s%s: " : "%s (%s): ", module->path, layer);
    cg_tape_blame(tape, status);
    return status;
}

static cg_status check_counts(const cg_module *module, size_t n_inputs, size_t n_outputs) {
    const cg_module_class *class = module->class;
    size_t least = class->n_inputs - class->n_optional;
    if (n_inputs > class->n_inputs || n_inputs < least) {
        cg_text range = {0};
        cg_text_append(&range, least < class->n_inputs ? "%zu to %zu" : "%zu", least, class->n_inputs);
        cg_status status = cg_fail(CG_ERR_ARGUMENT, "takes %s input%s (%s), %zu given", cg_text_get(&range),
                                   class->n_inputs == 1 ? "" : "s", class->inputs, n_inputs);
        cg_text_free(&range);
        return status;
    }
    if (n_outputs < (class->forward_first != NULL ? 1 : class->n_outputs)) {
        return cg_fail(CG_ERR_ARGUMENT, "has %zu outputs, room for %zu given", class->n_outputs, n_outputs);
    }
    return CG_OK;
}

/* Copies the inputs to `all`, NULL for those that are left out. */
static cg_status take_inputs(const cg_module *module, cg_tensor *const *inputs, size_t n_inputs, cg_tensor **all) {
    const cg_module_class *class = module->class;
    const size_t needed = class->n_inputs - class->n_optional;
    for (size_t i = 0; i < class->n_inputs; i++) {
        all[i] = i < n_inputs ? inputs[i] : NULL;
        if (i < needed && all[i] == NULL) {
            return cg_fail(CG_ERR_ARGUMENT, "input %zu (%s) is NULL", i, class->inputs);
        }
    }
    return CG_OK;
}

static cg_status run_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, size_t n_inputs,
                             cg_tensor **outputs, size_t *n_outputs, bool relu) {
    const cg_module_class *class = module->class;
    cg_tensor *all[CG_MODULE_MAX_INPUTS];
    CG_TRY(check_counts(module, n_inputs, *n_outputs));
    CG_TRY(take_inputs(module, inputs, n_inputs, all));
    bool first = *n_outputs < class->n_outputs;
    cg_forward_fn forward = relu ? class->forward_relu : first ? class->forward_first : class->forward;
    CG_TRY(forward(module, tape, all, outputs));
    *n_outputs = first ? 1 : class->n_outputs;
    return CG_OK;
}

/* The nearest module on the way to the root that somebody observes; NULL: nobody does. */
static const cg_module *observed(const cg_module *module) {
    while (module != NULL && module->observer == NULL) {
        module = module->parent;
    }
    return module;
}

bool cg_module_observed(const cg_module *module) {
    return observed(module) != NULL;
}

static void observe(const cg_module *module, const cg_tensor *output, double flops) {
    const cg_module *above = observed(module);
    if (above != NULL) {
        above->observer(above->observer_context, module, module->path, output, flops);
    }
}

static cg_status call(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, size_t n_inputs, cg_tensor **outputs,
                      size_t *n_outputs, bool relu) {
    size_t room = *n_outputs;
    *n_outputs = 0;
    if (cg_tape_status(tape) != CG_OK) {
        return cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
    }
    double before = cg_tape_flops(tape);
    cg_status status = run_forward(module, tape, inputs, n_inputs, outputs, &room, relu);
    cg_status recorded = cg_tape_status(tape);
    if (status != CG_OK) {
        return recorded != CG_OK ? status : blame(module, tape, status);
    }
    if (recorded != CG_OK) {
        return blame(module, tape, cg_fail(recorded, "%s", cg_tape_error(tape)));
    }
    *n_outputs = room;
    observe(module, outputs[0], cg_tape_flops(tape) - before);
    return CG_OK;
}

cg_status cg_module_call(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, size_t n_inputs,
                         cg_tensor **outputs, size_t *n_outputs) {
    return call(module, tape, inputs, n_inputs, outputs, n_outputs, false);
}

cg_status cg_module_call_relu(cg_module *module, cg_tape *tape, cg_tensor *input, cg_tensor **output) {
    size_t count = 1;
    return call(module, tape, &input, 1, output, &count, true);
}

cg_tensor *cg_module_forward(cg_module *module, cg_tape *tape, cg_tensor *input) {
    cg_tensor *output = NULL;
    size_t count = 1;
    cg_status status = cg_module_call(module, tape, &input, 1, &output, &count);
    return status == CG_OK ? output : cg_tape_blame(tape, status);
}

/* A forward pass that is recorded and thrown away. */
static cg_status dry_run(cg_module *module, cg_tape *tape, cg_tensor *input, cg_shape *output) {
    cg_tensor *result = NULL;
    size_t count = 1;
    cg_tape_set_mode(tape, CG_EVAL);
    CG_TRY(cg_module_call(module, tape, &input, 1, &result, &count));
    if (output != NULL) {
        *output = *cg_tensor_shape(result);
    }
    return CG_OK;
}

cg_status cg_module_resolve(cg_module *module, const cg_shape *input, cg_shape *output) {
    cg_tensor *x = NULL;
    CG_TRY(cg_tensor_create(module->device, cg_device_real(module->device), input, &x));
    cg_tape *tape = cg_tape_create(module->device);
    cg_status status = tape != NULL ? dry_run(module, tape, x, output) : CG_ERR_MEMORY;
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    return status;
}

/* Draws a tree's parameters; *stream is the ordinal of its first and then of what follows it. */
static cg_status init_tree(cg_module *module, uint64_t seed, uint64_t *stream) {
    if (module->class->reset != NULL) {
        CG_TRY(module->class->reset(module, seed, *stream));
    }
    for (size_t i = 0; i < module->n_tensors; i++) {
        *stream += module->tensors[i].role == CG_ROLE_PARAMETER;
    }
    for (size_t i = 0; i < module->n_children; i++) {
        CG_TRY(init_tree(module->children[i], seed, stream));
    }
    return module->class->settle != NULL ? module->class->settle(module) : CG_OK;
}

cg_status cg_module_init(cg_module *module, uint64_t seed) {
    const cg_module *lazy = cg_module_unresolved(module);
    if (lazy != NULL) {
        return cg_fail(CG_ERR_STATE, "%s(%s) has no weights yet: call cg_module_resolve first", lazy->class->name,
                       cg_text_get(&lazy->arguments));
    }
    uint64_t stream = 0;
    return init_tree(module, seed, &stream);
}
