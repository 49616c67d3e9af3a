/* Flatten: some axes made one, by default all but the batch's. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "module.h"

typedef struct flatten {
    int start_dim, end_dim;
} flatten;

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    flatten *state = module->state;
    int64_t start = cg_argument_int(arguments, "start_dim"), end = cg_argument_int(arguments, "end_dim");
    if (start < -CG_MAX_RANK || start >= CG_MAX_RANK || end < -CG_MAX_RANK || end >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "Flatten: start_dim %" PRId64 " and end_dim %" PRId64 " must be in %d..%d",
                       start, end, -CG_MAX_RANK, CG_MAX_RANK - 1);
    }
    state->start_dim = (int)start;
    state->end_dim = (int)end;
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const flatten *state = module->state;
    outputs[0] = cg_flatten(tape, inputs[0], state->start_dim, state->end_dim);
    return CG_OK;
}

const cg_module_class cg_flatten_class = {
    .name = "Flatten",
    .signature = "start_dim: int = 1, end_dim: int = -1",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(flatten),
    .create = create,
    .forward = forward,
};

cg_status cg_module_flatten(cg_device *device, int start_dim, int end_dim, cg_module **module) {
    char text[64];
    snprintf(text, sizeof text, "Flatten(%d, %d)", start_dim, end_dim);
    return cg_module_parse(device, text, module);
}
