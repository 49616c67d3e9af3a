/* The update of one parameter by SGD and by Adam, as torch.optim defines them. */
#include "real.h"

/* An output that may be absent. */
static real *optional(const cg_op *op, uint32_t output) {
    return op->n_outputs > output && op->outputs[output].buffer != NULL ? elements(&op->outputs[output]) : NULL;
}

cg_status REF(sgd_step)(const cg_op *op) {
    const cg_sgd_attrs *attrs = op->attrs;
    const real *hyper = elements(&op->inputs[0]), *grad = elements(&op->inputs[1]);
    real *param = elements(&op->outputs[0]), *buffer = optional(op, 1);
    double lr = (double)hyper[0];
    bool first = hyper[1] != R(0.0); /* the buffer holds nothing yet: it begins as the gradient, undampened */
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {
        double g = (double)grad[i] + attrs->weight_decay * (double)param[i];
        if (buffer != NULL) {
            double moving = first ? g : attrs->momentum * (double)buffer[i] + (1.0 - attrs->dampening) * g;
            g = attrs->nesterov ? g + attrs->momentum * moving : moving;
            buffer[i] = (real)moving;
        }
        param[i] = (real)((double)param[i] - lr * g);
    }
    return CG_OK;
}

/* A moment too small to matter becomes 0; NaN stays. */
static double flushed(double moment) {
    return fabs(moment) < 0x1p-126 ? 0.0 : moment;
}

cg_status REF(adam_step)(const cg_op *op) {
    const cg_adam_attrs *attrs = op->attrs;
    const real *hyper = elements(&op->inputs[0]), *grad = elements(&op->inputs[1]);
    real *param = elements(&op->outputs[0]), *exp_avg = elements(&op->outputs[1]),
         *exp_avg_sq = elements(&op->outputs[2]);
    double lr = (double)hyper[0], correction = (double)hyper[1], correction_sq = (double)hyper[2];
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {
        double p = (double)param[i], g = (double)grad[i], m = (double)exp_avg[i], v = (double)exp_avg_sq[i];
        if (attrs->decoupled) {
            p -= lr * attrs->weight_decay * p;
        } else {
            g += attrs->weight_decay * p;
        }
        m = flushed(m + (1.0 - attrs->beta1) * (g - m));
        v = flushed(attrs->beta2 * v + (1.0 - attrs->beta2) * g * g);
        param[i] = (real)(p - lr / correction * m / (sqrt(v) / correction_sq + attrs->eps));
        exp_avg[i] = (real)m;
        exp_avg_sq[i] = (real)v;
    }
    return CG_OK;
}
