/* Modules from text and back. */
#include <string.h>

#include "module.h"

cg_status cg_module_build(cg_device *device, const cg_expression *call, cg_module **module) {
    *module = NULL;
    const cg_module_class *class = cg_module_class_find(call->text);
    if (class == NULL) {
        return cg_fail_unknown("module", call->text, cg_module_class_at);
    }
    cg_module *made = NULL;
    cg_arguments arguments;
    CG_TRY(cg_arguments_bind(call, class->signature, &arguments));
    cg_status status = cg_module_create(device, class, &made);
    if (status == CG_OK) {
        cg_arguments_print(&arguments, &made->arguments);
        status = made->arguments.failed ? CG_ERR_MEMORY : CG_OK;
    }
    if (status == CG_OK && class->create != NULL) {
        status = class->create(made, &arguments);
    }
    cg_arguments_free(&arguments);
    if (status != CG_OK) {
        cg_module_destroy(made);
        return status;
    }
    *module = made;
    return CG_OK;
}

/* What stands at the top: one call is itself, several are a Sequential. */
static cg_status build_top(cg_device *device, cg_expression *top, cg_module **module) {
    if (top->count == 1) {
        return cg_module_build(device, cg_expression_first(top), module);
    }
    top->kind = CG_EXPRESSION_CALL; /* the parser's tuple becomes a call */
    top->text = cg_sequential_class.name;
    return cg_module_build(device, top, module);
}

cg_status cg_module_parse(cg_device *device, const char *text, cg_module **module) {
    *module = NULL;
    cg_syntax syntax;
    CG_TRY(cg_syntax_parse(text, &syntax));
    cg_status status = build_top(device, syntax.nodes, module);
    cg_syntax_free(&syntax);
    return status;
}

static size_t count_shown(const cg_module *module) {
    switch (module->class->children) {
    case CG_CHILDREN_OWN:
        return 0;
    case CG_CHILDREN_COPIES:
        return module->n_children > 0 ? 1 : 0;
    default:
        return module->n_children;
    }
}

static void print(const cg_module *module, cg_text *text) {
    cg_text_append(text, "%s(", module->class->name);
    size_t arguments = count_shown(module);
    for (size_t i = 0; i < arguments; i++) {
        cg_text_append(text, "%s", i > 0 ? ", " : "");
        print(module->children[i], text);
    }
    bool comma = arguments > 0 && module->arguments.length > 0;
    cg_text_append(text, "%s%s", comma ? ", " : "", cg_text_get(&module->arguments));
    for (size_t i = 0; i < module->n_children && module->class->children == CG_CHILDREN_COPIES; i++) {
        if (strchr(module->children[i]->name, '.') == NULL) { /* no copy */
            cg_text_append(text, ", %s=", module->children[i]->name);
            print(module->children[i], text);
        }
    }
    cg_text_append(text, ")");
}

size_t cg_module_print(const cg_module *module, char *text, size_t size) {
    cg_text whole = {0};
    print(module, &whole);
    size_t length = cg_text_copy(&whole, text, size);
    cg_text_free(&whole);
    return length;
}
