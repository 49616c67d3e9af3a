/*
 * The factor of the loss where gradients are kept in f16, whose smallest number is 6e-8: doubled after 2000 updates
 * without trouble, halved when a gradient is not finite; that update is left out. As torch.amp.GradScaler does.
 */
#ifndef CLGRAD_LOSS_SCALE_H
#define CLGRAD_LOSS_SCALE_H

#include <clgrad/tape.h>

typedef struct cg_loss_scale {
    double value;      /* 0: losses are not scaled */
    int64_t good;      /* updates since it changed */
    cg_tensor *factor; /* the number on the device */
} cg_loss_scale;

/* For gradients kept as `precision`; all but f16 go without. */
cg_status cg_loss_scale_create(cg_device *device, cg_dtype precision, cg_loss_scale *scale) CG_MUST_USE;
void cg_loss_scale_clear(cg_loss_scale *scale);

/* The loss, times the factor. */
cg_tensor *cg_loss_scale_apply(cg_loss_scale *scale, cg_tape *tape, cg_tensor *loss);

/* Divides the gradients by the factor and changes it for the next update. Runs the tape. False: they are not finite,
 * and are gone. */
cg_status cg_loss_scale_undo(cg_loss_scale *scale, cg_tape *tape, cg_tensor *const *parameters, size_t count,
                             bool *finite) CG_MUST_USE;

#endif
