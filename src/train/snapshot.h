/* A copy of what a step changes: parameters, buffers and the optimizer's state, on the device, and the loss's factor.
 */
#ifndef CLGRAD_SNAPSHOT_H
#define CLGRAD_SNAPSHOT_H

#include <clgrad/optim.h>

#include "loss_scale.h"

typedef struct cg_snapshot {
    cg_tensor **tensors, **copies;
    size_t count;
    cg_optimizer *optimizer;
    int64_t steps;
    cg_loss_scale *scale, scale_then;
} cg_snapshot;

/* Makes room; nothing is copied yet. Cleared by cg_snapshot_clear, also when this fails. */
cg_status cg_snapshot_create(cg_module *model, cg_optimizer *optimizer, cg_loss_scale *scale,
                             cg_snapshot *snapshot) CG_MUST_USE;
void cg_snapshot_clear(cg_snapshot *snapshot);

/* Copies there and back. They run the tape. */
cg_status cg_snapshot_take(cg_snapshot *snapshot, cg_tape *tape) CG_MUST_USE;
cg_status cg_snapshot_restore(const cg_snapshot *snapshot, cg_tape *tape) CG_MUST_USE;

#endif
