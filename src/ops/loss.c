/* Losses: what reduces their elements, and mean squared error. */
#include "ops_common.h"

cg_tensor *cg_ops_reduced(cg_tape *tape, const char *name, cg_tensor *loss, cg_reduction reduction) {
    switch (reduction) {
    case CG_REDUCE_MEAN:
        return cg_mean(tape, loss, CG_ALL_AXES, false);
    case CG_REDUCE_SUM:
        return cg_sum(tape, loss, CG_ALL_AXES, false);
    case CG_REDUCE_NONE:
        return loss;
    }
    return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %d is no reduction", name, (int)reduction);
}

cg_tensor *cg_mse_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction) {
    cg_tensor *inputs[] = {input, target};
    if (!cg_tape_accepts(tape, "mse_loss", inputs, 2) || !cg_ops_float(tape, "mse_loss", input) ||
        !cg_ops_alike(tape, "mse_loss", input, "target", target)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (!cg_shape_equal(cg_tensor_shape(input), cg_tensor_shape(target))) {
        return cg_tape_fail(tape, CG_ERR_SHAPE,
                            "mse_loss: input is %s, target is %s: they must be equal (nothing is broadcast)",
                            cg_shape_print(cg_tensor_shape(input), CG_SHAPE_TEXT),
                            cg_shape_print(cg_tensor_shape(target), CG_SHAPE_TEXT));
    }
    return cg_ops_reduced(tape, "mse_loss", cg_square(tape, cg_sub(tape, input, target)), reduction);
}
