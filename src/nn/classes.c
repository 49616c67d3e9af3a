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
    &cg_log_softmax_class,
    &cg_softmax_class,
    &cg_softmin_class,
    &cg_glu_class,
    &cg_softmax2d_class,
    &cg_batch_norm1d_class,
    &cg_batch_norm2d_class,
    &cg_lazy_batch_norm1d_class,
    &cg_lazy_batch_norm2d_class,
    &cg_layer_norm_class,
    &cg_rms_norm_class,
    &cg_group_norm_class,
    &cg_instance_norm2d_class,
    &cg_local_response_norm_class,
    &cg_dropout_class,
    &cg_dropout2d_class,
    &cg_embedding_class,
    &cg_multihead_attention_class,
    &cg_transformer_encoder_layer_class,
    &cg_transformer_encoder_class,
    &cg_rnn_class,
    &cg_lstm_class,
    &cg_gru_class,
    &cg_bilinear_class,
    &cg_cosine_similarity_class,
    &cg_unflatten_class,
    &cg_permute_class,
    &cg_conv1d_class,
    &cg_conv2d_class,
    &cg_conv3d_class,
    &cg_lazy_conv1d_class,
    &cg_lazy_conv2d_class,
    &cg_lazy_conv3d_class,
    &cg_conv_transpose1d_class,
    &cg_conv_transpose2d_class,
    &cg_max_pool1d_class,
    &cg_max_pool2d_class,
    &cg_avg_pool1d_class,
    &cg_avg_pool2d_class,
    &cg_adaptive_avg_pool1d_class,
    &cg_adaptive_avg_pool2d_class,
    &cg_adaptive_max_pool2d_class,
    &cg_zero_pad2d_class,
    &cg_reflection_pad2d_class,
    &cg_replication_pad2d_class,
    &cg_upsample_class,
    &cg_pixel_shuffle_class,
    &cg_pixel_unshuffle_class,
    &cg_channel_shuffle_class,
};

/* Tables of classes that are alike. */
static const cg_module_class *class_at(size_t index) {
    size_t count = sizeof classes / sizeof *classes;
    if (index < count) {
        return classes[index];
    }
    index -= count;
    if (index < cg_activation_count) {
        return &cg_activation_classes[index];
    }
    index -= cg_activation_count;
    return index < cg_loss_count ? &cg_loss_classes[index] : NULL;
}

const cg_module_class *cg_module_class_find(const char *name) {
    size_t index = 0;
    const cg_module_class *class = class_at(0);
    while (class != NULL && strcmp(class->name, name) != 0) {
        class = class_at(++index);
    }
    return class;
}

const char *cg_module_class_at(size_t index) {
    const cg_module_class *class = class_at(index);
    return class != NULL ? class->name : NULL;
}
