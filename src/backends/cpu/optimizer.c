/* The update of one parameter by SGD and by Adam: one pass over memory. */
#include "cpu.h"
#include "vector_math.h"

#define GRAIN 16384

typedef struct sgd_job {
    const float *grad;
    float *param, *buffer;
    float lr, momentum, keep, weight_decay; /* keep = 1 - dampening */
    bool first, nesterov;
} sgd_job;

CPU_CLONES static void sgd_plain(void *context, int64_t begin, int64_t end) {
    const sgd_job *work = context;
    const float *grad = work->grad;
    float *param = work->param, lr = work->lr, weight_decay = work->weight_decay;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        param[i] -= lr * (grad[i] + weight_decay * param[i]);
    }
}

/* The first step's buffer is overwritten unread: it may hold anything, NaN too. */
CPU_CLONES static void sgd_momentum(void *context, int64_t begin, int64_t end) {
    const sgd_job *work = context;
    const float *grad = work->grad;
    float *param = work->param, *buffer = work->buffer, lr = work->lr, weight_decay = work->weight_decay;
    float momentum = work->momentum, keep = work->keep;
    bool first = work->first, nesterov = work->nesterov;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        float g = grad[i] + weight_decay * param[i];
        float moving = first ? g : momentum * buffer[i] + keep * g;
        buffer[i] = moving;
        param[i] -= lr * (nesterov ? g + momentum * moving : moving);
    }
}

cg_status cpu_sgd_step(cpu_device *device, const cg_op *op) {
    const cg_sgd_attrs *attrs = op->attrs;
    const float *hyper = cpu_floats(&op->inputs[0]);
    bool moving = op->n_outputs > 1 && op->outputs[1].buffer != NULL;
    sgd_job work = {.grad = cpu_floats(&op->inputs[1]),
                    .param = cpu_floats(&op->outputs[0]),
                    .buffer = moving ? cpu_floats(&op->outputs[1]) : NULL,
                    .lr = hyper[0],
                    .momentum = (float)attrs->momentum,
                    .keep = (float)(1.0 - attrs->dampening),
                    .weight_decay = (float)attrs->weight_decay,
                    .first = hyper[1] != 0.0f,
                    .nesterov = attrs->nesterov != 0};
    cpu_parallel(device, cg_shape_numel(&op->outputs[0].shape), GRAIN, moving ? sgd_momentum : sgd_plain, &work);
    return CG_OK;
}

typedef struct adam_job {
    const float *grad;
    float *param, *exp_avg, *exp_avg_sq;
    float shrink, decay, step; /* 1 - decoupled decay; decay in the gradient; lr / correction */
    float rest1, beta2, rest2, correction_sq, eps;
} adam_job;

/* A moment too small to matter becomes 0; NaN stays. */
static inline float flushed(float moment) {
    return fabsf(moment) < 0x1p-126f ? 0.0f : moment;
}

CPU_CLONES static void adam_range(void *context, int64_t begin, int64_t end) {
    const adam_job work = *(const adam_job *)context;
    const float *grad = work.grad;
    float *param = work.param, *exp_avg = work.exp_avg, *exp_avg_sq = work.exp_avg_sq;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        float g = grad[i] + work.decay * param[i];
        float m = flushed(exp_avg[i] + work.rest1 * (g - exp_avg[i]));
        float v = flushed(work.beta2 * exp_avg_sq[i] + work.rest2 * g * g);
        param[i] = param[i] * work.shrink - work.step * m / (sqrtf(v) / work.correction_sq + work.eps);
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
    }
}

cg_status cpu_adam_step(cpu_device *device, const cg_op *op) {
    const cg_adam_attrs *attrs = op->attrs;
    const float *hyper = cpu_floats(&op->inputs[0]);
    adam_job work = {.grad = cpu_floats(&op->inputs[1]),
                     .param = cpu_floats(&op->outputs[0]),
                     .exp_avg = cpu_floats(&op->outputs[1]),
                     .exp_avg_sq = cpu_floats(&op->outputs[2]),
                     .shrink = attrs->decoupled ? (float)(1.0 - (double)hyper[0] * attrs->weight_decay) : 1.0f,
                     .decay = attrs->decoupled ? 0.0f : (float)attrs->weight_decay,
                     .step = hyper[0] / hyper[1],
                     .rest1 = (float)(1.0 - attrs->beta1),
                     .beta2 = (float)attrs->beta2,
                     .rest2 = (float)(1.0 - attrs->beta2),
                     .correction_sq = hyper[2],
                     .eps = (float)attrs->eps};
    cpu_parallel(device, cg_shape_numel(&op->outputs[0].shape), GRAIN, adam_range, &work);
    return CG_OK;
}
