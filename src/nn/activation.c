/*
 * Activations: a row for each that is one op of one input, and PReLU, which has weights, and GeneralReLU, fast.ai's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "number.h"

/* The op of a row, by how many numbers it takes beside the input; `arguments` are their names in the signature. */
struct cg_activation {
    cg_tensor *(*plain)(cg_tape *tape, cg_tensor *x);
    cg_tensor *(*with_one)(cg_tape *tape, cg_tensor *x, double first);
    cg_tensor *(*with_two)(cg_tape *tape, cg_tensor *x, double first, double second);
    const char *arguments[2];
};

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    const cg_activation *row = module->class->activation;
    double *numbers = module->state;
    for (int i = 0; i < 2 && row->arguments[i] != NULL; i++) {
        numbers[i] = cg_argument_real(arguments, row->arguments[i]);
    }
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_activation *row = module->class->activation;
    const double *numbers = module->state;
    outputs[0] = row->plain != NULL      ? row->plain(tape, inputs[0])
                 : row->with_one != NULL ? row->with_one(tape, inputs[0], numbers[0])
                                         : row->with_two(tape, inputs[0], numbers[0], numbers[1]);
    return CG_OK;
}

#define ACTIVATION(text, arguments_text, ...)                                                                          \
    {                                                                                                                  \
        .name = text, .signature = arguments_text, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                   \
        .state_size = 2 * sizeof(double), .create = create, .forward = forward,                                        \
        .activation = &(const cg_activation){__VA_ARGS__},                                                             \
    }

/* inplace is PyTorch's, so that its texts parse; the values are the same and the tape shares memory by itself. */
#define INPLACE "inplace: bool = False"

const cg_module_class cg_activation_classes[] = {
    ACTIVATION("ReLU", INPLACE, .plain = cg_relu),
    ACTIVATION("ReLU6", INPLACE, .plain = cg_relu6),
    ACTIVATION("LeakyReLU", "negative_slope: float = 0.01, " INPLACE, .with_one = cg_leaky_relu,
               .arguments = {"negative_slope"}),
    ACTIVATION("ELU", "alpha: float = 1.0, " INPLACE, .with_one = cg_elu, .arguments = {"alpha"}),
    ACTIVATION("SELU", INPLACE, .plain = cg_selu),
    ACTIVATION("CELU", "alpha: float = 1.0, " INPLACE, .with_one = cg_celu, .arguments = {"alpha"}),
    ACTIVATION("SiLU", INPLACE, .plain = cg_silu),
    ACTIVATION("Mish", INPLACE, .plain = cg_mish),
    ACTIVATION("Sigmoid", "", .plain = cg_sigmoid),
    ACTIVATION("Tanh", "", .plain = cg_tanh),
    ACTIVATION("Softplus", "beta: float = 1.0, threshold: float = 20.0", .with_two = cg_softplus,
               .arguments = {"beta", "threshold"}),
    ACTIVATION("Softsign", "", .plain = cg_softsign),
    ACTIVATION("Hardtanh",
               "min_val: float = -1.0, max_val: float = 1.0, " INPLACE
               ", min_value: later = None, max_value: later = None",
               .with_two = cg_hardtanh, .arguments = {"min_val", "max_val"}),
    ACTIVATION("Hardswish", INPLACE, .plain = cg_hardswish),
    ACTIVATION("Hardsigmoid", INPLACE, .plain = cg_hardsigmoid),
    ACTIVATION("LogSigmoid", "", .plain = cg_logsigmoid),
    ACTIVATION("Tanhshrink", "", .plain = cg_tanhshrink),
    ACTIVATION("Softshrink", "lambd: float = 0.5", .with_one = cg_softshrink, .arguments = {"lambd"}),
    ACTIVATION("Hardshrink", "lambd: float = 0.5", .with_one = cg_hardshrink, .arguments = {"lambd"}),
    ACTIVATION("Threshold", "threshold: float, value: float, " INPLACE, .with_two = cg_threshold,
               .arguments = {"threshold", "value"}),
};
const size_t cg_activation_count = sizeof cg_activation_classes / sizeof *cg_activation_classes;

cg_status cg_module_relu(cg_device *device, cg_module **module) {
    return cg_module_parse(device, "ReLU()", module);
}

static cg_status gelu_create(cg_module *module, const cg_arguments *arguments) {
    bool *tanh_form = module->state;
    *tanh_form = strcmp(cg_argument_text(arguments, "approximate"), "tanh") == 0;
    return CG_OK;
}

static cg_status gelu_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const bool *tanh_form = module->state;
    outputs[0] = cg_gelu(tape, inputs[0], *tanh_form);
    return CG_OK;
}

const cg_module_class cg_gelu_class = {
    .name = "GELU",
    .signature = "approximate: 'none' | 'tanh' = 'none'",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(bool),
    .create = gelu_create,
    .forward = gelu_forward,
};

static cg_status prelu_create(cg_module *module, const cg_arguments *arguments) {
    double *start = module->state;
    *start = cg_argument_real(arguments, "init");
    const cg_shape shape = CG_SHAPE(cg_argument_int(arguments, "num_parameters"));
    return cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &shape);
}

static cg_status prelu_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    outputs[0] = cg_prelu(tape, inputs[0], cg_module_own(module, "weight"));
    return CG_OK;
}

static cg_status prelu_reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const double *start = module->state;
    (void)seed, (void)stream;
    return cg_tensor_fill(cg_module_own(module, "weight"), *start);
}

const cg_module_class cg_prelu_class = {
    .name = "PReLU",
    .signature = "num_parameters: positive = 1, init: float = 0.25",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(double),
    .create = prelu_create,
    .forward = prelu_forward,
    .reset = prelu_reset,
};

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
