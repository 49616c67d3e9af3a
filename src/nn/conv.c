/* Conv1d, Conv2d, Conv3d, their lazy forms, ConvTranspose1d and ConvTranspose2d: one layer over one to three axes. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <clgrad/spatial.h>

#include "module.h"

typedef struct conv {
    uint32_t axes;
    const cg_module_class *resolved; /* what a lazy one becomes */
    int64_t in_channels, out_channels;
    int64_t kernel[3];
    bool bias, transposed;
    cg_pad_mode pad_mode; /* what padding is made of; CG_PAD_CONSTANT: zeros */
    cg_conv_options options;
} conv;

/* PyTorch's 'same': as many outputs as inputs; an odd number of zeros has the one more behind. */
static cg_status set_same(const cg_module *module, conv *state) {
    for (uint32_t i = 0; i < state->axes; i++) {
        int64_t zeros = state->options.dilation[i] * (state->kernel[i] - 1);
        if (state->options.stride[i] != 1) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: padding='same' with stride %" PRId64 ": stride 1 expected",
                           module->class->name, state->options.stride[i]);
        }
        state->options.padding[i] = zeros / 2;
        state->options.extra[i] = zeros % 2;
    }
    return CG_OK;
}

static cg_status check_counts(const cg_module *module, const char *name, const int64_t *counts, uint32_t axes) {
    for (uint32_t i = 0; i < axes; i++) {
        if (counts[i] < 0) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: %s is %" PRId64 ", expected at least 0", module->class->name, name,
                           counts[i]);
        }
    }
    return CG_OK;
}

static cg_status set_padding(const cg_module *module, conv *state, const cg_arguments *arguments) {
    const cg_expression *padding = cg_argument_value(arguments, "padding");
    if (padding->kind == CG_EXPRESSION_STRING) {
        return strcmp(padding->text, "same") == 0 ? set_same(module, state) : CG_OK;
    }
    cg_argument_ints(arguments, "padding", state->options.padding, state->axes);
    return check_counts(module, "padding", state->options.padding, state->axes);
}

static cg_status check_channels(const cg_module *module) {
    const conv *state = module->state;
    int64_t groups = state->options.groups;
    if (state->in_channels % groups != 0 || state->out_channels % groups != 0) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "%s: %" PRId64 " groups divide in_channels %" PRId64 " or out_channels %" PRId64 " with a rest",
                       module->class->name, groups, state->in_channels, state->out_channels);
    }
    return CG_OK;
}

static cg_status add_parameters(cg_module *module) {
    CG_TRY(check_channels(module));
    const conv *state = module->state;
    int64_t in = state->in_channels, out = state->out_channels, groups = state->options.groups;
    cg_shape weight = state->transposed ? CG_SHAPE(in, out / groups) : CG_SHAPE(out, in / groups);
    for (uint32_t i = 0; i < state->axes; i++) {
        weight.dim[weight.rank++] = state->kernel[i];
    }
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &weight));
    return state->bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &CG_SHAPE(out)) : CG_OK;
}

static cg_pad_mode pad_mode_of(const char *name) {
    static const char *const names[] = {"zeros", "reflect", "replicate", "circular"}; /* as cg_pad_mode */
    uint32_t mode = CG_PAD_CONSTANT;
    while (strcmp(names[mode], name) != 0) {
        mode++;
    }
    return (cg_pad_mode)mode;
}

/* What all of them take. */
static void read_arguments(conv *state, const cg_arguments *arguments, uint32_t axes) {
    state->axes = axes;
    state->out_channels = cg_argument_int(arguments, "out_channels");
    state->bias = cg_argument_bool(arguments, "bias");
    state->pad_mode = pad_mode_of(cg_argument_text(arguments, "padding_mode"));
    state->options.groups = cg_argument_int(arguments, "groups");
    cg_argument_ints(arguments, "kernel_size", state->kernel, axes);
    cg_argument_ints(arguments, "stride", state->options.stride, axes);
    cg_argument_ints(arguments, "dilation", state->options.dilation, axes);
}

static cg_status create(cg_module *module, const cg_arguments *arguments, uint32_t axes) {
    conv *state = module->state;
    read_arguments(state, arguments, axes);
    state->in_channels = cg_argument_int(arguments, "in_channels");
    CG_TRY(set_padding(module, state, arguments));
    return add_parameters(module);
}

static cg_status create_1d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 1);
}

static cg_status create_2d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 2);
}

static cg_status create_3d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 3);
}

static cg_status create_lazy(cg_module *module, const cg_arguments *arguments, uint32_t axes,
                             const cg_module_class *resolved) {
    conv *state = module->state;
    read_arguments(state, arguments, axes);
    state->resolved = resolved;
    return set_padding(module, state, arguments);
}

static cg_status create_lazy_1d(cg_module *module, const cg_arguments *arguments) {
    return create_lazy(module, arguments, 1, &cg_conv1d_class);
}

static cg_status create_lazy_2d(cg_module *module, const cg_arguments *arguments) {
    return create_lazy(module, arguments, 2, &cg_conv2d_class);
}

static cg_status create_lazy_3d(cg_module *module, const cg_arguments *arguments) {
    return create_lazy(module, arguments, 3, &cg_conv3d_class);
}

static cg_status create_transpose(cg_module *module, const cg_arguments *arguments, uint32_t axes) {
    conv *state = module->state;
    state->transposed = true;
    cg_argument_ints(arguments, "output_padding", state->options.extra, axes);
    CG_TRY(check_counts(module, "output_padding", state->options.extra, axes));
    return create(module, arguments, axes);
}

static cg_status create_transpose_1d(cg_module *module, const cg_arguments *arguments) {
    return create_transpose(module, arguments, 1);
}

static cg_status create_transpose_2d(cg_module *module, const cg_arguments *arguments) {
    return create_transpose(module, arguments, 2);
}

/* Padding that is no zeros is an op of its own, the convolution then has none. */
static cg_tensor *padded(cg_tape *tape, cg_tensor *x, const conv *state, cg_conv_options *options) {
    int64_t padding[6];
    for (uint32_t i = 0; i < state->axes; i++) {
        uint32_t from_last = 2 * (state->axes - 1 - i);
        padding[from_last] = options->padding[i];
        padding[from_last + 1] = options->padding[i] + options->extra[i];
        options->padding[i] = options->extra[i] = 0;
    }
    return cg_pad(tape, x, padding, (int)state->axes, state->pad_mode, 0.0);
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const conv *state = module->state;
    cg_conv_options options = state->options;
    cg_tensor *x = state->pad_mode != CG_PAD_CONSTANT ? padded(tape, inputs[0], state, &options) : inputs[0];
    cg_tensor *weight = cg_module_own(module, "weight"), *bias = cg_module_own(module, "bias");
    outputs[0] = (state->transposed ? cg_conv_transpose : cg_conv)(tape, x, weight, bias, &options);
    return CG_OK;
}

/* Takes in_channels from the input and is a Conv from then on. */
static cg_status forward_lazy(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    conv *state = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    int channels = x->rank - (int)state->axes - 1;
    if (channels < 0 || channels > 1 || x->dim[channels] < 1) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: [channels, %u axes] or a batch of such expected",
                       cg_shape_print(x, CG_SHAPE_TEXT), (unsigned)state->axes);
    }
    state->in_channels = x->dim[channels];
    CG_TRY(cg_module_become(module, state->resolved, state->in_channels, add_parameters));
    return forward(module, tape, inputs, outputs);
}

/* kaiming_uniform with a = sqrt(5), which is uniform within 1 / sqrt(fan in); the bias within the same. */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    cg_tensor *weight = cg_module_own(module, "weight"), *bias = cg_module_own(module, "bias");
    const cg_shape *shape = cg_tensor_shape(weight);
    int64_t fan_in = cg_tensor_numel(weight) / shape->dim[0];
    double bound = 1.0 / sqrt((double)fan_in);
    CG_TRY(cg_init_kaiming_uniform(weight, sqrt(5.0), CG_FAN_IN, NULL, seed, stream));
    return bias != NULL ? cg_init_uniform(bias, -bound, bound, seed, stream + 1) : CG_OK;
}

#define SIZE_1D "positive | (positive,)"
#define SIZE_2D "positive | (positive, positive)"
#define SIZE_3D "positive | (positive, positive, positive)"
#define COUNT_1D "int | (int,)"
#define COUNT_2D "int | (int, int)"
#define COUNT_3D "int | (int, int, int)"

/* From out_channels on. */
#define CONV_ARGUMENTS(axes)                                                                                           \
    "out_channels: positive, kernel_size: " SIZE_##axes ", stride: " SIZE_##axes " = 1, padding: " COUNT_##axes        \
        " | 'same' | 'valid' = 0, dilation: " SIZE_##axes                                                              \
        " = 1, groups: positive = 1, bias: bool = True, "                                                              \
        "padding_mode: 'zeros' | 'reflect' | 'replicate' | 'circular' = 'zeros'"

#define CONV_CLASS(class_name, arguments, create_function)                                                             \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                  \
        .state_size = sizeof(conv), .create = create_function, .forward = forward, .reset = reset,                     \
    }

#define LAZY_CLASS(class_name, arguments, create_function)                                                             \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                  \
        .state_size = sizeof(conv), .lazy = true, .create = create_function, .forward = forward_lazy,                  \
    }

#define TRANSPOSE_ARGUMENTS(axes)                                                                                      \
    "in_channels: positive, out_channels: positive, kernel_size: " SIZE_##axes ", stride: " SIZE_##axes                \
        " = 1, padding: " COUNT_##axes " = 0, output_padding: " COUNT_##axes                                           \
        " = 0, groups: positive = 1, "                                                                                 \
        "bias: bool = True, dilation: " SIZE_##axes " = 1, padding_mode: 'zeros' = 'zeros'"

const cg_module_class cg_conv1d_class = CONV_CLASS("Conv1d", "in_channels: positive, " CONV_ARGUMENTS(1D), create_1d);
const cg_module_class cg_conv2d_class = CONV_CLASS("Conv2d", "in_channels: positive, " CONV_ARGUMENTS(2D), create_2d);
const cg_module_class cg_conv3d_class = CONV_CLASS("Conv3d", "in_channels: positive, " CONV_ARGUMENTS(3D), create_3d);
const cg_module_class cg_lazy_conv1d_class = LAZY_CLASS("LazyConv1d", CONV_ARGUMENTS(1D), create_lazy_1d);
const cg_module_class cg_lazy_conv2d_class = LAZY_CLASS("LazyConv2d", CONV_ARGUMENTS(2D), create_lazy_2d);
const cg_module_class cg_lazy_conv3d_class = LAZY_CLASS("LazyConv3d", CONV_ARGUMENTS(3D), create_lazy_3d);
const cg_module_class cg_conv_transpose1d_class =
    CONV_CLASS("ConvTranspose1d", TRANSPOSE_ARGUMENTS(1D), create_transpose_1d);
const cg_module_class cg_conv_transpose2d_class =
    CONV_CLASS("ConvTranspose2d", TRANSPOSE_ARGUMENTS(2D), create_transpose_2d);
