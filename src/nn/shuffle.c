/* PixelShuffle, PixelUnshuffle and ChannelShuffle. */
#include <clgrad/spatial.h>

#include "module.h"

static cg_status create_pixels(cg_module *module, const cg_arguments *arguments) {
    *(int64_t *)module->state = cg_argument_int(arguments, "upscale_factor");
    return CG_OK;
}

static cg_status create_unshuffle(cg_module *module, const cg_arguments *arguments) {
    *(int64_t *)module->state = cg_argument_int(arguments, "downscale_factor");
    return CG_OK;
}

static cg_status create_channels(cg_module *module, const cg_arguments *arguments) {
    *(int64_t *)module->state = cg_argument_int(arguments, "groups");
    return CG_OK;
}

static cg_status forward_pixels(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    outputs[0] = cg_pixel_shuffle(tape, inputs[0], *(const int64_t *)module->state);
    return CG_OK;
}

static cg_status forward_unshuffle(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    outputs[0] = cg_pixel_unshuffle(tape, inputs[0], *(const int64_t *)module->state);
    return CG_OK;
}

static cg_status forward_channels(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    outputs[0] = cg_channel_shuffle(tape, inputs[0], *(const int64_t *)module->state);
    return CG_OK;
}

#define SHUFFLE_CLASS(class_name, arguments, create_function, forward_function)                                        \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                  \
        .state_size = sizeof(int64_t), .create = create_function, .forward = forward_function,                         \
    }

const cg_module_class cg_pixel_shuffle_class =
    SHUFFLE_CLASS("PixelShuffle", "upscale_factor: positive", create_pixels, forward_pixels);
const cg_module_class cg_pixel_unshuffle_class =
    SHUFFLE_CLASS("PixelUnshuffle", "downscale_factor: positive", create_unshuffle, forward_unshuffle);
const cg_module_class cg_channel_shuffle_class =
    SHUFFLE_CLASS("ChannelShuffle", "groups: positive", create_channels, forward_channels);
