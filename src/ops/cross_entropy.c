/*
 * Losses of classes: cross-entropy and negative log-likelihood. Rows of logits against a class each are one op; what
 * has more axes, a smoothed target or probabilities is made of log-softmax and other ops, as torch.nn.functional has
 * it.
 */
#include <clgrad/losses.h>

#include "ops_common.h"

/* Up to here the weights of a mean are divided by their sum as they are looked up, which one worker does alone. */
#define LARGEST_MEAN 65536

typedef struct class_loss {
    const char *name;
    cg_tensor *input, *target, *weight; /* weight NULL: 1 for all */
    int64_t ignored;
    cg_reduction reduction;
    int axis; /* of the classes */
    int64_t classes, rows;
} class_loss;

static cg_tensor *failed(cg_tape *tape) {
    return cg_tape_fail_status(tape, cg_tape_status(tape));
}

static const char *shape_text(const cg_tensor *tensor, char *text, size_t size) {
    return cg_shape_print(cg_tensor_shape(tensor), text, size);
}

static bool is_real(const cg_tensor *tensor) {
    return cg_tensor_dtype(tensor) == CG_F32 || cg_tensor_dtype(tensor) == CG_F64;
}

static bool weight_fits(cg_tape *tape, const class_loss *c) {
    if (c->weight == NULL) {
        return true;
    }
    if (!cg_tape_accepts(tape, c->name, &c->weight, 1)) {
        return false;
    }
    if (!cg_shape_equal(cg_tensor_shape(c->weight), &CG_SHAPE(c->classes))) {
        cg_tape_fail(tape, CG_ERR_SHAPE,
                     "%s: the weight is %s, the input %s: a weight for each of %lld classes expected", c->name,
                     shape_text(c->weight, CG_SHAPE_TEXT), shape_text(c->input, CG_SHAPE_TEXT), (long long)c->classes);
    } else if (cg_tensor_dtype(c->weight) != cg_tensor_dtype(c->input)) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "%s: the weight is %s, the input %s", c->name,
                     cg_dtype_name(cg_tensor_dtype(c->weight)), cg_dtype_name(cg_tensor_dtype(c->input)));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* Checks all but the target's shape, and finds the axis of the classes: the second, or the only one. */
static bool accepts(cg_tape *tape, class_loss *c) {
    cg_tensor *both[] = {c->input, c->target};
    if (!cg_tape_accepts(tape, c->name, both, 2) || !cg_ops_float(tape, c->name, c->input)) {
        return false;
    }
    const cg_shape *shape = cg_tensor_shape(c->input);
    c->axis = shape->rank > 1 ? 1 : 0;
    c->classes = shape->rank > 0 ? shape->dim[c->axis] : 0;
    c->rows = cg_tensor_numel(c->target);
    if (c->classes == 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the input is %s, the target %s: there are no classes", c->name,
                     shape_text(c->input, CG_SHAPE_TEXT), shape_text(c->target, CG_SHAPE_TEXT));
        return false;
    }
    return weight_fits(tape, c);
}

/* Whether the target has a class for each row; else the tape fails. */
static bool classes_fit(cg_tape *tape, const class_loss *c) {
    cg_shape expected = cg_ops_without(cg_tensor_shape(c->input), c->axis);
    cg_dtype dtype = cg_tensor_dtype(c->target);
    if (!cg_shape_equal(&expected, cg_tensor_shape(c->target))) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the input is %s, the target %s: classes of shape %s expected", c->name,
                     shape_text(c->input, CG_SHAPE_TEXT), shape_text(c->target, CG_SHAPE_TEXT),
                     cg_shape_print(&expected, CG_SHAPE_TEXT));
    } else if (dtype != CG_I64 && dtype != CG_I32) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "%s: the target is %s: classes in i64 or i32 expected", c->name,
                     cg_dtype_name(dtype));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* The weight of each row's class, 0 for what is ignored, in one axis; `chosen` (or NULL) gets classes that can be
 * looked up. Classes are checked here where nothing else would look at them. */
static cg_tensor *weights_of(cg_tape *tape, const class_loss *c, cg_tensor *weight, bool mean, cg_tensor **chosen) {
    const cg_shape flat = CG_SHAPE(c->rows);
    bool check = weight != NULL || chosen != NULL;
    cg_class_attrs attrs = {.mean = mean, .ignored = c->ignored, .classes = check ? c->classes : 0};
    cg_tensor *inputs[] = {cg_tape_alias(tape, c->target, &flat), weight};
    cg_tensor *outputs[] = {cg_tape_tensor(tape, cg_tensor_dtype(c->input), &flat), NULL};
    if (chosen != NULL) {
        outputs[1] = *chosen = cg_tape_tensor(tape, CG_I64, &flat);
    }
    cg_record(tape, CG_OP_CLASS_WEIGHTS, &attrs, inputs, weight != NULL ? 2 : 1, outputs, 2, NULL);
    return outputs[0];
}

/* A mean is weighted: all that is ignored makes it 0 / 0. */
static cg_tensor *reduced(cg_tape *tape, const class_loss *c, cg_tensor *loss, cg_tensor *factor) {
    if (c->reduction != CG_REDUCE_MEAN) {
        return cg_ops_reduced(tape, c->name, loss, c->reduction);
    }
    return cg_div(tape, cg_sum(tape, loss, CG_ALL_AXES, false), cg_sum(tape, factor, CG_ALL_AXES, false));
}

static void fused_backward(cg_tape *tape, const cg_node *node) {
    cg_tensor *dloss = cg_grad_of(tape, node->outputs[0]);
    cg_tensor *inputs[] = {node->inputs[0], node->inputs[1], node->outputs[1], dloss, node->inputs[2]};
    if (dloss != NULL) {
        cg_grad_emit(tape, node->inputs[0], NULL, CG_OP_CROSS_ENTROPY_BACKWARD, node->attrs, inputs,
                     node->n_inputs > 2 ? 5 : 4);
    }
}

static cg_tensor *fused(cg_tape *tape, const class_loss *c) {
    bool mean = c->reduction == CG_REDUCE_MEAN, divided = mean && c->rows <= LARGEST_MEAN;
    cg_tensor *factor = mean || c->weight != NULL ? weights_of(tape, c, c->weight, divided, NULL) : NULL;
    const cg_shape flat = CG_SHAPE(c->rows), pairs = CG_SHAPE(c->rows, 2), table = CG_SHAPE(c->rows, c->classes);
    cg_tensor *logits = cg_tensor_shape(c->input)->rank == 2 ? c->input : cg_reshape(tape, c->input, &table);
    cg_tensor *inputs[] = {logits, cg_tape_alias(tape, c->target, &flat), factor};
    cg_tensor *outputs[] = {cg_tape_tensor(tape, cg_tensor_dtype(logits), cg_tensor_shape(c->target)),
                            cg_tape_tensor(tape, cg_tensor_dtype(logits), &pairs)};
    cg_class_attrs attrs = {.ignored = c->ignored};
    cg_record(tape, CG_OP_CROSS_ENTROPY, &attrs, inputs, factor != NULL ? 3 : 2, outputs, 2, fused_backward);
    return divided ? cg_sum(tape, outputs[0], CG_ALL_AXES, false) : reduced(tape, c, outputs[0], factor);
}

/* Weights in a shape that broadcasts over the input: the classes' axis and those behind it. */
static cg_tensor *along_classes(cg_tape *tape, const class_loss *c) {
    cg_shape shape = {.rank = cg_tensor_shape(c->input)->rank - c->axis};
    for (int i = 0; i < shape.rank; i++) {
        shape.dim[i] = i == 0 ? c->classes : 1;
    }
    return cg_reshape(tape, c->weight, &shape);
}

/* -sum(weight log_p) of every row. */
static cg_tensor *minus_sum(cg_tape *tape, const class_loss *c, cg_tensor *log_p) {
    cg_tensor *weighted = c->weight != NULL ? cg_mul(tape, log_p, along_classes(tape, c)) : log_p;
    return cg_neg(tape, cg_sum(tape, weighted, 1u << c->axis, false));
}

/* -weight log_p[class], mixed with a share of minus_sum. A row that is ignored is 0 whatever log_p is there. */
static cg_tensor *of_log_p(cg_tape *tape, const class_loss *c, cg_tensor *log_p, double smoothing) {
    const cg_shape *rows = cg_tensor_shape(c->target);
    cg_shape column = *cg_tensor_shape(c->input);
    column.dim[c->axis] = 1;
    cg_tensor *chosen = NULL, *counted = cg_reshape(tape, weights_of(tape, c, NULL, false, &chosen), rows);
    cg_tensor *factor = counted;
    cg_tensor *picked = cg_gather(tape, log_p, c->axis, cg_reshape(tape, chosen, &column));
    cg_tensor *loss = cg_binary(tape, CG_OP_MASK, cg_neg(tape, cg_reshape(tape, picked, rows)), counted);
    if (c->weight != NULL) {
        factor = cg_reshape(tape, weights_of(tape, c, c->weight, false, NULL), rows);
        loss = cg_mul(tape, loss, factor);
    }
    if (smoothing > 0) {
        cg_tensor *spread = cg_binary(tape, CG_OP_MASK, minus_sum(tape, c, log_p), counted);
        loss =
            cg_add(tape, cg_scale(tape, loss, 1 - smoothing), cg_scale(tape, spread, smoothing / (double)c->classes));
    }
    return reduced(tape, c, loss, factor);
}

static cg_tensor *of_probabilities(cg_tape *tape, const class_loss *c, double smoothing) {
    if (c->ignored >= 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT,
                            "%s: ignore_index %lld goes with classes; the target has probabilities", c->name,
                            (long long)c->ignored);
    }
    if (cg_tensor_dtype(c->target) != cg_tensor_dtype(c->input)) {
        return cg_tape_fail(tape, CG_ERR_DTYPE, "%s: the input is %s, the target %s", c->name,
                            cg_dtype_name(cg_tensor_dtype(c->input)), cg_dtype_name(cg_tensor_dtype(c->target)));
    }
    cg_tensor *target = c->target;
    if (smoothing > 0) {
        cg_tensor *share = cg_ops_filled(tape, cg_tensor_dtype(target), &CG_SCALAR, smoothing / (double)c->classes);
        target = cg_add(tape, cg_scale(tape, target, 1 - smoothing), share);
    }
    cg_tensor *log_p = cg_log_softmax(tape, c->input, c->axis);
    return cg_ops_reduced(tape, c->name, minus_sum(tape, c, cg_mul(tape, log_p, target)), c->reduction);
}

cg_tensor *cg_cross_entropy_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target,
                                 const cg_cross_entropy_options *options, cg_reduction reduction) {
    cg_cross_entropy_options chosen = options != NULL ? *options : CG_CROSS_ENTROPY_DEFAULTS;
    class_loss c = {.name = "cross_entropy",
                    .input = input,
                    .target = target,
                    .weight = chosen.weight,
                    .ignored = chosen.ignore_index,
                    .reduction = reduction};
    double smoothing = chosen.label_smoothing;
    if (!accepts(tape, &c)) {
        return failed(tape);
    }
    if (!(smoothing >= 0 && smoothing <= 1)) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "cross_entropy: label_smoothing is %g, expected 0 to 1", smoothing);
    }
    if (is_real(target) && cg_shape_equal(cg_tensor_shape(input), cg_tensor_shape(target))) {
        return of_probabilities(tape, &c, smoothing);
    }
    if (!classes_fit(tape, &c)) {
        return failed(tape);
    }
    if (cg_tensor_shape(input)->rank <= 2 && smoothing == 0 && c.rows > 0) {
        return fused(tape, &c);
    }
    return of_log_p(tape, &c, cg_log_softmax(tape, input, c.axis), smoothing);
}

cg_tensor *cg_cross_entropy(cg_tape *tape, cg_tensor *logits, cg_tensor *target, cg_reduction reduction) {
    return cg_cross_entropy_loss(tape, logits, target, NULL, reduction);
}

cg_tensor *cg_nll_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_tensor *weight, int64_t ignore_index,
                       cg_reduction reduction) {
    class_loss c = {.name = "nll_loss",
                    .input = input,
                    .target = target,
                    .weight = weight,
                    .ignored = ignore_index,
                    .reduction = reduction};
    return accepts(tape, &c) && classes_fit(tape, &c) ? of_log_p(tape, &c, input, 0) : failed(tape);
}
