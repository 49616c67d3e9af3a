/* MultiheadAttention: query, key and value to heads, attention in each, and back; it also gives the averaged weights.
 */
#include <inttypes.h>
#include <math.h>

#include <clgrad/spatial.h>

#include "module.h"

enum { QUERY, KEY, VALUE, KEY_PADDING_MASK, ATTN_MASK };

static const char *const projections[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
static const char *const extra_keys[] = {NULL, "bias_k", "bias_v"};

typedef struct attention {
    int64_t features, heads;
    int64_t widths[3]; /* of query, key and value */
    bool packed;       /* all three are `features` wide: one weight in three parts */
    bool bias_kv, zero_attn;
    double dropout;
    bool batch_first;
} attention;

static int64_t width(const cg_arguments *arguments, const char *name, int64_t otherwise) {
    return cg_argument_is_none(arguments, name) ? otherwise : cg_argument_int(arguments, name);
}

static cg_status add_weights(cg_module *module, bool bias) {
    const attention *state = module->state;
    int64_t e = state->features;
    if (state->packed) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "in_proj_weight", &CG_SHAPE(3 * e, e)));
    }
    for (int i = QUERY; i <= VALUE && !state->packed; i++) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, projections[i], &CG_SHAPE(e, state->widths[i])));
    }
    CG_TRY(bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "in_proj_bias", &CG_SHAPE(3 * e)) : CG_OK);
    for (int i = KEY; i <= VALUE && state->bias_kv; i++) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, extra_keys[i], &CG_SHAPE(1, 1, e)));
    }
    cg_module *out = NULL;
    CG_TRY(cg_module_linear(module->device, e, e, bias, &out));
    return cg_module_add_child(module, "out_proj", out);
}

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    attention *state = module->state;
    int64_t e = state->features = cg_argument_int(arguments, "embed_dim");
    state->heads = cg_argument_int(arguments, "num_heads");
    state->widths[QUERY] = e;
    state->widths[KEY] = width(arguments, "kdim", e);
    state->widths[VALUE] = width(arguments, "vdim", e);
    state->packed = state->widths[KEY] == e && state->widths[VALUE] == e;
    state->bias_kv = cg_argument_bool(arguments, "add_bias_kv");
    state->zero_attn = cg_argument_bool(arguments, "add_zero_attn");
    state->dropout = cg_argument_real(arguments, "dropout");
    state->batch_first = cg_argument_bool(arguments, "batch_first");
    if (e % state->heads != 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "MultiheadAttention: embed_dim %" PRId64 " is no multiple of num_heads %" PRId64, e,
                       state->heads);
    }
    return add_weights(module, cg_argument_bool(arguments, "bias"));
}

/* Part `which` of a packed weight or bias; NULL where there is none. */
static cg_tensor *part(cg_tape *tape, cg_tensor *packed, int64_t features, int64_t which) {
    return packed != NULL ? cg_slice(tape, packed, 0, which * features, (which + 1) * features, 1) : NULL;
}

/* x [batch, length, width] projected: [batch, length, features]. */
static cg_tensor *project(const cg_module *module, cg_tape *tape, cg_tensor *x, int which) {
    const attention *state = module->state;
    cg_tensor *packed = cg_module_own(module, "in_proj_weight");
    cg_tensor *weight =
        state->packed ? part(tape, packed, state->features, which) : cg_module_own(module, projections[which]);
    return cg_linear(tape, x, weight, part(tape, cg_module_own(module, "in_proj_bias"), state->features, which));
}

/* One key and value more, learned, and one of zeros, where the layer has them. */
static cg_tensor *with_extra_keys(const cg_module *module, cg_tape *tape, cg_tensor *x, int which) {
    const attention *state = module->state;
    const cg_shape one = CG_SHAPE(cg_tensor_shape(x)->dim[0], 1, state->features);
    cg_tensor *parts[3] = {x};
    size_t count = 1;
    if (state->bias_kv && which != QUERY) {
        parts[count++] = cg_expand(tape, cg_module_own(module, extra_keys[which]), &one);
    }
    if (state->zero_attn && which != QUERY) {
        parts[count++] = cg_full(tape, &one, 0.0);
    }
    return count > 1 ? cg_concat(tape, parts, count, 1) : x;
}

/* As [batch, heads, length, features / heads]. */
static cg_tensor *to_heads(const cg_module *module, cg_tape *tape, cg_tensor *x, int which) {
    const attention *state = module->state;
    x = with_extra_keys(module, tape, project(module, tape, x, which), which);
    const int64_t *dim = cg_tensor_shape(x)->dim;
    cg_shape split = CG_SHAPE(dim[0], dim[1], state->heads, state->features / state->heads);
    return cg_permute(tape, cg_reshape(tape, x, &split), (int[]){0, 2, 1, 3});
}

/* What is added to the scores: a mask of real numbers is, one of integers is -infinity where it is not 0. */
static cg_tensor *additive(cg_tape *tape, cg_tensor *mask) {
    if (cg_tensor_dtype(mask) == CG_F32 || cg_tensor_dtype(mask) == CG_F64) {
        return mask;
    }
    cg_tensor *forbidden = cg_cast(tape, mask, cg_device_real(cg_tape_device(tape)));
    return cg_where(tape, forbidden, cg_full(tape, &CG_SCALAR, -INFINITY), cg_full(tape, &CG_SCALAR, 0.0));
}

/* Both masks together, for all keys, also those that the layer adds, which nothing forbids: [batch, heads, queries,
 * keys], with 1 where they are the same for all; NULL: there is none. */
static cg_tensor *joined_masks(const attention *state, cg_tape *tape, cg_tensor *padding, cg_tensor *mask,
                               int64_t batch) {
    if (padding != NULL) {
        padding = additive(tape, padding);
        padding = cg_reshape(tape, padding, &CG_SHAPE(batch, 1, 1, cg_tensor_numel(padding) / batch));
    }
    if (mask != NULL) {
        const cg_shape *shape = cg_tensor_shape(mask);
        const int64_t *last = shape->dim + shape->rank - 2;
        bool each = shape->rank == 3;
        mask = cg_reshape(tape, additive(tape, mask),
                          &CG_SHAPE(each ? batch : 1, each ? state->heads : 1, last[0], last[1]));
    }
    cg_tensor *joined =
        padding == NULL || mask == NULL ? (padding != NULL ? padding : mask) : cg_add(tape, padding, mask);
    int64_t extra = state->bias_kv + state->zero_attn;
    return joined != NULL && extra > 0 ? cg_pad(tape, joined, (int64_t[]){0, extra}, 1, CG_PAD_CONSTANT, 0.0) : joined;
}

/* Query, key and value all have a batch's axis or none, one batch, and key and value one length. */
static cg_status check_tensors(const attention *state, cg_tensor *const *inputs) {
    const cg_shape *q = cg_tensor_shape(inputs[QUERY]), *k = cg_tensor_shape(inputs[KEY]);
    const cg_shape *v = cg_tensor_shape(inputs[VALUE]);
    int rank = q->rank, batch = state->batch_first ? 0 : 1, length = rank == 3 ? 1 - batch : 0;
    bool fits = (rank == 2 || rank == 3) && k->rank == rank && v->rank == rank;
    for (int i = 0; fits && i < rank - 1; i++) {
        fits = k->dim[i] == v->dim[i];
    }
    fits = fits && (rank == 2 || q->dim[batch] == k->dim[batch]) && q->dim[rank - 1] == state->widths[QUERY] &&
           k->dim[rank - 1] == state->widths[KEY] && v->dim[rank - 1] == state->widths[VALUE] && q->dim[length] > 0 &&
           k->dim[length] > 0; /* the batch may be empty */
    return fits ? CG_OK
                : cg_fail(CG_ERR_SHAPE,
                          "query is %s, key %s, value %s: [%s, features] or [length, features] expected, with %" PRId64
                          ", %" PRId64 " and %" PRId64 " features, key and value of one length",
                          cg_shape_print(q, CG_SHAPE_TEXT), cg_shape_print(k, CG_SHAPE_TEXT),
                          cg_shape_print(v, CG_SHAPE_TEXT), state->batch_first ? "batch, length" : "length, batch",
                          state->widths[QUERY], state->widths[KEY], state->widths[VALUE]);
}

/* The inputs as they are worked on: [batch, length, features], and the masks. */
typedef struct prepared {
    cg_tensor *x[3], *padding, *mask;
    bool alone; /* no batch's axis */
} prepared;

static cg_status check_masks(const attention *state, const prepared *given) {
    int64_t batch = cg_tensor_shape(given->x[QUERY])->dim[0], queries = cg_tensor_shape(given->x[QUERY])->dim[1];
    int64_t keys = cg_tensor_shape(given->x[KEY])->dim[1];
    const cg_shape padding = given->alone ? CG_SHAPE(keys) : CG_SHAPE(batch, keys);
    const cg_shape one = CG_SHAPE(queries, keys), each = CG_SHAPE(batch * state->heads, queries, keys);
    if (given->padding != NULL && !cg_shape_equal(cg_tensor_shape(given->padding), &padding)) {
        return cg_fail(CG_ERR_SHAPE, "key_padding_mask is %s, expected %s",
                       cg_shape_print(cg_tensor_shape(given->padding), CG_SHAPE_TEXT),
                       cg_shape_print(&padding, CG_SHAPE_TEXT));
    }
    const cg_shape *mask = given->mask != NULL ? cg_tensor_shape(given->mask) : &one;
    return cg_shape_equal(mask, &one) || cg_shape_equal(mask, &each)
               ? CG_OK
               : cg_fail(CG_ERR_SHAPE, "attn_mask is %s, expected %s or, for each head, %s",
                         cg_shape_print(mask, CG_SHAPE_TEXT), cg_shape_print(&one, CG_SHAPE_TEXT),
                         cg_shape_print(&each, CG_SHAPE_TEXT));
}

static cg_status prepare(const attention *state, cg_tape *tape, cg_tensor *const *inputs, prepared *given) {
    CG_TRY(check_tensors(state, inputs));
    *given = (prepared){.padding = inputs[KEY_PADDING_MASK], .mask = inputs[ATTN_MASK]};
    given->alone = cg_tensor_shape(inputs[QUERY])->rank == 2;
    for (int i = QUERY; i <= VALUE; i++) {
        cg_tensor *x = inputs[i];
        given->x[i] = given->alone ? cg_unsqueeze(tape, x, 0) : state->batch_first ? x : cg_transpose(tape, x, 0, 1);
    }
    CG_TRY(cg_tape_status(tape)); /* what failed has no shape to be checked */
    return check_masks(state, given);
}

/* The output, and the weights of all heads [batch, heads, queries, keys]. */
static cg_status attend(cg_module *module, cg_tape *tape, const prepared *given, cg_tensor **output,
                        cg_tensor **weights) {
    const attention *state = module->state;
    cg_tensor *heads[3];
    for (int i = QUERY; i <= VALUE; i++) {
        heads[i] = to_heads(module, tape, given->x[i], i);
    }
    int64_t batch = cg_tensor_shape(given->x[QUERY])->dim[0];
    const cg_attention_options options = {
        .mask = joined_masks(state, tape, given->padding, given->mask, batch),
        .dropout = cg_tape_mode(tape) == CG_TRAIN ? state->dropout : 0,
    };
    cg_tensor *y = cg_scaled_dot_product_attention(tape, heads[0], heads[1], heads[2], &options, weights);
    y = cg_flatten(tape, cg_permute(tape, y, (int[]){0, 2, 1, 3}), 2, 3);
    size_t count = 1;
    CG_TRY(cg_module_call(module->children[0], tape, &y, 1, &y, &count));
    *output = given->alone ? cg_squeeze(tape, y, 0) : state->batch_first ? y : cg_transpose(tape, y, 0, 1);
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    prepared given;
    cg_tensor *weights = NULL;
    CG_TRY(prepare(module->state, tape, inputs, &given));
    CG_TRY(attend(module, tape, &given, &outputs[0], &weights));
    weights = cg_mean(tape, weights, 1u << 1, false);
    outputs[1] = given.alone ? cg_squeeze(tape, weights, 0) : weights;
    return CG_OK;
}

/* need_weights=False. */
static cg_status forward_first(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    prepared given;
    CG_TRY(prepare(module->state, tape, inputs, &given));
    return attend(module, tape, &given, &outputs[0], NULL);
}

/* Xavier's: uniform for weights, normal for the extra keys. Biases are 0, the child's, too, which is drawn after this.
 */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const attention *state = module->state;
    for (size_t i = 0; i < module->n_tensors; i++) {
        cg_tensor *tensor = module->tensors[i].tensor;
        const cg_shape *shape = cg_tensor_shape(tensor);
        if (shape->rank == 1) {
            CG_TRY(cg_tensor_fill(tensor, 0.0));
        } else if (shape->rank == 2) {
            double bound = sqrt(6.0 / (double)(shape->dim[0] + shape->dim[1]));
            CG_TRY(cg_init_uniform(tensor, -bound, bound, seed, stream + i));
        } else { /* [1, 1, features]: its fans are 1 and 1 times features */
            CG_TRY(cg_init_normal(tensor, 0.0, sqrt(2.0 / (double)(2 * state->features)), seed, stream + i));
        }
    }
    return CG_OK;
}

static cg_status settle(cg_module *module) {
    cg_tensor *bias = cg_module_own(module->children[0], "bias");
    return bias != NULL ? cg_tensor_fill(bias, 0.0) : CG_OK;
}

const cg_module_class cg_multihead_attention_class = {
    .name = "MultiheadAttention",
    .signature = "embed_dim: positive, num_heads: positive, dropout: float = 0.0, bias: bool = True, "
                 "add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: positive | None = None, "
                 "vdim: positive | None = None, batch_first: bool = False",
    .inputs = "query, key, value, key_padding_mask, attn_mask",
    .n_inputs = 5,
    .n_optional = 2,
    .n_outputs = 2,
    .state_size = sizeof(attention),
    .children = CG_CHILDREN_OWN,
    .create = create,
    .forward = forward,
    .forward_first = forward_first,
    .reset = reset,
    .settle = settle,
};
