/* Softmax and its kin along one axis. */
#include <inttypes.h>

#include "module.h"

static cg_status create_with_dim(cg_module *module, const cg_arguments *arguments) {
    int *dim = module->state;
    int64_t given = cg_argument_int(arguments, "dim");
    if (given < -CG_MAX_RANK || given >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: dim %" PRId64 " must be in %d..%d", module->class->name, given,
                       -CG_MAX_RANK, CG_MAX_RANK - 1);
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
    .create = create_with_dim,
    .forward = log_softmax_forward,
};
