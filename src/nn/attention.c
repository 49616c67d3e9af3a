/* MultiheadAttention: query, key and value to heads, attention in each, and back; it also gives the averaged weights.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "module.h"

typedef struct attention {
    int64_t features, heads;
    double dropout;
    bool batch_first;
} attention;

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    attention *state = module->state;
    state->features = cg_argument_int(arguments, "embed_dim");
    state->heads = cg_argument_int(arguments, "num_heads");
    state->dropout = cg_argument_real(arguments, "dropout");
    state->batch_first = cg_argument_bool(arguments, "batch_first");
    int64_t e = state->features;
    if (e % state->heads != 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "MultiheadAttention: embed_dim %" PRId64 " is no multiple of num_heads %" PRId64, e,
                       state->heads);
    }
    bool bias = cg_argument_bool(arguments, "bias");
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "in_proj_weight", &CG_SHAPE(3 * e, e)));
    CG_TRY(bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "in_proj_bias", &CG_SHAPE(3 * e)) : CG_OK);
    cg_module *out = NULL;
    CG_TRY(cg_module_linear(module->device, e, e, bias, &out));
    return cg_module_add_child(module, "out_proj", out);
}

/* Part `which` of a packed weight or bias; NULL where there is none. */
static cg_tensor *part(cg_tape *tape, cg_tensor *packed, int64_t features, int64_t which) {
    return packed != NULL ? cg_slice(tape, packed, 0, which * features, (which + 1) * features, 1) : NULL;
}

/* x [batch, length, features] projected by part `which` of the weights, as [batch, heads, length, features / heads]. */
static cg_tensor *to_heads(const cg_module *module, cg_tape *tape, cg_tensor *x, int64_t which) {
    const attention *state = module->state;
    cg_tensor *weight = part(tape, cg_module_own(module, "in_proj_weight"), state->features, which);
    cg_tensor *bias = part(tape, cg_module_own(module, "in_proj_bias"), state->features, which);
    const int64_t *dim = cg_tensor_shape(x)->dim;
    cg_shape split = CG_SHAPE(dim[0], dim[1], state->heads, state->features / state->heads);
    return cg_permute(tape, cg_reshape(tape, cg_linear(tape, x, weight, bias), &split), (int[]){0, 2, 1, 3});
}

static cg_status check_inputs(const attention *state, cg_tensor *const *inputs) {
    const cg_shape *q = cg_tensor_shape(inputs[0]), *k = cg_tensor_shape(inputs[1]), *v = cg_tensor_shape(inputs[2]);
    int batch = state->batch_first ? 0 : 1;
    bool fits = q->rank == 3 && k->rank == 3 && cg_shape_equal(k, v) && q->dim[batch] == k->dim[batch] &&
                q->dim[2] == state->features && k->dim[2] == state->features && cg_shape_numel(q) > 0 &&
                cg_shape_numel(k) > 0;
    return fits ? CG_OK
                : cg_fail(CG_ERR_SHAPE,
                          "query is %s, key %s, value %s: [%s, %" PRId64 "] expected, key and value of one length",
                          cg_shape_print(q, CG_SHAPE_TEXT), cg_shape_print(k, CG_SHAPE_TEXT),
                          cg_shape_print(v, CG_SHAPE_TEXT), state->batch_first ? "batch, length" : "length, batch",
                          state->features);
}

/* The batch in front. */
static cg_tensor *batch_first(const attention *state, cg_tape *tape, cg_tensor *x) {
    return state->batch_first ? x : cg_transpose(tape, x, 0, 1);
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const attention *state = module->state;
    CG_TRY(check_inputs(state, inputs));
    cg_tensor *heads[3], *weights = NULL;
    for (int64_t i = 0; i < 3; i++) {
        heads[i] = to_heads(module, tape, batch_first(state, tape, inputs[i]), i);
    }
    const cg_attention_options options = {.dropout = cg_tape_mode(tape) == CG_TRAIN ? state->dropout : 0};
    cg_tensor *y = cg_scaled_dot_product_attention(tape, heads[0], heads[1], heads[2], &options, &weights);
    y = cg_flatten(tape, cg_permute(tape, y, (int[]){0, 2, 1, 3}), 2, 3);
    size_t count = 1;
    CG_TRY(cg_module_call(module->children[0], tape, &y, 1, &y, &count));
    outputs[0] = batch_first(state, tape, y);
    outputs[1] = cg_mean(tape, weights, 1u << 1, false);
    return CG_OK;
}

/* Xavier's uniform for the packed weights; biases are 0, the child's, too, which is drawn after this. */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const attention *state = module->state;
    double bound = sqrt(6.0 / (double)(4 * state->features));
    CG_TRY(cg_init_uniform(cg_module_own(module, "in_proj_weight"), -bound, bound, seed, stream));
    cg_tensor *bias = cg_module_own(module, "in_proj_bias");
    return bias != NULL ? cg_tensor_fill(bias, 0.0) : CG_OK;
}

static cg_status settle(cg_module *module) {
    cg_tensor *bias = cg_module_own(module->children[0], "bias");
    return bias != NULL ? cg_tensor_fill(bias, 0.0) : CG_OK;
}

const cg_module_class cg_multihead_attention_class = {
    .name = "MultiheadAttention",
    .signature = "embed_dim: positive, num_heads: positive, dropout: float = 0.0, bias: bool = True, "
                 "add_bias_kv: later = False, add_zero_attn: later = False, kdim: later = None, vdim: later = None, "
                 "batch_first: bool = False",
    .inputs = "query, key, value",
    .n_inputs = 3,
    .n_outputs = 2,
    .state_size = sizeof(attention),
    .children = CG_CHILDREN_OWN,
    .create = create,
    .forward = forward,
    .reset = reset,
    .settle = settle,
};
