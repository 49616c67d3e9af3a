/* Modules: making and destroying them, their names, and walking the tree. */
#include "module.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

/* "path.name", or the one of them that is not empty; the caller frees it. NULL when memory is out. */
static char *join(const char *path, const char *name) {
    cg_text joined = {0};
    cg_text_append(&joined, "%s%s%s", path, *path != '\0' && *name != '\0' ? "." : "", name);
    return joined.bytes;
}

static cg_status replace(char **text, char *by) {
    if (by == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_free(*text);
    *text = by;
    return CG_OK;
}

/* Makes the full names of a tree anew, after its root was given a parent. */
static cg_status name_tree(cg_module *module) {
    CG_TRY(replace(&module->path, join(module->parent != NULL ? module->parent->path : "", module->name)));
    for (size_t i = 0; i < module->n_tensors; i++) {
        cg_module_tensor *entry = &module->tensors[i];
        CG_TRY(replace(&entry->full_name, join(module->path, entry->name)));
    }
    for (size_t i = 0; i < module->n_children; i++) {
        CG_TRY(name_tree(module->children[i]));
    }
    return CG_OK;
}

cg_status cg_module_create(cg_device *device, const cg_module_class *class, cg_module **module) {
    *module = NULL;
    cg_module *made = cg_alloc_zero(1, sizeof *made);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    made->class = class;
    made->device = device;
    made->path = cg_strdup("");
    made->state = cg_alloc_zero(1, class->state_size);
    if (made->path == NULL || made->state == NULL) {
        cg_module_destroy(made);
        return CG_ERR_MEMORY;
    }
    *module = made;
    return CG_OK;
}

void cg_module_drop_tensors(cg_module *module) {
    for (size_t i = 0; i < module->n_tensors; i++) {
        cg_tensor_destroy(module->tensors[i].tensor);
        cg_free(module->tensors[i].full_name);
    }
    module->n_tensors = 0;
}

void cg_module_destroy(cg_module *module) {
    if (module == NULL) {
        return;
    }
    for (size_t i = 0; i < module->n_children; i++) {
        cg_module_destroy(module->children[i]);
    }
    cg_module_drop_tensors(module);
    cg_text_free(&module->arguments);
    cg_free(module->children);
    cg_free(module->tensors);
    cg_free(module->path);
    cg_free(module->state);
    cg_free(module);
}

static cg_status add_tensor(cg_module *module, cg_role role, const char *name, cg_dtype dtype, const cg_shape *shape) {
    if (!CG_GROW(module->tensors, module->n_tensors, module->tensors_capacity)) {
        return CG_ERR_MEMORY;
    }
    cg_module_tensor entry = {.role = role, .name = name, .full_name = join(module->path, name)};
    if (entry.full_name == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = cg_tensor_create(module->device, dtype, shape, &entry.tensor);
    if (status != CG_OK) {
        cg_free(entry.full_name);
        return status;
    }
    cg_tensor_set_requires_grad(entry.tensor, role == CG_ROLE_PARAMETER);
    module->tensors[module->n_tensors++] = entry;
    return CG_OK;
}

cg_status cg_module_add_tensor(cg_module *module, cg_role role, const char *name, const cg_shape *shape) {
    return add_tensor(module, role, name, cg_device_real(module->device), shape);
}

cg_status cg_module_add_counter(cg_module *module, const char *name) {
    return add_tensor(module, CG_ROLE_BUFFER, name, CG_I64, &CG_SCALAR);
}

cg_status cg_module_add_constant(cg_module *module, const char *name, const cg_expression *tensor) {
    cg_shape shape;
    double *values = NULL;
    cg_status status = cg_tensor_argument_read(tensor, &shape, &values);
    if (status != CG_OK) {
        return cg_fail_context(status, "%s: %s: ", module->class->name, name);
    }
    status = cg_module_add_tensor(module, CG_ROLE_BUFFER, name, &shape);
    if (status == CG_OK) {
        status = cg_tensor_write_f64(cg_module_own(module, name), values, cg_shape_numel(&shape));
    }
    cg_free(values);
    return status;
}

static cg_status check_child(const cg_module *module, const cg_module *child) {
    if (child->parent != NULL) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: the %s belongs to another module already", module->class->name,
                       child->class->name);
    }
    if (child->device != module->device) {
        return cg_fail(CG_ERR_DEVICE, "%s is on %s, its %s on %s", module->class->name,
                       cg_device_describe(module->device)->string, child->class->name,
                       cg_device_describe(child->device)->string);
    }
    return CG_OK;
}

cg_status cg_module_become(cg_module *module, const cg_module_class *class, int64_t first,
                           cg_status (*add_tensors)(cg_module *module)) {
    const char *rest = cg_text_get(&module->arguments);
    cg_text text = {0};
    cg_text_append(&text, "%" PRId64 "%s%s", first, *rest != '\0' ? ", " : "", rest);
    cg_status status = text.failed ? CG_ERR_MEMORY : add_tensors(module);
    if (status != CG_OK) {
        cg_module_drop_tensors(module);
        cg_text_free(&text);
        return status;
    }
    cg_text_free(&module->arguments);
    module->arguments = text;
    module->class = class;
    return CG_OK;
}

cg_status cg_module_add_bias(cg_module *module, int64_t channels) {
    static const char without[] = ", bias=False";
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &CG_SHAPE(channels)));
    char *found = strstr(module->arguments.bytes, without);
    if (found != NULL) {
        memmove(found, found + strlen(without), strlen(found + strlen(without)) + 1);
        module->arguments.length -= strlen(without);
    }
    return CG_OK;
}

void cg_module_become_identity(cg_module *module) {
    cg_module_drop_tensors(module);
    cg_text_free(&module->arguments);
    module->class = &cg_identity_class;
}

cg_status cg_module_add_child(cg_module *module, const char *name, cg_module *child) {
    if (child == NULL) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: child %s is NULL", module->class->name, name);
    }
    cg_status status = check_child(module, child);
    if (status == CG_OK && !CG_GROW(module->children, module->n_children, module->children_capacity)) {
        status = CG_ERR_MEMORY;
    }
    if (status != CG_OK) {
        cg_module_destroy(child->parent == NULL ? child : NULL);
        return status;
    }
    module->children[module->n_children++] = child;
    child->parent = module;
    snprintf(child->name, sizeof child->name, "%s", name);
    return name_tree(child);
}

cg_tensor *cg_module_own(const cg_module *module, const char *name) {
    for (size_t i = 0; i < module->n_tensors; i++) {
        if (strcmp(module->tensors[i].name, name) == 0) {
            return module->tensors[i].tensor;
        }
    }
    return NULL;
}

const cg_module *cg_module_unresolved(const cg_module *module) {
    const cg_module *found = module->class->lazy ? module : NULL;
    for (size_t i = 0; i < module->n_children && found == NULL; i++) {
        found = cg_module_unresolved(module->children[i]);
    }
    return found;
}

static size_t count_role(const cg_module *module, cg_role role) {
    size_t count = 0;
    for (size_t i = 0; i < module->n_tensors; i++) {
        count += module->tensors[i].role == role;
    }
    for (size_t i = 0; i < module->n_children; i++) {
        count += count_role(module->children[i], role);
    }
    return count;
}

/* Tensor number *index of a role: the module's own first, then its children's. Counts *index down to what is left. */
static const cg_module_tensor *nth(const cg_module *module, cg_role role, size_t *index) {
    for (size_t i = 0; i < module->n_tensors; i++) {
        if (module->tensors[i].role == role && (*index)-- == 0) {
            return &module->tensors[i];
        }
    }
    const cg_module_tensor *found = NULL;
    for (size_t i = 0; i < module->n_children && found == NULL; i++) {
        found = nth(module->children[i], role, index);
    }
    return found;
}

/* A name from the root as `module` sees it. */
static const char *seen_from(const cg_module *module, const char *full_name) {
    size_t above = strlen(module->path);
    return full_name + above + (above > 0);
}

static cg_tensor *get(const cg_module *module, cg_role role, size_t index, const char **name) {
    const cg_module_tensor *entry = nth(module, role, &index);
    if (name != NULL) {
        *name = entry != NULL ? seen_from(module, entry->full_name) : NULL;
    }
    return entry != NULL ? entry->tensor : NULL;
}

size_t cg_module_parameter_count(const cg_module *module) {
    return count_role(module, CG_ROLE_PARAMETER);
}

cg_tensor *cg_module_parameter(const cg_module *module, size_t index, const char **name) {
    return get(module, CG_ROLE_PARAMETER, index, name);
}

cg_status cg_module_to(cg_module *module, cg_dtype precision) {
    for (size_t i = 0, count = cg_module_parameter_count(module); i < count; i++) {
        CG_TRY(cg_tensor_keep_as(cg_module_parameter(module, i, NULL), precision));
    }
    return CG_OK;
}

size_t cg_module_buffer_count(const cg_module *module) {
    return count_role(module, CG_ROLE_BUFFER);
}

cg_tensor *cg_module_buffer(const cg_module *module, size_t index, const char **name) {
    return get(module, CG_ROLE_BUFFER, index, name);
}

size_t cg_module_child_count(const cg_module *module) {
    return module->n_children;
}

cg_module *cg_module_child(const cg_module *module, size_t index, const char **name) {
    cg_module *child = index < module->n_children ? module->children[index] : NULL;
    if (name != NULL) {
        *name = child != NULL ? child->name : NULL;
    }
    return child;
}

static cg_tensor *find_below(const cg_module *root, const cg_module *module, const char *name) {
    for (size_t i = 0; i < module->n_tensors; i++) {
        if (strcmp(seen_from(root, module->tensors[i].full_name), name) == 0) {
            return module->tensors[i].tensor;
        }
    }
    cg_tensor *found = NULL;
    for (size_t i = 0; i < module->n_children && found == NULL; i++) {
        found = find_below(root, module->children[i], name);
    }
    return found;
}

cg_tensor *cg_module_find(const cg_module *module, const char *name) {
    return find_below(module, module, name);
}

const char *cg_module_class_name(const cg_module *module) {
    return module->class->name;
}

const char *cg_module_inputs(const cg_module *module) {
    return module->class->inputs;
}

void cg_module_observe(cg_module *module, cg_module_observer observer, void *context) {
    module->observer = observer;
    module->observer_context = context;
}
