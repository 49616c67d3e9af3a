/* Linear: y = x W^T + b, and LazyLinear, which becomes one at its first input. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "module.h"

typedef struct linear {
    int64_t in_features, out_features;
    bool bias;
} linear;

static cg_status add_parameters(cg_module *module) {
    const linear *state = module->state;
    const cg_shape weight = CG_SHAPE(state->out_features, state->in_features), bias = CG_SHAPE(state->out_features);
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &weight));
    return state->bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &bias) : CG_OK;
}

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    linear *state = module->state;
    state->in_features = cg_argument_int(arguments, "in_features");
    state->out_features = cg_argument_int(arguments, "out_features");
    state->bias = cg_argument_bool(arguments, "bias");
    return add_parameters(module);
}

static cg_status create_lazy(cg_module *module, const cg_arguments *arguments) {
    linear *state = module->state;
    state->out_features = cg_argument_int(arguments, "out_features");
    state->bias = cg_argument_bool(arguments, "bias");
    return CG_OK;
}

static cg_status check_input(const cg_module *module, const cg_tensor *input) {
    const linear *state = module->state;
    const cg_shape *x = cg_tensor_shape(input), *weight = cg_tensor_shape(cg_module_own(module, "weight"));
    if (x->rank < 1 || x->dim[x->rank - 1] != state->in_features) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, weight is %s: the input's last dimension must be %" PRId64,
                       cg_shape_print(x, CG_SHAPE_TEXT), cg_shape_print(weight, CG_SHAPE_TEXT), state->in_features);
    }
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    CG_TRY(check_input(module, inputs[0]));
    outputs[0] = cg_linear(tape, inputs[0], cg_module_own(module, "weight"), cg_module_own(module, "bias"));
    return CG_OK;
}

static cg_status forward_relu(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    CG_TRY(check_input(module, inputs[0]));
    outputs[0] = cg_linear_relu(tape, inputs[0], cg_module_own(module, "weight"), cg_module_own(module, "bias"));
    return CG_OK;
}

/* Takes in_features from the input and is a Linear from then on. */
static cg_status forward_lazy(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    linear *state = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    if (x->rank < 1 || x->dim[x->rank - 1] < 1) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: its last dimension must be at least 1",
                       cg_shape_print(x, CG_SHAPE_TEXT));
    }
    state->in_features = x->dim[x->rank - 1];
    CG_TRY(cg_module_become(module, &cg_linear_class, state->in_features, add_parameters));
    return forward(module, tape, inputs, outputs);
}

/* kaiming_uniform with a = sqrt(5), which is uniform within 1 / sqrt(in_features); the bias within the same. */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const linear *state = module->state;
    double bound = 1.0 / sqrt((double)state->in_features);
    CG_TRY(cg_init_kaiming_uniform(cg_module_own(module, "weight"), sqrt(5.0), CG_FAN_IN, NULL, seed, stream));
    cg_tensor *bias = cg_module_own(module, "bias");
    return bias != NULL ? cg_init_uniform(bias, -bound, bound, seed, stream + 1) : CG_OK;
}

const cg_module_class cg_linear_class = {
    .name = "Linear",
    .signature = "in_features: positive, out_features: positive, bias: bool = True",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(linear),
    .create = create,
    .forward = forward,
    .forward_relu = forward_relu,
    .reset = reset,
};

const cg_module_class cg_lazy_linear_class = {
    .name = "LazyLinear",
    .signature = "out_features: positive, bias: bool = True",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(linear),
    .lazy = true,
    .create = create_lazy,
    .forward = forward_lazy,
};

cg_status cg_module_linear(cg_device *device, int64_t in_features, int64_t out_features, bool bias,
                           cg_module **module) {
    char text[128];
    snprintf(text, sizeof text, "Linear(%" PRId64 ", %" PRId64 ", bias=%s)", in_features, out_features,
             bias ? "True" : "False");
    return cg_module_parse(device, text, module);
}
