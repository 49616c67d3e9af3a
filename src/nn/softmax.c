/* Softmax, Softmin, LogSoftmax and GLU along an axis, and Softmax2d. */
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

static cg_status softmax_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const int *dim = module->state;
    outputs[0] = cg_softmax(tape, inputs[0], *dim);
    return CG_OK;
}

static cg_status softmin_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const int *dim = module->state;
    outputs[0] = cg_softmax(tape, cg_neg(tape, inputs[0]), *dim);
    return CG_OK;
}

static cg_status glu_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const int *dim = module->state;
    outputs[0] = cg_glu(tape, inputs[0], *dim);
    return CG_OK;
}

/* Over the channels of [n, c, h, w] or [c, h, w]. */
static cg_status softmax2d_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_shape *shape = cg_tensor_shape(inputs[0]);
    (void)module;
    if (shape->rank != 3 && shape->rank != 4) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: [n, channels, height, width] or [channels, height, width] expected",
                       cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    outputs[0] = cg_softmax(tape, inputs[0], -3);
    return CG_OK;
}

/* PyTorch guesses an axis when dim is left out, and warns that it will not for long: here it must be given. */
#define ALONG_DIM(class_name, dim_signature, class_forward)                                                            \
    {                                                                                                                  \
        .name = class_name, .signature = dim_signature, .inputs = "input", .n_inputs = 1, .n_outputs = 1,              \
        .state_size = sizeof(int), .create = create_with_dim, .forward = class_forward,                                \
    }

const cg_module_class cg_log_softmax_class = ALONG_DIM("LogSoftmax", "dim: int", log_softmax_forward);
const cg_module_class cg_softmax_class = ALONG_DIM("Softmax", "dim: int", softmax_forward);
const cg_module_class cg_softmin_class = ALONG_DIM("Softmin", "dim: int", softmin_forward);
const cg_module_class cg_glu_class = ALONG_DIM("GLU", "dim: int = -1", glu_forward);

const cg_module_class cg_softmax2d_class = {
    .name = "Softmax2d",
    .signature = "",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .forward = softmax2d_forward,
};
