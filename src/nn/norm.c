/* LayerNorm, RMSNorm, GroupNorm and LocalResponseNorm. */
#include <inttypes.h>

#include "module.h"

/* Of LayerNorm and RMSNorm: the last axes, whose sizes are given. */
typedef struct row_norm {
    cg_shape normalized;
    double eps; /* below 0: None, the smallest step from 1 of the data type */
} row_norm;

static cg_status read_shape(const cg_module *module, const cg_arguments *arguments, cg_shape *shape) {
    const cg_expression *value = cg_argument_value(arguments, "normalized_shape");
    bool many = value->kind == CG_EXPRESSION_TUPLE || value->kind == CG_EXPRESSION_LIST;
    uint32_t count = many ? value->count : 1;
    if (count < 1 || count > CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: normalized_shape has %u axes, expected 1 to %d", module->class->name,
                       (unsigned)count, CG_MAX_RANK);
    }
    shape->rank = (int32_t)count;
    cg_argument_ints(arguments, "normalized_shape", shape->dim, count);
    return CG_OK;
}

static cg_status layer_norm_create(cg_module *module, const cg_arguments *arguments) {
    row_norm *state = module->state;
    CG_TRY(read_shape(module, arguments, &state->normalized));
    state->eps = cg_argument_real(arguments, "eps");
    if (!cg_argument_bool(arguments, "elementwise_affine")) {
        return CG_OK;
    }
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &state->normalized));
    bool bias = cg_argument_bool(arguments, "bias");
    return bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &state->normalized) : CG_OK;
}

static cg_status rms_norm_create(cg_module *module, const cg_arguments *arguments) {
    row_norm *state = module->state;
    CG_TRY(read_shape(module, arguments, &state->normalized));
    state->eps = cg_argument_is_none(arguments, "eps") ? -1.0 : cg_argument_real(arguments, "eps");
    bool affine = cg_argument_bool(arguments, "elementwise_affine");
    return affine ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &state->normalized) : CG_OK;
}

static cg_status check_rows(const row_norm *state, const cg_tensor *input) {
    const cg_shape *x = cg_tensor_shape(input), *last = &state->normalized;
    bool fits = x->rank >= last->rank;
    for (int i = 0; fits && i < last->rank; i++) {
        fits = x->dim[x->rank - last->rank + i] == last->dim[i];
    }
    return fits ? CG_OK
                : cg_fail(CG_ERR_SHAPE, "input is %s, expected [.., %s", cg_shape_print(x, CG_SHAPE_TEXT),
                          cg_shape_print(last, CG_SHAPE_TEXT) + 1);
}

static cg_status layer_norm_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const row_norm *state = module->state;
    CG_TRY(check_rows(state, inputs[0]));
    outputs[0] = cg_layer_norm(tape, inputs[0], state->normalized.rank, cg_module_own(module, "weight"),
                               cg_module_own(module, "bias"), state->eps);
    return CG_OK;
}

static cg_status rms_norm_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const row_norm *state = module->state;
    CG_TRY(check_rows(state, inputs[0]));
    double smallest = cg_tensor_dtype(inputs[0]) == CG_F64 ? 0x1p-52 : 0x1p-23;
    outputs[0] = cg_rms_norm(tape, inputs[0], state->normalized.rank, cg_module_own(module, "weight"),
                             state->eps < 0 ? smallest : state->eps);
    return CG_OK;
}

/* Weights begin as 1, biases as 0. */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    cg_tensor *weight = cg_module_own(module, "weight"), *bias = cg_module_own(module, "bias");
    (void)seed, (void)stream;
    CG_TRY(weight != NULL ? cg_tensor_fill(weight, 1.0) : CG_OK);
    return bias != NULL ? cg_tensor_fill(bias, 0.0) : CG_OK;
}

const cg_module_class cg_layer_norm_class = {
    .name = "LayerNorm",
    .signature = "normalized_shape: positive | [positive], eps: float = 1e-05, elementwise_affine: bool = True, "
                 "bias: bool = True",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(row_norm),
    .create = layer_norm_create,
    .forward = layer_norm_forward,
    .reset = reset,
};

const cg_module_class cg_rms_norm_class = {
    .name = "RMSNorm",
    .signature = "normalized_shape: positive | [positive], eps: float | None = None, elementwise_affine: bool = True",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(row_norm),
    .create = rms_norm_create,
    .forward = rms_norm_forward,
    .reset = reset,
};

typedef struct group_norm {
    int64_t groups, channels;
    double eps;
} group_norm;

static cg_status group_norm_create(cg_module *module, const cg_arguments *arguments) {
    group_norm *state = module->state;
    state->groups = cg_argument_int(arguments, "num_groups");
    state->channels = cg_argument_int(arguments, "num_channels");
    state->eps = cg_argument_real(arguments, "eps");
    if (state->channels % state->groups != 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "GroupNorm: num_groups %" PRId64 " divides num_channels %" PRId64 " with a rest", state->groups,
                       state->channels);
    }
    if (!cg_argument_bool(arguments, "affine")) {
        return CG_OK;
    }
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &CG_SHAPE(state->channels)));
    return cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &CG_SHAPE(state->channels));
}

static cg_status group_norm_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const group_norm *state = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    if (x->rank < 2 || x->dim[1] != state->channels) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, expected [n, %" PRId64 ", ..]", cg_shape_print(x, CG_SHAPE_TEXT),
                       state->channels);
    }
    outputs[0] = cg_group_norm(tape, inputs[0], state->groups, cg_module_own(module, "weight"),
                               cg_module_own(module, "bias"), state->eps);
    return CG_OK;
}

const cg_module_class cg_group_norm_class = {
    .name = "GroupNorm",
    .signature = "num_groups: positive, num_channels: positive, eps: float = 1e-05, affine: bool = True",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(group_norm),
    .create = group_norm_create,
    .forward = group_norm_forward,
    .reset = reset,
};

typedef struct response_norm {
    int64_t size;
    double alpha, beta, k;
} response_norm;

static cg_status response_norm_create(cg_module *module, const cg_arguments *arguments) {
    response_norm *state = module->state;
    state->size = cg_argument_int(arguments, "size");
    state->alpha = cg_argument_real(arguments, "alpha");
    state->beta = cg_argument_real(arguments, "beta");
    state->k = cg_argument_real(arguments, "k");
    return CG_OK;
}

static cg_status response_norm_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs,
                                       cg_tensor **outputs) {
    const response_norm *state = module->state;
    outputs[0] = cg_local_response_norm(tape, inputs[0], state->size, state->alpha, state->beta, state->k);
    return CG_OK;
}

const cg_module_class cg_local_response_norm_class = {
    .name = "LocalResponseNorm",
    .signature = "size: positive, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(response_norm),
    .create = response_norm_create,
    .forward = response_norm_forward,
};
