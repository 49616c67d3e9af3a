/* Dropout, of elements and of whole channels: in training alone. */
#include "module.h"

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    double *p = module->state;
    *p = cg_argument_real(arguments, "p");
    if (*p < 0 || *p > 1) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: p is %g, expected 0 to 1", module->class->name, *p);
    }
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const double *p = module->state;
    outputs[0] = cg_tape_mode(tape) == CG_TRAIN ? cg_dropout(tape, inputs[0], *p) : inputs[0];
    return CG_OK;
}

static cg_status forward_2d(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const double *p = module->state;
    outputs[0] = cg_tape_mode(tape) == CG_TRAIN ? cg_feature_dropout(tape, inputs[0], *p) : inputs[0];
    return CG_OK;
}

const cg_module_class cg_dropout_class = {
    .name = "Dropout",
    .signature = "p: float = 0.5, inplace: bool = False",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(double),
    .create = create,
    .forward = forward,
};

const cg_module_class cg_dropout2d_class = {
    .name = "Dropout2d",
    .signature = "p: float = 0.5, inplace: bool = False",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(double),
    .create = create,
    .forward = forward_2d,
};
