/* Batch, layer, group, instance and RMS norm: one op over [outer, channels, inner], seen in different ways. */
#include "ops_common.h"

static void normalize_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dy = cg_grad_of(tape, node->outputs[0]);
    cg_tensor *inputs[] = {node->inputs[0], node->outputs[1], dy, node->inputs[1]};
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_NORMALIZE_BACKWARD, node->attrs, inputs, 4);
    cg_grad_emit(tape, node->inputs[1], NULL, CG_OP_NORMALIZE_WEIGHT_BACKWARD, node->attrs, inputs, 3);
    if (node->inputs[2] != NULL) {
        cg_ops_sum_to(tape, node->inputs[2], dy, 1.0);
    }
}

/* x as [outer, channels, inner], weight and bias [channels] or NULL. `stats`, if not NULL, gets what running_stats
 * takes. */
static cg_tensor *normalize(cg_tape *tape, cg_tensor *x, const cg_shape *around, cg_tensor *weight, cg_tensor *bias,
                            const cg_normalize_attrs *attrs, cg_tensor **stats) {
    int64_t channels = around->dim[1], n = attrs->groups > 0 ? around->dim[0] * attrs->groups : channels;
    if (cg_tensor_numel(x) == 0) {
        return x;
    }
    cg_tensor *inputs[] = {cg_reshape(tape, x, around),
                           weight != NULL ? cg_reshape(tape, weight, &CG_SHAPE(channels)) : NULL,
                           bias != NULL ? cg_reshape(tape, bias, &CG_SHAPE(channels, 1)) : NULL};
    cg_dtype dtype = cg_tensor_dtype(x);
    cg_tensor *outputs[] = {cg_tape_tensor(tape, dtype, around), cg_tape_tensor(tape, dtype, &CG_SHAPE(n, 3))};
    cg_record(tape, CG_OP_NORMALIZE, attrs, inputs, 3, outputs, 2, normalize_backward);
    if (stats != NULL) {
        *stats = outputs[1];
    }
    return cg_reshape(tape, outputs[0], cg_tensor_shape(x));
}

/* The tensor is absent, or usable, of x's data type and with so many elements. */
static bool fits(cg_tape *tape, const char *op, const char *what, cg_tensor *tensor, const cg_tensor *x,
                 int64_t count) {
    if (tensor == NULL) {
        return cg_tape_status(tape) == CG_OK;
    }
    if (cg_tape_accepts(tape, op, &tensor, 1) &&
        (cg_tensor_numel(tensor) != count || cg_tensor_dtype(tensor) != cg_tensor_dtype(x))) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: x is %s of %s, %s is %s of %s: %lld elements expected", op,
                     cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(x)), what,
                     cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(tensor)),
                     (long long)count);
    }
    return cg_tape_status(tape) == CG_OK;
}

static bool has_channels(cg_tape *tape, const char *op, cg_tensor *x) {
    if (cg_tape_accepts(tape, op, &x, 1) && cg_ops_float(tape, op, x) && cg_tensor_shape(x)->rank < 2) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: x is %s: [n, channels, ..] expected", op,
                     cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

static void update_running(cg_tape *tape, cg_tensor *stats, const cg_batch_norm_options *options, int64_t count) {
    cg_tensor *running[] = {options->running_mean, options->running_var, options->num_batches};
    cg_running_stats_attrs attrs = {.momentum = options->momentum, .correction = (double)count / (double)(count - 1)};
    cg_record(tape, CG_OP_RUNNING_STATS, &attrs, &stats, 1, running, 3, NULL);
}

/* (x - mean) / sqrt(var + eps) weight + bias, by what training left. */
static cg_tensor *by_running(cg_tape *tape, cg_tensor *x, const cg_shape *around,
                             const cg_batch_norm_options *options) {
    cg_dtype dtype = cg_tensor_dtype(x);
    cg_shape column = CG_SHAPE(around->dim[1], 1);
    cg_tensor *eps = cg_ops_filled(tape, dtype, &CG_SCALAR, options->eps);
    cg_tensor *scale = cg_rsqrt(tape, cg_add(tape, options->running_var, eps));
    if (options->weight != NULL) {
        scale = cg_mul(tape, scale, options->weight);
    }
    cg_tensor *centered = cg_sub(tape, cg_reshape(tape, x, around), cg_reshape(tape, options->running_mean, &column));
    cg_tensor *y = cg_mul(tape, centered, cg_reshape(tape, scale, &column));
    if (options->bias != NULL) {
        y = cg_add(tape, y, cg_reshape(tape, options->bias, &column));
    }
    return cg_reshape(tape, y, cg_tensor_shape(x));
}

cg_tensor *cg_batch_norm(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options) {
    static const char op[] = "batch_norm";
    if (!has_channels(tape, op, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), 1, 1);
    int64_t channels = around.dim[1], count = around.dim[0] * around.dim[2];
    bool running = options->running_mean != NULL;
    if (!fits(tape, op, "weight", options->weight, x, channels) ||
        !fits(tape, op, "bias", options->bias, x, channels) ||
        !fits(tape, op, "running_mean", options->running_mean, x, channels) ||
        !fits(tape, op, "running_var", options->running_var, x, channels)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (running && (options->running_var == NULL || options->num_batches == NULL)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "batch_norm: running_mean without running_var and num_batches");
    }
    if (!options->training && running) {
        return by_running(tape, x, &around, options);
    }
    if (options->training && count == 1) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "batch_norm: x is %s: training needs more than one value a channel",
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    cg_normalize_attrs attrs = {.centered = 1, .eps = options->eps};
    cg_tensor *stats = NULL;
    cg_tensor *y = normalize(tape, x, &around, options->weight, options->bias, &attrs, &stats);
    if (running && stats != NULL) {
        update_running(tape, stats, options, count);
    }
    return y;
}

/* The last axes as channels of one element: a row is a group. */
static cg_tensor *normalize_rows(cg_tape *tape, const char *op, cg_tensor *x, int axes, cg_tensor *weight,
                                 cg_tensor *bias, const cg_normalize_attrs *attrs) {
    if (!cg_tape_accepts(tape, op, &x, 1) || !cg_ops_float(tape, op, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (axes < 1 || axes > shape->rank) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: the last %d axes of shape %s: 1 to %d are possible", op, axes,
                            cg_shape_print(shape, CG_SHAPE_TEXT), shape->rank);
    }
    cg_shape around = cg_ops_around(shape, shape->rank - axes, shape->rank - 1);
    if (!fits(tape, op, "weight", weight, x, around.dim[1]) || !fits(tape, op, "bias", bias, x, around.dim[1])) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return normalize(tape, x, &around, weight, bias, attrs, NULL);
}

cg_tensor *cg_layer_norm(cg_tape *tape, cg_tensor *x, int axes, cg_tensor *weight, cg_tensor *bias, double eps) {
    cg_normalize_attrs attrs = {.centered = 1, .groups = 1, .eps = eps};
    return normalize_rows(tape, "layer_norm", x, axes, weight, bias, &attrs);
}

cg_tensor *cg_rms_norm(cg_tape *tape, cg_tensor *x, int axes, cg_tensor *weight, double eps) {
    cg_normalize_attrs attrs = {.groups = 1, .eps = eps};
    return normalize_rows(tape, "rms_norm", x, axes, weight, NULL, &attrs);
}

cg_tensor *cg_group_norm(cg_tape *tape, cg_tensor *x, int64_t groups, cg_tensor *weight, cg_tensor *bias, double eps) {
    static const char op[] = "group_norm";
    if (!has_channels(tape, op, x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), 1, 1);
    if (groups < 1 || around.dim[1] % groups != 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "group_norm: %lld groups of the %lld channels of shape %s",
                            (long long)groups, (long long)around.dim[1],
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    if (!fits(tape, op, "weight", weight, x, around.dim[1]) || !fits(tape, op, "bias", bias, x, around.dim[1])) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_normalize_attrs attrs = {.centered = 1, .groups = groups, .eps = eps};
    return normalize(tape, x, &around, weight, bias, &attrs, NULL);
}

cg_tensor *cg_local_response_norm(cg_tape *tape, cg_tensor *x, int64_t size, double alpha, double beta, double k) {
    if (!has_channels(tape, "local_response_norm", x)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    if (size < 1) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "local_response_norm: size %lld: at least 1 expected",
                            (long long)size);
    }
    cg_dtype dtype = cg_tensor_dtype(x);
    cg_shape around = cg_ops_around(cg_tensor_shape(x), 1, 1), before = around, behind = around;
    before.dim[1] = size / 2;
    behind.dim[1] = (size - 1) / 2;
    cg_tensor *parts[] = {cg_ops_filled(tape, dtype, &before, 0), cg_square(tape, cg_reshape(tape, x, &around)),
                          cg_ops_filled(tape, dtype, &behind, 0)};
    cg_tensor *squares = cg_concat(tape, parts, 3, 1);
    cg_tensor *sum = cg_slice(tape, squares, 1, 0, around.dim[1], 1);
    for (int64_t i = 1; i < size; i++) {
        sum = cg_add(tape, sum, cg_slice(tape, squares, 1, i, i + around.dim[1], 1));
    }
    cg_tensor *base =
        cg_add(tape, cg_scale(tape, sum, alpha / (double)size), cg_ops_filled(tape, dtype, &CG_SCALAR, k));
    return cg_div(tape, x, cg_reshape(tape, cg_power(tape, base, beta), cg_tensor_shape(x)));
}
