/*
 * Every kind of module, one row each. A new layer: its class, declared in module.h, and its row here. Activations that
 * are one op are a table of their own, in activation.c.
 */
#include <string.h>

#include "module.h"

static const cg_module_class *const classes[] = {
    &cg_linear_class,
    &cg_lazy_linear_class,
    &cg_gelu_class,
    &cg_prelu_class,
    &cg_general_relu_class,
    &cg_flatten_class,
    &cg_sequential_class,
    &cg_residual_class,
    &cg_identity_class,
    &cg_mse_loss_class,
    &cg_cross_entropy_loss_class,
    &cg_log_softmax_class,
    &cg_softmax_class,
    &cg_softmin_class,
    &cg_softmax2d_class,
    &cg_conv1d_class,
    &cg_conv2d_class,
    &cg_conv3d_class,
    &cg_lazy_conv1d_class,
    &cg_lazy_conv2d_class,
    &cg_lazy_conv3d_class,
    &cg_conv_transpose1d_class,
    &cg_conv_transpose2d_class,
};
static const size_t class_count = sizeof classes / sizeof *classes;

static const cg_module_class *class_at(size_t index) {
    if (index < class_count) {
        return classes[index];
    }
    return index - class_count < cg_activation_count ? &cg_activation_classes[index - class_count] : NULL;
}

const cg_module_class *cg_module_class_find(const char *name) {
    for (size_t i = 0; i < class_count + cg_activation_count; i++) {
        if (strcmp(class_at(i)->name, name) == 0) {
            return class_at(i);
        }
    }
    return NULL;
}

const char *cg_module_class_at(size_t index) {
    const cg_module_class *class = class_at(index);
    return class != NULL ? class->name : NULL;
}
