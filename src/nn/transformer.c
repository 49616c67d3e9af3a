/* TransformerEncoderLayer and TransformerEncoder: attention and two linear layers, each with a norm and a shortcut. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "module.h"

/* The layer's children, in PyTorch's order. */
enum { SELF_ATTN, LINEAR1, DROPOUT, LINEAR2, NORM1, NORM2, DROPOUT1, DROPOUT2 };

typedef struct encoder_layer {
    bool norm_first, gelu;
} encoder_layer;

/* Makes the child that a text describes. */
static cg_status add_child(cg_module *module, const char *name, const char *text) {
    cg_module *child = NULL;
    CG_TRY(cg_module_parse(module->device, text, &child));
    return cg_module_add_child(module, name, child);
}

static cg_status add_linear(cg_module *module, const char *name, int64_t in, int64_t out, bool bias) {
    cg_module *child = NULL;
    CG_TRY(cg_module_linear(module->device, in, out, bias, &child));
    return cg_module_add_child(module, name, child);
}

static cg_status layer_create(cg_module *module, const cg_arguments *arguments) {
    encoder_layer *state = module->state;
    int64_t model = cg_argument_int(arguments, "d_model"), wide = cg_argument_int(arguments, "dim_feedforward");
    bool bias = cg_argument_bool(arguments, "bias"), first = cg_argument_bool(arguments, "batch_first");
    char attention[192], norm[96], dropout[48];
    state->norm_first = cg_argument_bool(arguments, "norm_first");
    state->gelu = strcmp(cg_argument_text(arguments, "activation"), "gelu") == 0;
    snprintf(dropout, sizeof dropout, "Dropout(%.17g)", cg_argument_real(arguments, "dropout"));
    snprintf(norm, sizeof norm, "LayerNorm(%" PRId64 ", eps=%.17g, bias=%s)", model,
             cg_argument_real(arguments, "layer_norm_eps"), bias ? "True" : "False");
    snprintf(attention, sizeof attention,
             "MultiheadAttention(%" PRId64 ", %" PRId64 ", dropout=%.17g, bias=%s, batch_first=%s)", model,
             cg_argument_int(arguments, "nhead"), cg_argument_real(arguments, "dropout"), bias ? "True" : "False",
             first ? "True" : "False");
    CG_TRY(add_child(module, "self_attn", attention));
    CG_TRY(add_linear(module, "linear1", model, wide, bias));
    CG_TRY(add_child(module, "dropout", dropout));
    CG_TRY(add_linear(module, "linear2", wide, model, bias));
    CG_TRY(add_child(module, "norm1", norm));
    CG_TRY(add_child(module, "norm2", norm));
    CG_TRY(add_child(module, "dropout1", dropout));
    return add_child(module, "dropout2", dropout);
}

static cg_status run(const cg_module *module, int child, cg_tape *tape, cg_tensor *x, cg_tensor **y) {
    size_t count = 1;
    return cg_module_call(module->children[child], tape, &x, 1, y, &count);
}

/* `masks`: src_mask and src_key_padding_mask. */
static cg_status attend(const cg_module *module, cg_tape *tape, cg_tensor *x, cg_tensor *const *masks, cg_tensor **y) {
    cg_tensor *inputs[] = {x, x, x, masks[1], masks[0]}, *attended = NULL;
    size_t count = 1;
    CG_TRY(cg_module_call(module->children[SELF_ATTN], tape, inputs, 5, &attended, &count));
    return run(module, DROPOUT1, tape, attended, y);
}

static cg_status feed_forward(const cg_module *module, cg_tape *tape, cg_tensor *x, cg_tensor **y) {
    const encoder_layer *state = module->state;
    CG_TRY(run(module, LINEAR1, tape, x, &x));
    x = state->gelu ? cg_gelu(tape, x, false) : cg_relu(tape, x);
    CG_TRY(run(module, DROPOUT, tape, x, &x));
    CG_TRY(run(module, LINEAR2, tape, x, &x));
    return run(module, DROPOUT2, tape, x, y);
}

static cg_status layer_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const encoder_layer *state = module->state;
    cg_tensor *x = inputs[0], *inner = x, *added = NULL;
    if (state->norm_first) {
        CG_TRY(run(module, NORM1, tape, x, &inner));
    }
    CG_TRY(attend(module, tape, inner, inputs + 1, &added));
    x = cg_add(tape, x, added);
    if (!state->norm_first) {
        CG_TRY(run(module, NORM1, tape, x, &x));
    }
    inner = x;
    if (state->norm_first) {
        CG_TRY(run(module, NORM2, tape, x, &inner));
    }
    CG_TRY(feed_forward(module, tape, inner, &added));
    outputs[0] = cg_add(tape, x, added);
    return state->norm_first ? CG_OK : run(module, NORM2, tape, outputs[0], &outputs[0]);
}

const cg_module_class cg_transformer_encoder_layer_class = {
    .name = "TransformerEncoderLayer",
    .signature = "d_model: positive, nhead: positive, dim_feedforward: positive = 2048, dropout: float = 0.1, "
                 "activation: 'relu' | 'gelu' = 'relu', layer_norm_eps: float = 1e-05, batch_first: bool = False, "
                 "norm_first: bool = False, bias: bool = True",
    .inputs = "src, src_mask, src_key_padding_mask",
    .n_inputs = 3,
    .n_optional = 2,
    .n_outputs = 1,
    .state_size = sizeof(encoder_layer),
    .children = CG_CHILDREN_OWN,
    .create = layer_create,
    .forward = layer_forward,
};

/* Every layer is made anew from the one that is given. */
static cg_status encoder_create(cg_module *module, const cg_arguments *arguments) {
    const cg_expression *layer = cg_argument_value(arguments, "encoder_layer");
    int64_t count = cg_argument_int(arguments, "num_layers");
    for (int64_t i = 0; i < count; i++) {
        char name[32];
        cg_module *child = NULL;
        snprintf(name, sizeof name, "layers.%" PRId64, i);
        CG_TRY(cg_module_build(module->device, layer, &child));
        CG_TRY(cg_module_add_child(module, name, child));
    }
    if (cg_argument_is_none(arguments, "norm")) {
        return CG_OK;
    }
    cg_module *norm = NULL;
    CG_TRY(cg_module_build(module->device, cg_argument_value(arguments, "norm"), &norm));
    return cg_module_add_child(module, "norm", norm);
}

/* The layers get the masks, the norm behind them does not. A layer of another kind takes none. */
static cg_status encoder_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    bool masked = inputs[1] != NULL || inputs[2] != NULL;
    outputs[0] = inputs[0];
    for (size_t i = 0; i < module->n_children; i++) {
        bool norm = strcmp(module->children[i]->name, "norm") == 0;
        cg_tensor *given[] = {outputs[0], inputs[1], inputs[2]};
        size_t count = 1;
        CG_TRY(cg_module_call(module->children[i], tape, given, masked && !norm ? 3 : 1, &outputs[0], &count));
    }
    return CG_OK;
}

const cg_module_class cg_transformer_encoder_class = {
    .name = "TransformerEncoder",
    .signature =
        "encoder_layer: module, num_layers: positive, norm: module | None = None, enable_nested_tensor: bool = True, "
        "mask_check: bool = True",
    .inputs = "src, mask, src_key_padding_mask",
    .n_inputs = 3,
    .n_optional = 2,
    .n_outputs = 1,
    .children = CG_CHILDREN_COPIES,
    .create = encoder_create,
    .forward = encoder_forward,
};
