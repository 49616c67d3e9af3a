/* Cross-entropy and its gradient, row by row. */
#include "../reference/target.h"
#include "cpu.h"
#include "vector_math.h"

#define GRAIN 4096

typedef struct loss_job {
    const float *logits, *lse_in, *dloss;
    const cg_operand *target;
    float *loss, *lse, *dlogits;
    int64_t classes;
    bool add;
} loss_job;

static void loss_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->logits + row * work->classes;
        float lse = cpu_log_sum_exp(x, work->classes);
        work->loss[row] = lse - x[target_class(work->target, row)];
        work->lse[row] = lse;
    }
}

cg_status cpu_cross_entropy(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(&op->inputs[1], dim[0], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .loss = cpu_floats(&op->outputs[0]),
                     .lse = cpu_floats(&op->outputs[1]),
                     .classes = dim[1]};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, loss_rows, &work);
    return CG_OK;
}

static void gradient_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->logits + row * work->classes;
        float *dx = work->dlogits + row * work->classes;
        float scale = work->dloss[row], lse = work->lse_in[row];
        int64_t label = target_class(work->target, row);
        float before = work->add ? dx[label] : 0.0f;
        cpu_exp_shifted(x, lse, scale, dx, work->classes, work->add);
        dx[label] = before + scale * (vector_exp(x[label] - lse) - 1.0f);
    }
}

cg_status cpu_cross_entropy_backward(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(&op->inputs[1], dim[0], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .lse_in = cpu_floats(&op->inputs[2]),
                     .dloss = cpu_floats(&op->inputs[3]),
                     .dlogits = cpu_floats(&op->outputs[0]),
                     .classes = dim[1],
                     .add = cpu_adds(op)};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, gradient_rows, &work);
    return CG_OK;
}
