/* Cross-entropy and its gradient, row by row. */
#include <string.h>

#include "../reference/target.h"
#include "cpu.h"
#include "vector_math.h"

#define GRAIN 4096

typedef struct loss_job {
    const float *logits, *sums_in, *dloss, *factor; /* factor NULL: 1 for all */
    const cg_operand *target;
    float *loss, *sums, *dlogits;
    int64_t classes, ignored;
    bool add;
} loss_job;

static float factor_of(const loss_job *work, int64_t row) {
    return work->factor != NULL ? work->factor[row] : 1.0f;
}

static void loss_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->logits + row * work->classes;
        cpu_log_sum sum = cpu_log_sum_exp(x, work->classes);
        int64_t label = target_class(work->target, row);
        float loss = label == work->ignored ? 0.0f : (sum.largest - x[label]) + sum.log;
        work->loss[row] = factor_of(work, row) * loss;
        work->sums[2 * row] = sum.largest;
        work->sums[2 * row + 1] = sum.log;
    }
}

cg_status cpu_cross_entropy(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(op, &op->inputs[1], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .loss = cpu_floats(&op->outputs[0]),
                     .sums = cpu_floats(&op->outputs[1]),
                     .factor = cpu_optional(op, 2),
                     .ignored = ((const cg_class_attrs *)op->attrs)->ignored,
                     .classes = dim[1]};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, loss_rows, &work);
    return CG_OK;
}

static void gradient_of_none(float *dx, int64_t classes, bool add) {
    if (!add) {
        memset(dx, 0, (size_t)classes * sizeof *dx);
    }
}

static void gradient_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->logits + row * work->classes;
        float *dx = work->dlogits + row * work->classes;
        int64_t label = target_class(work->target, row);
        if (label == work->ignored) {
            gradient_of_none(dx, work->classes, work->add);
            continue;
        }
        float scale = work->dloss[row] * factor_of(work, row);
        cpu_log_sum sum = {work->sums_in[2 * row], work->sums_in[2 * row + 1]};
        float before = work->add ? dx[label] : 0.0f;
        cpu_exp_shifted(x, sum, scale, dx, work->classes, work->add);
        dx[label] = before + scale * (vector_exp((x[label] - sum.largest) - sum.log) - 1.0f);
    }
}

cg_status cpu_cross_entropy_backward(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(op, &op->inputs[1], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .sums_in = cpu_floats(&op->inputs[2]),
                     .dloss = cpu_floats(&op->inputs[3]),
                     .dlogits = cpu_floats(&op->outputs[0]),
                     .factor = cpu_optional(op, 4),
                     .ignored = ((const cg_class_attrs *)op->attrs)->ignored,
                     .classes = dim[1],
                     .add = cpu_adds(op)};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, gradient_rows, &work);
    return CG_OK;
}
