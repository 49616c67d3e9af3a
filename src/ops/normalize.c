/* Batch, layer, group, instance and RMS norm: one op over [outer, channels, inner], seen in different ways. */
#include "ops_common.h"

/* All three gradients of a batch norm at once: they read the same two tensors. */
static bool batch_norm_wants_all(const cg_tape *tape, const cg_node *node) {
    const cg_normalize_attrs *attrs = node->attrs;
    return attrs->groups == 0 && cg_grad_wanted(tape, node->inputs[0]) && cg_grad_wanted(tape, node->inputs[1]) &&
           cg_grad_wanted(tape, node->inputs[2]);
}

static void normalize_backward(cg_tape *tape, const cg_node *node) {
    bool relu = node->kind->number == CG_OP_NORMALIZE_RELU;
    cg_tensor *y = node->outputs[0], *dy = relu ? cg_ops_before_relu(tape, y) : cg_grad_of(tape, y);
    cg_tensor *inputs[] = {node->inputs[0], node->outputs[1], dy, node->inputs[1]};
    if (batch_norm_wants_all(tape, node)) {
        cg_shape x = *cg_tensor_shape(node->inputs[0]), channels = CG_SHAPE(x.dim[1]);
        cg_grad_emit_all(tape, node->inputs, (cg_shape[]){x, channels, channels}, 3, CG_OP_BATCH_NORM_BACKWARD,
                         node->attrs, inputs, 4);
        return;
    }
    cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_NORMALIZE_BACKWARD, node->attrs, inputs, 4);
    cg_grad_emit(tape, node->inputs[1], NULL, CG_OP_NORMALIZE_WEIGHT_BACKWARD, node->attrs, inputs, 3);
    if (node->inputs[2] != NULL) {
        cg_ops_sum_to(tape, node->inputs[2], dy, 1.0);
    }
}

/* x as [outer, channels, inner], weight and bias [channels] or NULL. `kind`: CG_OP_NORMALIZE, or with ReLU. `stats`, if
 * not NULL, gets what running_stats takes. */
static cg_tensor *normalize_by(cg_tape *tape, uint32_t kind, cg_tensor *x, const cg_shape *around, cg_tensor *weight,
                               cg_tensor *bias, const cg_normalize_attrs *attrs, cg_tensor **stats) {
    int64_t channels = around->dim[1], n = attrs->groups > 0 ? around->dim[0] * attrs->groups : channels;
    if (cg_tensor_numel(x) == 0) {
        return cg_ops_of_nothing(tape, x, (cg_tensor *[]){x, weight, bias}, 3);
    }
    cg_tensor *inputs[] = {cg_reshape(tape, x, around),
                           weight != NULL ? cg_reshape(tape, weight, &CG_SHAPE(channels)) : NULL,
                           bias != NULL ? cg_reshape(tape, bias, &CG_SHAPE(channels, 1)) : NULL};
    cg_dtype dtype = cg_tensor_dtype(x);
    cg_tensor *outputs[] = {cg_tape_tensor(tape, dtype, around), cg_tape_tensor(tape, dtype, &CG_SHAPE(n, 3))};
    cg_record(tape, kind, attrs, inputs, 3, outputs, 2, normalize_backward);
    if (stats != NULL) {
        *stats = outputs[1];
    }
    return cg_reshape(tape, outputs[0], cg_tensor_shape(x));
}

static cg_tensor *normalize(cg_tape *tape, cg_tensor *x, const cg_shape *around, cg_tensor *weight, cg_tensor *bias,
                            const cg_normalize_attrs *attrs, cg_tensor **stats) {
    return normalize_by(tape, CG_OP_NORMALIZE, x, around, weight, bias, attrs, stats);
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

/* Weight, bias and the running ones are of x's channels; of the running ones there are both or none. */
static bool counter_fits(cg_tape *tape, const char *op, cg_tensor *counter) {
    if (counter != NULL && cg_tape_accepts(tape, op, &counter, 1) &&
        (cg_tensor_dtype(counter) != CG_I64 || cg_tensor_numel(counter) != 1)) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "%s: num_batches is %s of %s: one element of i64 expected", op,
                     cg_shape_print(cg_tensor_shape(counter), CG_SHAPE_TEXT), cg_dtype_name(cg_tensor_dtype(counter)));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* Both or none, in memory of their own: they are written to. */
static bool running_fit(cg_tape *tape, const char *op, const cg_tensor *x, const cg_tensor *mean,
                        const cg_tensor *var) {
    if ((mean == NULL) != (var == NULL)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %s without %s", op, mean != NULL ? "running_mean" : "running_var",
                     mean != NULL ? "running_var" : "running_mean");
    } else if (mean != NULL &&
               (cg_record_overlap(mean, var) || cg_record_overlap(mean, x) || cg_record_overlap(var, x))) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: running_mean %s, running_var and x %s lie in the same memory", op,
                     cg_shape_print(cg_tensor_shape(mean), CG_SHAPE_TEXT),
                     cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

static bool tensors_fit(cg_tape *tape, const char *op, const cg_tensor *x, const cg_batch_norm_options *options) {
    int64_t channels = cg_tensor_shape(x)->dim[1];
    return fits(tape, op, "weight", options->weight, x, channels) &&
           fits(tape, op, "bias", options->bias, x, channels) &&
           fits(tape, op, "running_mean", options->running_mean, x, channels) &&
           fits(tape, op, "running_var", options->running_var, x, channels) &&
           counter_fits(tape, op, options->num_batches) &&
           running_fit(tape, op, x, options->running_mean, options->running_var);
}

static void update_running(cg_tape *tape, cg_tensor *stats, const cg_batch_norm_options *options, int64_t count) {
    cg_tensor *running[] = {options->running_mean, options->running_var, options->num_batches};
    cg_running_stats_attrs attrs = {.momentum = options->momentum, .correction = (double)count / (double)(count - 1)};
    cg_record(tape, CG_OP_RUNNING_STATS, &attrs, &stats, 1, running, 3, NULL);
}

/* A batch of nothing is counted, and leaves the running ones as they are. */
static void count_empty_batch(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options) {
    cg_batch_norm_options still = *options;
    still.momentum = 0;
    cg_shape stats = CG_SHAPE(cg_tensor_shape(x)->dim[1], 3);
    update_running(tape, cg_ops_filled(tape, cg_tensor_dtype(x), &stats, 0.0), &still, 2);
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

static cg_tensor *batch_norm(cg_tape *tape, const char *op, cg_tensor *x, const cg_batch_norm_options *options,
                             bool relu) {
    if (!has_channels(tape, op, x) || !cg_ops_given(tape, op, "options", options) ||
        !tensors_fit(tape, op, x, options)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), 1, 1);
    int64_t count = around.dim[0] * around.dim[2];
    bool running = options->running_mean != NULL;
    if (running && options->num_batches == NULL) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: running_mean and running_var without num_batches", op);
    }
    if (!options->training && running) {
        cg_tensor *y = by_running(tape, x, &around, options);
        return relu ? cg_relu(tape, y) : y;
    }
    if (options->training && count == 1) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "%s: x is %s: training needs more than one value a channel", op,
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    cg_normalize_attrs attrs = {.centered = 1, .eps = options->eps};
    cg_tensor *stats = NULL;
    cg_tensor *y = normalize_by(tape, relu ? CG_OP_NORMALIZE_RELU : CG_OP_NORMALIZE, x, &around, options->weight,
                                options->bias, &attrs, &stats);
    if (running && stats != NULL) {
        update_running(tape, stats, options, count);
    } else if (running) {
        count_empty_batch(tape, x, options);
    }
    return y;
}

cg_tensor *cg_batch_norm(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options) {
    return batch_norm(tape, "batch_norm", x, options, false);
}

cg_tensor *cg_batch_norm_relu(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options) {
    return batch_norm(tape, "batch_norm_relu", x, options, true);
}

/* running += momentum (value - running), value: statistic `which` of stats [n channels, 3], its mean over n. */
static void move_running(cg_tape *tape, cg_tensor *running, cg_tensor *stats, int64_t which, double scale,
                         double momentum) {
    int64_t channels = cg_tensor_numel(running), n = cg_tensor_shape(stats)->dim[0] / channels;
    cg_tensor *each = cg_reshape(tape, cg_select(tape, stats, 1, which), &CG_SHAPE(n, channels));
    cg_tensor *value = cg_scale(tape, cg_mean(tape, each, 1u << 0, false), scale);
    cg_tensor *same = cg_reshape(tape, running, &CG_SHAPE(channels));
    cg_tensor *moved = cg_add(tape, same, cg_scale(tape, cg_sub(tape, value, same), momentum));
    cg_status status = cg_copy(tape, running, moved);
    (void)status; /* sticks to the tape */
}

cg_tensor *cg_instance_norm(cg_tape *tape, cg_tensor *x, const cg_batch_norm_options *options) {
    static const char op[] = "instance_norm";
    if (!has_channels(tape, op, x) || !cg_ops_given(tape, op, "options", options) ||
        !tensors_fit(tape, op, x, options)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape around = cg_ops_around(cg_tensor_shape(x), 1, 1);
    bool running = options->running_mean != NULL;
    if (!options->training && running) {
        return by_running(tape, x, &around, options);
    }
    if (options->training && around.dim[2] == 1) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "instance_norm: x is %s: training needs more than one value a channel",
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT));
    }
    cg_normalize_attrs attrs = {.centered = 1, .groups = around.dim[1], .eps = options->eps};
    cg_tensor *stats = NULL;
    cg_tensor *y = normalize(tape, x, &around, options->weight, options->bias, &attrs, &stats);
    if (running && stats != NULL) {
        double sample = (double)around.dim[2] / (double)(around.dim[2] - 1);
        move_running(tape, options->running_mean, stats, 0, 1.0, options->momentum);
        move_running(tape, options->running_var, stats, 2, sample, options->momentum);
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

static int64_t at_most(int64_t number, int64_t most) {
    return number < most ? number : most;
}

/* Neighbours that are further than there are channels are 0 and need no place. */
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
    before.dim[1] = at_most(size / 2, around.dim[1]);
    behind.dim[1] = at_most((size - 1) / 2, around.dim[1]);
    cg_tensor *parts[] = {cg_ops_filled(tape, dtype, &before, 0), cg_square(tape, cg_reshape(tape, x, &around)),
                          cg_ops_filled(tape, dtype, &behind, 0)};
    cg_tensor *squares = cg_concat(tape, parts, 3, 1);
    cg_tensor *sum = cg_slice(tape, squares, 1, 0, around.dim[1], 1);
    for (int64_t i = 1; i <= before.dim[1] + behind.dim[1]; i++) {
        sum = cg_add(tape, sum, cg_slice(tape, squares, 1, i, i + around.dim[1], 1));
    }
    cg_tensor *base =
        cg_add(tape, cg_scale(tape, sum, alpha / (double)size), cg_ops_filled(tape, dtype, &CG_SCALAR, k));
    return cg_div(tape, x, cg_reshape(tape, cg_power(tape, base, beta), cg_tensor_shape(x)));
}
