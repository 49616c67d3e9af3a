/*
 * What a module is inside, and how a kind of layer is made: a cg_module_class and one row in classes.c.
 *
 * A layer's forward records ops and returns CG_OK: what goes wrong in an op stays on the tape. It returns a failure for
 * what it checks itself, and that of a child, whose call has put it on the tape already; cg_module_call tells the three
 * apart and puts the layer's name in front of its own.
 */
#ifndef CLGRAD_MODULE_H
#define CLGRAD_MODULE_H

#include <clgrad/nn.h>

#include "arguments.h"

typedef struct cg_activation cg_activation;

/* Inputs of a module at the most. */
#define CG_MODULE_MAX_INPUTS 8

/* Where a layer's children come from, and so how it is printed. */
typedef enum cg_children {
    CG_CHILDREN_GIVEN,  /* they are its arguments */
    CG_CHILDREN_OWN,    /* it makes them from its numbers: they are not printed */
    CG_CHILDREN_COPIES, /* one argument, made several times as NAME.0, NAME.1 ...: the first is printed, and others by
                           their names */
} cg_children;

typedef cg_status (*cg_forward_fn)(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs);

typedef struct cg_module_class {
    const char *name;
    const char *signature; /* what arguments.h reads */
    const char *inputs;    /* "input, target" */
    size_t n_inputs, n_outputs;
    size_t n_optional; /* the last so many inputs may be left out or NULL: forward finds NULL there */
    size_t state_size; /* bytes of the layer's own numbers, zero when create is called */
    bool lazy;         /* takes its shapes from the first input */
    /* Takes the arguments, makes parameters and children. NULL: nothing to do. The caller destroys what fails. */
    cg_status (*create)(cg_module *module, const cg_arguments *arguments);
    cg_forward_fn forward;
    /* The same for a caller with room for the first output alone. NULL: there must be room for all. */
    cg_forward_fn forward_first;
    /* The same with a ReLU behind it, in one op. NULL: there is no such op. */
    cg_forward_fn forward_relu;
    /* Draws the layer's own parameters; the first has stream `stream`, the next one more. NULL: it has none. */
    cg_status (*reset)(cg_module *module, uint64_t seed, uint64_t stream);
    /* Changes what its children drew. NULL: nothing. */
    cg_status (*settle)(cg_module *module);
    cg_children children;
    const cg_activation *activation; /* the row of activation.c that it is made of; NULL: none */
} cg_module_class;

typedef enum cg_role { CG_ROLE_PARAMETER, CG_ROLE_BUFFER } cg_role;

typedef struct cg_module_tensor {
    cg_role role;
    const char *name; /* "weight", a constant */
    char *full_name;  /* "0.weight", from the root */
    cg_tensor *tensor;
} cg_module_tensor;

struct cg_module {
    const cg_module_class *class;
    cg_device *device;
    cg_module *parent; /* NULL: the root */
    char name[32];     /* as its parent knows it */
    char *path;        /* "0.body", from the root; "" there */
    cg_text arguments; /* as printed, children left out */
    cg_module_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    cg_module **children;
    size_t n_children, children_capacity;
    cg_module_observer observer;
    void *observer_context;
    void *state; /* class->state_size bytes */
};

/* An empty module of a class: create has not been called. */
cg_status cg_module_create(cg_device *device, const cg_module_class *class, cg_module **module) CG_MUST_USE;

/* The module that a call describes. */
cg_status cg_module_build(cg_device *device, const cg_expression *call, cg_module **module) CG_MUST_USE;

/* A tensor of zeros of the device's own dtype; a parameter requires a gradient. It is the module's. */
cg_status cg_module_add_tensor(cg_module *module, cg_role role, const char *name, const cg_shape *shape) CG_MUST_USE;

/* A buffer [] of i64 that counts, from 0. */
cg_status cg_module_add_counter(cg_module *module, const char *name) CG_MUST_USE;

/* Makes a lazy module one of `class` for good: `add_tensors` makes its tensors, `first` is printed in front of its
 * arguments. When this fails it is as lazy as before. */
cg_status cg_module_become(cg_module *module, const cg_module_class *class, int64_t first,
                           cg_status (*add_tensors)(cg_module *module)) CG_MUST_USE;

/* Gives a layer that was made without one a bias of zeros, [channels], also in its text. */
cg_status cg_module_add_bias(cg_module *module, int64_t channels) CG_MUST_USE;

/* Makes a module without children an Identity for good. */
void cg_module_become_identity(cg_module *module);

/* What a batch norm with running statistics is in eval mode: x * scale + shift. All three have its channels. */
cg_status cg_batch_norm_affine(const cg_module *module, double *scale, double *shift, double *values) CG_MUST_USE;

/* A buffer of what a `tensor` argument gives. Errors name the module and the argument. */
cg_status cg_module_add_constant(cg_module *module, const char *name, const cg_expression *tensor) CG_MUST_USE;

/* Destroys the module's own tensors, its children's not. */
void cg_module_drop_tensors(cg_module *module);

/* The child is the module's from then on, also when this fails. */
cg_status cg_module_add_child(cg_module *module, const char *name, cg_module *child) CG_MUST_USE;

/* Whether somebody observes the module: then each module's own output is wanted. */
bool cg_module_observed(const cg_module *module);

/* cg_module_call of a module that has forward_relu, one input and one output. */
cg_status cg_module_call_relu(cg_module *module, cg_tape *tape, cg_tensor *input, cg_tensor **output) CG_MUST_USE;

/* A tensor of this module alone, by its short name; NULL when it has none. */
cg_tensor *cg_module_own(const cg_module *module, const char *name);

/* The first module of the tree that has no shapes yet; NULL: none. */
const cg_module *cg_module_unresolved(const cg_module *module);

/* The class of that name; NULL: none. */
const cg_module_class *cg_module_class_find(const char *name);
/* Name of class `index`; NULL after the last. */
const char *cg_module_class_at(size_t index);

extern const cg_module_class cg_linear_class, cg_lazy_linear_class;
/* Activations that are one op: a table instead of a name each. */
extern const cg_module_class cg_activation_classes[];
extern const size_t cg_activation_count;
extern const cg_module_class cg_gelu_class, cg_prelu_class, cg_general_relu_class, cg_log_softmax_class;
extern const cg_module_class cg_softmax_class, cg_softmin_class, cg_glu_class, cg_softmax2d_class;
extern const cg_module_class cg_flatten_class;
extern const cg_module_class cg_batch_norm1d_class, cg_batch_norm2d_class;
extern const cg_module_class cg_lazy_batch_norm1d_class, cg_lazy_batch_norm2d_class, cg_instance_norm2d_class;
extern const cg_module_class cg_layer_norm_class, cg_rms_norm_class, cg_group_norm_class;
extern const cg_module_class cg_local_response_norm_class;
extern const cg_module_class cg_multihead_attention_class;
extern const cg_module_class cg_transformer_encoder_layer_class, cg_transformer_encoder_class;
extern const cg_module_class cg_rnn_class, cg_lstm_class, cg_gru_class;
extern const cg_module_class cg_bilinear_class, cg_cosine_similarity_class, cg_unflatten_class;
extern const cg_module_class cg_permute_class;
extern const cg_module_class cg_dropout_class, cg_dropout2d_class, cg_embedding_class;
extern const cg_module_class cg_sequential_class, cg_residual_class, cg_identity_class;
extern const cg_module_class cg_conv1d_class, cg_conv2d_class, cg_conv3d_class;
extern const cg_module_class cg_lazy_conv1d_class, cg_lazy_conv2d_class, cg_lazy_conv3d_class;
extern const cg_module_class cg_conv_transpose1d_class, cg_conv_transpose2d_class;
extern const cg_module_class cg_loss_classes[];
extern const size_t cg_loss_count;
extern const cg_module_class cg_max_pool1d_class, cg_max_pool2d_class, cg_avg_pool1d_class, cg_avg_pool2d_class;
extern const cg_module_class cg_adaptive_avg_pool1d_class, cg_adaptive_avg_pool2d_class, cg_adaptive_max_pool2d_class;
extern const cg_module_class cg_zero_pad2d_class, cg_reflection_pad2d_class, cg_replication_pad2d_class;
extern const cg_module_class cg_upsample_class;
extern const cg_module_class cg_pixel_shuffle_class, cg_pixel_unshuffle_class, cg_channel_shuffle_class;

#endif
