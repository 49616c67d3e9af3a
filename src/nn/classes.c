/* Every kind of module, one row each. A new layer: its class, declared in module.h, and its row here. */
#include <string.h>

#include "module.h"

static const cg_module_class *const classes[] = {
    &cg_linear_class,   &cg_lazy_linear_class,        &cg_relu_class,        &cg_general_relu_class,
    &cg_flatten_class,  &cg_sequential_class,         &cg_residual_class,    &cg_identity_class,
    &cg_mse_loss_class, &cg_cross_entropy_loss_class, &cg_log_softmax_class,
};

const cg_module_class *cg_module_class_find(const char *name) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i]->name, name) == 0) {
            return classes[i];
        }
    }
    return NULL;
}

const char *cg_module_class_at(size_t index) {
    return index < sizeof classes / sizeof *classes ? classes[index]->name : NULL;
}
