#include "loss_scale.h"

#include <math.h>

#include <clgrad/ops.h>
#include <clgrad/optim.h>

#define FIRST 65536.0
#define LARGEST 16777216.0
#define GROWS_AFTER 2000

cg_status cg_loss_scale_create(cg_device *device, cg_dtype precision, cg_loss_scale *scale) {
    *scale = (cg_loss_scale){0};
    if (precision != CG_F16) {
        return CG_OK;
    }
    scale->value = FIRST;
    return cg_tensor_create(device, CG_F32, &CG_SCALAR, &scale->factor);
}

void cg_loss_scale_clear(cg_loss_scale *scale) {
    cg_tensor_destroy(scale->factor);
    *scale = (cg_loss_scale){0};
}

cg_tensor *cg_loss_scale_apply(cg_loss_scale *scale, cg_tape *tape, cg_tensor *loss) {
    if (scale->value == 0) {
        return loss;
    }
    cg_status status = cg_tensor_write_f64(scale->factor, &scale->value, 1);
    return status == CG_OK ? cg_mul(tape, loss, scale->factor) : cg_tape_blame(tape, status);
}

static void change(cg_loss_scale *scale, bool finite) {
    scale->good = finite ? scale->good + 1 : 0;
    if (!finite) {
        scale->value = fmax(scale->value / 2, 1.0);
    } else if (scale->good == GROWS_AFTER) {
        scale->value = fmin(scale->value * 2, LARGEST);
        scale->good = 0;
    }
}

cg_status cg_loss_scale_undo(cg_loss_scale *scale, cg_tape *tape, cg_tensor *const *parameters, size_t count,
                             bool *finite) {
    *finite = true;
    if (scale->value != 0) {
        CG_TRY(cg_unscale_grad(tape, parameters, count, scale->factor, finite));
        change(scale, *finite);
    }
    return CG_OK;
}
