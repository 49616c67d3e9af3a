/* Optimizer steps: one pass over a parameter, its gradient and its state. Hyper-parameters that change from step to
 * step are read from the device. */
#include "prelude.cl"

/* hyper = (learning rate, 1 in the very first step). Without momentum no buffer is touched. */
__kernel void sgd_step(__global const float *hyper, ulong hyper_at, __global const float *grad, ulong grad_at,
                       __global float *param, ulong param_at, __global float *buffer, ulong buffer_at, ulong n,
                       ulong run, int has_momentum, int nesterov, float momentum, float undamped, float weight_decay) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    float rate = hyper[hyper_at];
    bool very_first = hyper[hyper_at + 1] != 0.0f;
    for (ulong i = first; i < end; i += CG_WIDTH) {
        ulong count = end - i;
        vfloat p = load_part(param + param_at + i, count, 0.0f);
        vfloat d = load_part(grad + grad_at + i, count, 0.0f);
        if (weight_decay != 0.0f) {
            d += weight_decay * p;
        }
        if (has_momentum) {
            vfloat moved = d;
            if (!very_first) {
                moved = momentum * load_part(buffer + buffer_at + i, count, 0.0f) + undamped * d;
            }
            store_part(moved, buffer + buffer_at + i, count);
            d = nesterov ? d + momentum * moved : moved;
        }
        store_part(p - rate * d, param + param_at + i, count);
    }
}

/* Denormals become 0: they slow CPUs down and no update is large enough to notice. NaN stays. */
static inline vfloat without_denormals(vfloat moment) {
    return fabs(moment) < (vfloat)(FLT_MIN) ? (vfloat)(0.0f) : moment;
}

/* hyper = (learning rate, 1 - beta1^t, sqrt(1 - beta2^t)); rest1 = 1 - beta1, rest2 = 1 - beta2. */
__kernel void adam_step(__global const float *hyper, ulong hyper_at, __global const float *grad, ulong grad_at,
                        __global float *param, ulong param_at, __global float *exp_avg, ulong exp_avg_at,
                        __global float *exp_avg_sq, ulong exp_avg_sq_at, ulong n, ulong run, int decoupled, float rest1,
                        float beta2, float rest2, float eps, float weight_decay) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    float rate = hyper[hyper_at], step = rate / hyper[hyper_at + 1], correction = hyper[hyper_at + 2];
    for (ulong i = first; i < end; i += CG_WIDTH) {
        ulong count = end - i;
        vfloat p = load_part(param + param_at + i, count, 0.0f);
        vfloat g = load_part(grad + grad_at + i, count, 0.0f);
        if (decoupled) {
            p -= rate * weight_decay * p;
        } else if (weight_decay != 0.0f) {
            g += weight_decay * p;
        }
        vfloat m = load_part(exp_avg + exp_avg_at + i, count, 0.0f);
        vfloat v = load_part(exp_avg_sq + exp_avg_sq_at + i, count, 0.0f);
        m = without_denormals(m + rest1 * (g - m));
        v = without_denormals(beta2 * v + rest2 * g * g);
        store_part(m, exp_avg + exp_avg_at + i, count);
        store_part(v, exp_avg_sq + exp_avg_sq_at + i, count);
        store_part(p - step * m / (sqrt(v) / correction + eps), param + param_at + i, count);
    }
}
