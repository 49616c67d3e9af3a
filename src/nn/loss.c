/* Losses: modules of two inputs. */
#include <stdio.h>
#include <string.h>

#include "module.h"

static const char *const reductions[] = {[CG_REDUCE_MEAN] = "mean", [CG_REDUCE_SUM] = "sum", [CG_REDUCE_NONE] = "none"};

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    cg_reduction *reduction = module->state;
    const char *name = cg_argument_text(arguments, "reduction");
    for (int i = CG_REDUCE_MEAN; i <= CG_REDUCE_NONE; i++) {
        if (strcmp(name, reductions[i]) == 0) {
            *reduction = (cg_reduction)i;
        }
    }
    return CG_OK;
}

static cg_status make(cg_device *device, const char *name, cg_reduction reduction, cg_module **module) {
    char text[64];
    *module = NULL;
    if (reduction < CG_REDUCE_MEAN || reduction > CG_REDUCE_NONE) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there is no reduction %d", name, (int)reduction);
    }
    snprintf(text, sizeof text, "%s(reduction='%s')", name, reductions[reduction]);
    return cg_module_parse(device, text, module);
}

static cg_status mse_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_reduction *reduction = module->state;
    outputs[0] = cg_mse_loss(tape, inputs[0], inputs[1], *reduction);
    return CG_OK;
}

const cg_module_class cg_mse_loss_class = {
    .name = "MSELoss",
    .signature = "reduction: 'mean' | 'sum' | 'none' = 'mean'",
    .inputs = "input, target",
    .n_inputs = 2,
    .n_outputs = 1,
    .state_size = sizeof(cg_reduction),
    .create = create,
    .forward = mse_forward,
};

cg_status cg_module_mse_loss(cg_device *device, cg_reduction reduction, cg_module **module) {
    return make(device, cg_mse_loss_class.name, reduction, module);
}

static cg_status cross_entropy_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs,
                                       cg_tensor **outputs) {
    const cg_reduction *reduction = module->state;
    outputs[0] = cg_cross_entropy(tape, inputs[0], inputs[1], *reduction);
    return CG_OK;
}

const cg_module_class cg_cross_entropy_loss_class = {
    .name = "CrossEntropyLoss",
    .signature = "weight: later = None, size_average: later = None, ignore_index: later = -100, reduce: later = None, "
                 "reduction: 'mean' | 'sum' | 'none' = 'mean', label_smoothing: later = 0.0",
    .inputs = "input, target",
    .n_inputs = 2,
    .n_outputs = 1,
    .state_size = sizeof(cg_reduction),
    .create = create,
    .forward = cross_entropy_forward,
};

cg_status cg_module_cross_entropy_loss(cg_device *device, cg_reduction reduction, cg_module **module) {
    return make(device, cg_cross_entropy_loss_class.name, reduction, module);
}
