/* MaxPool1d, MaxPool2d, AvgPool1d, AvgPool2d and the adaptive ones: a layer over the last one or two axes. */
#include <inttypes.h>

#include <clgrad/spatial.h>

#include "module.h"

typedef struct pool {
    int axes;
    cg_pool_options options;
    int64_t output[2]; /* adaptive; 0: as the input */
} pool;

static cg_status check_padding(const cg_module *module, const pool *state) {
    for (int i = 0; i < state->axes; i++) {
        int64_t padding = state->options.padding[i], kernel = state->options.kernel[i];
        if (padding < 0 || padding > kernel / 2) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: padding is %" PRId64 ", expected 0 to half of kernel_size %" PRId64,
                           module->class->name, padding, kernel);
        }
    }
    return CG_OK;
}

/* What maxima and means both take; stride None (0 then) is the kernel's size. */
static cg_status create(cg_module *module, const cg_arguments *arguments, int axes) {
    pool *state = module->state;
    state->axes = axes;
    cg_argument_ints(arguments, "kernel_size", state->options.kernel, (uint32_t)axes);
    cg_argument_ints(arguments, "stride", state->options.stride, (uint32_t)axes);
    cg_argument_ints(arguments, "padding", state->options.padding, (uint32_t)axes);
    state->options.ceil_mode = cg_argument_bool(arguments, "ceil_mode");
    return check_padding(module, state);
}

static cg_status create_max(cg_module *module, const cg_arguments *arguments, int axes) {
    pool *state = module->state;
    cg_argument_ints(arguments, "dilation", state->options.dilation, (uint32_t)axes);
    return create(module, arguments, axes);
}

static cg_status create_max_1d(cg_module *module, const cg_arguments *arguments) {
    return create_max(module, arguments, 1);
}

static cg_status create_max_2d(cg_module *module, const cg_arguments *arguments) {
    return create_max(module, arguments, 2);
}

static cg_status create_avg_1d(cg_module *module, const cg_arguments *arguments) {
    pool *state = module->state;
    state->options.exclude_pad = !cg_argument_bool(arguments, "count_include_pad");
    return create(module, arguments, 1);
}

static cg_status create_avg_2d(cg_module *module, const cg_arguments *arguments) {
    pool *state = module->state;
    state->options.exclude_pad = !cg_argument_bool(arguments, "count_include_pad");
    state->options.divisor = cg_argument_int(arguments, "divisor_override"); /* None is 0 */
    return create(module, arguments, 2);
}

static cg_status create_adaptive_1d(cg_module *module, const cg_arguments *arguments) {
    pool *state = module->state;
    state->axes = 1;
    cg_argument_ints(arguments, "output_size", state->output, 1);
    return CG_OK;
}

static cg_status create_adaptive_2d(cg_module *module, const cg_arguments *arguments) {
    pool *state = module->state;
    state->axes = 2;
    cg_argument_ints(arguments, "output_size", state->output, 2);
    return CG_OK;
}

static cg_status forward_max(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const pool *state = module->state;
    outputs[0] = cg_max_pool(tape, inputs[0], state->axes, &state->options);
    return CG_OK;
}

static cg_status forward_avg(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const pool *state = module->state;
    outputs[0] = cg_avg_pool(tape, inputs[0], state->axes, &state->options);
    return CG_OK;
}

static cg_status forward_adaptive_max(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const pool *state = module->state;
    outputs[0] = cg_adaptive_max_pool(tape, inputs[0], state->axes, state->output);
    return CG_OK;
}

static cg_status forward_adaptive_avg(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const pool *state = module->state;
    outputs[0] = cg_adaptive_avg_pool(tape, inputs[0], state->axes, state->output);
    return CG_OK;
}

#define SIZE_1D "positive | (positive,)"
#define SIZE_2D "positive | (positive, positive)"
#define COUNT_1D "int | (int,)"
#define COUNT_2D "int | (int, int)"
#define WINDOW(axes)                                                                                                   \
    "kernel_size: " SIZE_##axes ", stride: " SIZE_##axes " | None = None, padding: " COUNT_##axes " = 0, "
#define MAX_ARGUMENTS(axes)                                                                                            \
    WINDOW(axes) "dilation: " SIZE_##axes " = 1, return_indices: later = False, ceil_mode: bool = False"
#define AVG_ARGUMENTS(axes) WINDOW(axes) "ceil_mode: bool = False, count_include_pad: bool = True"
#define ADAPTIVE_2D "output_size: positive | None | (positive | None, positive | None)"

#define POOL_CLASS(class_name, arguments, create_function, forward_function)                                           \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                  \
        .state_size = sizeof(pool), .create = create_function, .forward = forward_function,                            \
    }

const cg_module_class cg_max_pool1d_class = POOL_CLASS("MaxPool1d", MAX_ARGUMENTS(1D), create_max_1d, forward_max);
const cg_module_class cg_max_pool2d_class = POOL_CLASS("MaxPool2d", MAX_ARGUMENTS(2D), create_max_2d, forward_max);
const cg_module_class cg_avg_pool1d_class = POOL_CLASS("AvgPool1d", AVG_ARGUMENTS(1D), create_avg_1d, forward_avg);
const cg_module_class cg_avg_pool2d_class =
    POOL_CLASS("AvgPool2d", AVG_ARGUMENTS(2D) ", divisor_override: positive | None = None", create_avg_2d, forward_avg);
const cg_module_class cg_adaptive_avg_pool1d_class =
    POOL_CLASS("AdaptiveAvgPool1d", "output_size: " SIZE_1D, create_adaptive_1d, forward_adaptive_avg);
const cg_module_class cg_adaptive_avg_pool2d_class =
    POOL_CLASS("AdaptiveAvgPool2d", ADAPTIVE_2D, create_adaptive_2d, forward_adaptive_avg);
const cg_module_class cg_adaptive_max_pool2d_class = POOL_CLASS(
    "AdaptiveMaxPool2d", ADAPTIVE_2D ", return_indices: later = False", create_adaptive_2d, forward_adaptive_max);
