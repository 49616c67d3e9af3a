/* normalize, its gradients and running_stats. A group is what shares one mean: blocks of neighbours, a stride apart. */
#include "real.h"

typedef struct group {
    int64_t start, blocks, length, stride;
    int64_t channel, channel_step; /* of the first block, and from one block to the next */
} group;

static int64_t group_count(const cg_normalize_attrs *attrs, const int64_t *dim) {
    return attrs->groups > 0 ? dim[0] * attrs->groups : dim[1];
}

static group group_at(const cg_normalize_attrs *attrs, const int64_t *dim, int64_t i) {
    if (attrs->groups == 0) {
        return (group){i * dim[2], dim[0], dim[2], dim[1] * dim[2], i, 0};
    }
    int64_t each = dim[1] / attrs->groups;
    return (group){i * each * dim[2], each, dim[2], dim[2], i % attrs->groups * each, 1};
}

/* The mean of (x - center)^power over the group. */
static double moment(const real *x, const group *g, double center, int power) {
    double sum = 0.0;
    for (int64_t b = 0; b < g->blocks; b++) {
        for (int64_t i = 0; i < g->length; i++) {
            double distance = (double)x[g->start + b * g->stride + i] - center;
            sum += power == 1 ? distance : distance * distance;
        }
    }
    return sum / (double)(g->blocks * g->length);
}

/* What is not above `least` becomes it, without a branch that nobody can foretell; NaN stays. */
static cg_status normalize(const cg_op *op, double least) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]), *weight = optional_elements(op, 1), *bias = optional_elements(op, 2);
    real *y = elements(&op->outputs[0]), *stats = elements(&op->outputs[1]);
    for (int64_t j = 0; j < group_count(attrs, dim); j++) {
        group g = group_at(attrs, dim, j);
        double mean = attrs->centered ? moment(x, &g, 0.0, 1) : 0.0;
        double variance = moment(x, &g, mean, 2), rstd = 1.0 / sqrt(variance + attrs->eps);
        stats[3 * j] = (real)mean;
        stats[3 * j + 1] = (real)rstd;
        stats[3 * j + 2] = (real)variance;
        for (int64_t b = 0; b < g.blocks; b++) {
            int64_t channel = g.channel + b * g.channel_step;
            double w = weight != NULL ? (double)weight[channel] : 1.0, c = bias != NULL ? (double)bias[channel] : 0.0;
            for (int64_t i = 0; i < g.length; i++) {
                int64_t at = g.start + b * g.stride + i;
                double value = ((double)x[at] - mean) * rstd * w + c;
                y[at] = (real)(value <= least ? least : value);
            }
        }
    }
    return CG_OK;
}

cg_status REF(normalize)(const cg_op *op) {
    return normalize(op, (double)-INFINITY);
}

cg_status REF(normalize_relu)(const cg_op *op) {
    return normalize(op, 0.0);
}

/* With g = dy weight and n = (x - mean) rstd: dx = rstd (g - mean(g) - n mean(g n)); mean(g) only where centered. */
cg_status REF(normalize_backward)(const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]), *stats = elements(&op->inputs[1]), *dy = elements(&op->inputs[2]);
    const real *weight = optional_elements(op, 3);
    real *dx = elements(&op->outputs[0]);
    for (int64_t j = 0; j < group_count(attrs, dim); j++) {
        group g = group_at(attrs, dim, j);
        double mean = (double)stats[3 * j], rstd = (double)stats[3 * j + 1], sum = 0.0, along = 0.0;
        for (int64_t b = 0; b < g.blocks; b++) {
            double w = weight != NULL ? (double)weight[g.channel + b * g.channel_step] : 1.0;
            for (int64_t i = 0; i < g.length; i++) {
                int64_t at = g.start + b * g.stride + i;
                sum += (double)dy[at] * w;
                along += (double)dy[at] * w * ((double)x[at] - mean) * rstd;
            }
        }
        double count = (double)(g.blocks * g.length), first = attrs->centered ? sum / count : 0.0;
        for (int64_t b = 0; b < g.blocks; b++) {
            double w = weight != NULL ? (double)weight[g.channel + b * g.channel_step] : 1.0;
            for (int64_t i = 0; i < g.length; i++) {
                int64_t at = g.start + b * g.stride + i;
                double normal = ((double)x[at] - mean) * rstd;
                put(op, &dx[at], rstd * ((double)dy[at] * w - first - normal * along / count));
            }
        }
    }
    return CG_OK;
}

/* dweight[c] = the sum of dy (x - mean) rstd over the channel, whatever group each outer place belongs to. */
cg_status REF(normalize_weight_backward)(const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]), *stats = elements(&op->inputs[1]), *dy = elements(&op->inputs[2]);
    for (int64_t c = 0; c < dim[1]; c++) {
        double sum = 0.0;
        for (int64_t o = 0; o < dim[0]; o++) {
            int64_t j = attrs->groups > 0 ? o * attrs->groups + c / (dim[1] / attrs->groups) : c;
            for (int64_t i = 0; i < dim[2]; i++) {
                int64_t at = (o * dim[1] + c) * dim[2] + i;
                sum += (double)dy[at] * ((double)x[at] - (double)stats[3 * j]) * (double)stats[3 * j + 1];
            }
        }
        put(op, &elements(&op->outputs[0])[c], sum);
    }
    return CG_OK;
}

/* The same two sums of each channel are dbias, dweight and what dx lacks. */
cg_status REF(batch_norm_backward)(const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    const real *x = elements(&op->inputs[0]), *stats = elements(&op->inputs[1]), *dy = elements(&op->inputs[2]);
    const real *weight = elements(&op->inputs[3]);
    const cg_normalize_attrs *attrs = op->attrs;
    for (int64_t c = 0; c < dim[1]; c++) {
        group g = group_at(attrs, dim, c);
        double mean = (double)stats[3 * c], rstd = (double)stats[3 * c + 1], sum = 0.0, along = 0.0;
        for (int64_t b = 0; b < g.blocks; b++) {
            for (int64_t i = 0; i < g.length; i++) {
                int64_t at = g.start + b * g.stride + i;
                sum += (double)dy[at];
                along += (double)dy[at] * ((double)x[at] - mean) * rstd;
            }
        }
        put_to(op, 1, &elements(&op->outputs[1])[c], along);
        put_to(op, 2, &elements(&op->outputs[2])[c], sum);
        double count = (double)(g.blocks * g.length), first = attrs->centered ? sum / count : 0.0;
        for (int64_t b = 0; b < g.blocks; b++) {
            for (int64_t i = 0; i < g.length; i++) {
                int64_t at = g.start + b * g.stride + i;
                double normal = ((double)x[at] - mean) * rstd;
                put(op, &elements(&op->outputs[0])[at],
                    (double)weight[c] * rstd * ((double)dy[at] - first - normal * along / count));
            }
        }
    }
    return CG_OK;
}

cg_status REF(running_stats)(const cg_op *op) {
    const cg_running_stats_attrs *attrs = op->attrs;
    const real *stats = elements(&op->inputs[0]);
    real *mean = elements(&op->outputs[0]), *var = elements(&op->outputs[1]);
    int64_t *count = (int64_t *)op->outputs[2].buffer + op->outputs[2].offset;
    *count += 1;
    double f = attrs->momentum < 0 ? 1.0 / (double)*count : attrs->momentum;
    for (int64_t c = 0, n = cg_shape_numel(&op->outputs[0].shape); c < n; c++) {
        mean[c] = (real)((double)mean[c] + f * ((double)stats[3 * c] - (double)mean[c]));
        var[c] = (real)((double)var[c] + f * ((double)stats[3 * c + 2] * attrs->correction - (double)var[c]));
    }
    return CG_OK;
}
