/* Containers: Sequential, Residual and Identity. */
#include <stdio.h>
#include <string.h>

#include "module.h"

static cg_status run(cg_module *module, cg_tape *tape, cg_tensor *input, cg_tensor **output) {
    size_t count = 1;
    return cg_module_call(module, tape, &input, 1, output, &count);
}

static cg_status build_child(cg_module *module, const char *name, const cg_expression *call) {
    cg_module *child = NULL;
    CG_TRY(cg_module_build(module->device, call, &child));
    return cg_module_add_child(module, name, child);
}

static cg_status add_numbered(cg_module *module, cg_module *child) {
    char name[32];
    snprintf(name, sizeof name, "%zu", module->n_children);
    return cg_module_add_child(module, name, child);
}

static cg_status sequential_create(cg_module *module, const cg_arguments *arguments) {
    const cg_expression *call = cg_expression_first(arguments->call);
    for (uint32_t i = 0; i < arguments->call->count; i++) {
        cg_module *child = NULL;
        CG_TRY(cg_module_build(module->device, call, &child));
        CG_TRY(add_numbered(module, child));
        call = cg_expression_next(call);
    }
    return CG_OK;
}

/* Whether child i and the ReLU behind it are one op: the same values, fewer passes over memory. */
static bool joins_relu(const cg_module *module, size_t i) {
    return i + 1 < module->n_children && module->children[i]->class->forward_relu != NULL &&
           strcmp(module->children[i + 1]->class->name, "ReLU") == 0 && !cg_module_observed(module->children[i]) &&
           !cg_module_observed(module->children[i + 1]);
}

static cg_status sequential_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    outputs[0] = inputs[0];
    for (size_t i = 0; i < module->n_children; i++) {
        if (joins_relu(module, i)) {
            CG_TRY(cg_module_call_relu(module->children[i++], tape, outputs[0], &outputs[0]));
        } else {
            CG_TRY(run(module->children[i], tape, outputs[0], &outputs[0]));
        }
    }
    return CG_OK;
}

const cg_module_class cg_sequential_class = {
    .name = "Sequential",
    .signature = "*modules: module",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .create = sequential_create,
    .forward = sequential_forward,
};

cg_status cg_module_sequential(cg_device *device, cg_module **children, size_t count, cg_module **module) {
    cg_status status = cg_module_create(device, &cg_sequential_class, module);
    for (size_t i = 0; i < count; i++) {
        if (status == CG_OK) {
            status = add_numbered(*module, children[i]);
        } else {
            cg_module_destroy(children[i] != NULL && children[i]->parent == NULL ? children[i] : NULL);
        }
    }
    if (status != CG_OK) {
        cg_module_destroy(*module);
        *module = NULL;
    }
    return status;
}

static cg_status residual_create(cg_module *module, const cg_arguments *arguments) {
    CG_TRY(build_child(module, "body", cg_argument_value(arguments, "body")));
    bool has_shortcut = !cg_argument_is_none(arguments, "shortcut");
    return has_shortcut ? build_child(module, "shortcut", cg_argument_value(arguments, "shortcut")) : CG_OK;
}

/* The two must have one shape: a sum that broadcasts would hide a mistake. */
static cg_status residual_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    cg_tensor *body = NULL, *shortcut = inputs[0];
    CG_TRY(run(module->children[0], tape, inputs[0], &body));
    if (module->n_children > 1) {
        CG_TRY(run(module->children[1], tape, inputs[0], &shortcut));
    }
    if (!cg_shape_equal(cg_tensor_shape(body), cg_tensor_shape(shortcut))) {
        return cg_fail(CG_ERR_SHAPE, "the body gives %s, the shortcut %s: they must be equal to be added",
                       cg_shape_print(cg_tensor_shape(body), CG_SHAPE_TEXT),
                       cg_shape_print(cg_tensor_shape(shortcut), CG_SHAPE_TEXT));
    }
    outputs[0] = cg_add(tape, body, shortcut);
    return CG_OK;
}

const cg_module_class cg_residual_class = {
    .name = "Residual",
    .signature = "body: module, shortcut: module | None = None",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .create = residual_create,
    .forward = residual_forward,
};

cg_status cg_module_residual(cg_device *device, cg_module *body, cg_module *shortcut, cg_module **module) {
    cg_status status = cg_module_create(device, &cg_residual_class, module);
    if (status == CG_OK) {
        status = cg_module_add_child(*module, "body", body);
    } else {
        cg_module_destroy(body != NULL && body->parent == NULL ? body : NULL);
    }
    if (status == CG_OK && shortcut != NULL) {
        status = cg_module_add_child(*module, "shortcut", shortcut);
    } else if (shortcut != NULL && shortcut->parent == NULL) {
        cg_module_destroy(shortcut);
    }
    if (status != CG_OK) {
        cg_module_destroy(*module);
        *module = NULL;
    }
    return status;
}

static cg_status identity_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    (void)module;
    (void)tape;
    outputs[0] = inputs[0];
    return CG_OK;
}

const cg_module_class cg_identity_class = {
    .name = "Identity",
    .signature = "",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .forward = identity_forward,
};
