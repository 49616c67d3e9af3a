/* Activations: ReLU, the shifted, leaky, clamped one of fast.ai's course, and LogSoftmax. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "module.h"
#include "number.h"

static cg_status relu_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    (void)module;
    outputs[0] = cg_relu(tape, inputs[0]);
    return CG_OK;
}

/* inplace is PyTorch's, so that its texts parse; the values are the same and the tape shares memory by itself. */
const cg_module_class cg_relu_class = {
    .name = "ReLU",
    .signature = "inplace: bool = False",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .forward = relu_forward,
};

cg_status cg_module_relu(cg_device *device, cg_module **module) {
    return cg_module_parse(device, "ReLU()", module);
}

typedef struct general_relu {
    double leak, sub, maxv;
} general_relu;

static cg_status general_relu_create(cg_module *module, const cg_arguments *arguments) {
    general_relu *state = module->state;
    state->leak = cg_argument_real(arguments, "leak");
    state->sub = cg_argument_real(arguments, "sub");
    state->maxv = cg_argument_is_none(arguments, "maxv") ? (double)INFINITY : cg_argument_real(arguments, "maxv");
    return CG_OK;
}

static cg_status general_relu_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const general_relu *state = module->state;
    outputs[0] = cg_general_relu(tape, inputs[0], state->leak, state->sub, state->maxv);
    return CG_OK;
}

const cg_module_class cg_general_relu_class = {
    .name = "GeneralReLU",
    .signature = "leak: float = 0.0, sub: float = 0.0, maxv: float | None = None",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(general_relu),
    .create = general_relu_create,
    .forward = general_relu_forward,
};

cg_status cg_module_general_relu(cg_device *device, double leak, double sub, double maxv, cg_module **module) {
    char text[256], leak_text[CG_NUMBER_SIZE], sub_text[CG_NUMBER_SIZE], maxv_text[CG_NUMBER_SIZE];
    snprintf(text, sizeof text, "GeneralReLU(leak=%s, sub=%s, maxv=%s)", cg_number_print(leak, leak_text),
             cg_number_print(sub, sub_text), isinf(maxv) && maxv > 0 ? "None" : cg_number_print(maxv, maxv_text));
    return cg_module_parse(device, text, module);
}

static cg_status log_softmax_create(cg_module *module, const cg_arguments *arguments) {
    int *dim = module->state;
    int64_t given = cg_argument_int(arguments, "dim");
    if (given < -CG_MAX_RANK || given >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "LogSoftmax: dim %" PRId64 " must be in %d..%d", given, -CG_MAX_RANK,
                       CG_MAX_RANK - 1);
    }
    *dim = (int)given;
    return CG_OK;
}

static cg_status log_softmax_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const int *dim = module->state;
    outputs[0] = cg_log_softmax(tape, inputs[0], *dim);
    return CG_OK;
}

/* PyTorch guesses an axis when dim is left out, and warns that it will not for long: here it must be given. */
const cg_module_class cg_log_softmax_class = {
    .name = "LogSoftmax",
    .signature = "dim: int",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(int),
    .create = log_softmax_create,
    .forward = log_softmax_forward,
};
