/* ZeroPad2d, ReflectionPad2d, ReplicationPad2d. */
#include <clgrad/spatial.h>

#include "module.h"

typedef struct pad {
    cg_pad_mode mode;
    int64_t padding[4]; /* left, right, top, bottom */
} pad;

static cg_status create(cg_module *module, const cg_arguments *arguments, cg_pad_mode mode) {
    pad *state = module->state;
    state->mode = mode;
    cg_argument_ints(arguments, "padding", state->padding, 4);
    return CG_OK;
}

static cg_status create_zero(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, CG_PAD_CONSTANT);
}

static cg_status create_reflection(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, CG_PAD_REFLECT);
}

static cg_status create_replication(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, CG_PAD_REPLICATE);
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const pad *state = module->state;
    outputs[0] = cg_pad(tape, inputs[0], state->padding, 2, state->mode, 0.0);
    return CG_OK;
}

#define PAD_CLASS(class_name, create_function)                                                                         \
    {                                                                                                                  \
        .name = class_name, .signature = "padding: int | (int, int, int, int)", .inputs = "input", .n_inputs = 1,      \
        .n_outputs = 1, .state_size = sizeof(pad), .create = create_function, .forward = forward,                      \
    }

const cg_module_class cg_zero_pad2d_class = PAD_CLASS("ZeroPad2d", create_zero);
const cg_module_class cg_reflection_pad2d_class = PAD_CLASS("ReflectionPad2d", create_reflection);
const cg_module_class cg_replication_pad2d_class = PAD_CLASS("ReplicationPad2d", create_replication);
