/* Matrix products: checks, the four transpositions and their gradients. */
#include "ops_common.h"

/* One factor of a product: the used matrix is [rows, columns] as stored, before any transposition. */
typedef struct factor {
    cg_tensor *tensor;
    bool transpose;
    int64_t rows, columns, ld, stride; /* stride: from one matrix of the batch to the next */
} factor;

static cg_matmul_attrs product(const factor *a, const factor *b, int64_t batch) {
    int64_t m = a->transpose ? a->columns : a->rows, k = a->transpose ? a->rows : a->columns;
    int64_t n = b->transpose ? b->rows : b->columns;
    return (cg_matmul_attrs){
        .transpose_a = a->transpose,
        .transpose_b = b->transpose,
        .batch = batch,
        .m = m,
        .n = n,
        .k = k,
        .lda = a->ld,
        .ldb = b->ld,
        .ldc = n,
        .stride_a = a->stride,
        .stride_b = b->stride,
        .stride_c = m * n,
    };
}

static factor flipped(factor f) {
    f.transpose = !f.transpose;
    return f;
}

/* A matrix that an op made: contiguous. */
static factor whole(cg_tensor *tensor, int64_t rows, int64_t columns) {
    return (factor){tensor, false, rows, columns, columns, rows * columns};
}

/* Contributes first * second to the gradient of `target`; a target that all of the batch shares gets the sum of the
 * products. */
static void emit_product(cg_tape *tape, cg_tensor *target, factor first, factor second, int64_t batch, bool shared) {
    if (!cg_grad_wanted(tape, target)) {
        return;
    }
    cg_matmul_attrs attrs = product(&first, &second, batch);
    cg_tensor *inputs[] = {first.tensor, second.tensor};
    if (!shared || batch == 1) {
        cg_grad_emit(tape, target, NULL, CG_OP_MATMUL, &attrs, inputs, 2);
        return;
    }
    cg_tensor *each = cg_tape_tensor(tape, cg_tensor_dtype(target), &CG_SHAPE(1, batch, attrs.m * attrs.n));
    cg_record(tape, CG_OP_MATMUL, &attrs, inputs, 2, &each, 1, NULL);
    cg_scale_attrs once = {.scale = 1.0};
    cg_grad_emit(tape, target, &CG_SHAPE(1, attrs.m * attrs.n), CG_OP_SUM, &once, &each, 1);
}

/* c = a' b': da' = dc b'^T, db' = a'^T dc, each written for the factor as it is stored. */
/* dc_tensor: the gradient of the product and its bias. */
static void product_backward(cg_tape *tape, const cg_node *node, cg_tensor *dc_tensor) {
    const cg_matmul_attrs *at = node->attrs;
    factor a = {node->inputs[0], at->transpose_a, at->transpose_a ? at->k : at->m, at->transpose_a ? at->m : at->k,
                at->lda,         at->stride_a};
    factor b = {node->inputs[1], at->transpose_b, at->transpose_b ? at->n : at->k, at->transpose_b ? at->k : at->n,
                at->ldb,         at->stride_b};
    factor dc = whole(dc_tensor, at->m, at->n);
    if (a.transpose) {
        emit_product(tape, a.tensor, b, flipped(dc), at->batch, false);
    } else {
        emit_product(tape, a.tensor, dc, flipped(b), at->batch, false);
    }
    if (b.transpose) {
        emit_product(tape, b.tensor, flipped(dc), a, at->batch, at->stride_b == 0);
    } else {
        emit_product(tape, b.tensor, flipped(a), dc, at->batch, at->stride_b == 0);
    }
    if (node->n_inputs > 2 && cg_grad_wanted(tape, node->inputs[2])) {
        cg_tensor *rows = cg_tape_alias(tape, dc.tensor, &CG_SHAPE(1, at->batch * at->m, at->n));
        cg_scale_attrs once = {.scale = 1.0};
        cg_grad_emit(tape, node->inputs[2], &CG_SHAPE(1, at->n), CG_OP_SUM, &once, &rows, 1);
    }
}

static void matmul_backward(cg_tape *tape, const cg_node *node) {
    product_backward(tape, node, cg_grad_of(tape, node->outputs[0]));
}

static void matmul_relu_backward(cg_tape *tape, const cg_node *node) {
    product_backward(tape, node, cg_ops_before_relu(tape, node->outputs[0]));
}

/* The last two axes of a tensor as a factor; fails the tape when it has none, or when ld does not fit its memory. */
static factor factor_of(cg_tape *tape, const char *which, cg_tensor *tensor, bool transpose, int64_t ld) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    if (shape->rank < 2) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "matmul: %s is %s: two axes or more expected", which,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
        return (factor){.tensor = tensor};
    }
    int64_t rows = shape->dim[shape->rank - 2], columns = shape->dim[shape->rank - 1];
    int64_t step = ld > 0 ? ld : columns; /* below 0: refused */
    factor f = {tensor, transpose, rows, columns, step, cg_ops_times(rows, step)};
    if (ld != 0 && (ld < columns || shape->rank != 2)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT,
                     "matmul: a row length of %lld for %s, which is %s: at least its columns, and two axes, expected",
                     (long long)ld, which, cg_shape_print(shape, CG_SHAPE_TEXT));
    } else if (ld > 0 && rows > 0 && (size_t)cg_ops_times(rows - 1, ld) + (size_t)columns > cg_record_room(tensor)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "matmul: %s is %s with rows %lld apart: more than its memory holds", which,
                     cg_shape_print(shape, CG_SHAPE_TEXT), (long long)ld);
    }
    return f;
}

static bool leading_equal(const cg_shape *a, const cg_shape *b) {
    bool equal = a->rank == b->rank;
    for (int i = 0; equal && i < a->rank - 2; i++) {
        equal = a->dim[i] == b->dim[i];
    }
    return equal;
}

static bool factors_fit(cg_tape *tape, const factor *a, const factor *b) {
    const cg_shape *x = cg_tensor_shape(a->tensor), *y = cg_tensor_shape(b->tensor);
    if (cg_tensor_dtype(a->tensor) != cg_tensor_dtype(b->tensor)) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "matmul: a is %s, b is %s", cg_dtype_name(cg_tensor_dtype(a->tensor)),
                     cg_dtype_name(cg_tensor_dtype(b->tensor)));
    } else if ((a->transpose ? a->rows : a->columns) != (b->transpose ? b->columns : b->rows)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "matmul: a is %s%s, b is %s%s: the inner sizes differ",
                     cg_shape_print(x, CG_SHAPE_TEXT), a->transpose ? " transposed" : "",
                     cg_shape_print(y, CG_SHAPE_TEXT), b->transpose ? " transposed" : "");
    } else if (y->rank != 2 && !leading_equal(x, y)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "matmul: a is %s, b is %s: the leading axes differ",
                     cg_shape_print(x, CG_SHAPE_TEXT), cg_shape_print(y, CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

/* Records the product; a batch of untransposed matrices times one matrix is one larger product. */
static cg_tensor *record_product(cg_tape *tape, factor a, factor b, cg_tensor *bias, bool relu) {
    if (cg_tape_status(tape) != CG_OK) { /* a factor that memory was out for has no rows */
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *shape = cg_tensor_shape(a.tensor);
    int64_t batch = 1;
    for (int i = 0; i < shape->rank - 2; i++) {
        batch *= shape->dim[i];
    }
    if (cg_tensor_shape(b.tensor)->rank == 2 && batch != 1 && !a.transpose) {
        a.rows *= batch;
        batch = 1;
    } else if (cg_tensor_shape(b.tensor)->rank == 2) {
        b.stride = 0;
    }
    cg_matmul_attrs attrs = product(&a, &b, batch);
    cg_shape out = *shape;
    out.dim[out.rank - 1] = attrs.n;
    out.dim[out.rank - 2] = a.transpose ? a.columns : shape->dim[out.rank - 2];
    if (attrs.k == 0 && cg_shape_numel(&out) > 0) {
        cg_tensor *zeros = cg_ops_filled(tape, cg_tensor_dtype(a.tensor), &out, 0.0);
        return cg_ops_of_nothing(tape, zeros, (cg_tensor *[]){a.tensor, b.tensor}, 2);
    }
    cg_tensor *c = cg_tape_tensor(tape, cg_tensor_dtype(a.tensor), &out);
    cg_tensor *inputs[] = {a.tensor, b.tensor, bias};
    cg_record(tape, relu ? CG_OP_MATMUL_RELU : CG_OP_MATMUL, &attrs, inputs, bias != NULL ? 3 : 2, &c, 1,
              relu ? matmul_relu_backward : matmul_backward);
    return c;
}

cg_tensor *cg_matmul(cg_tape *tape, cg_tensor *a, cg_tensor *b, const cg_matmul_options *options) {
    cg_matmul_options given = options != NULL ? *options : (cg_matmul_options){0};
    cg_tensor *inputs[] = {a, b};
    if (!cg_tape_accepts(tape, "matmul", inputs, 2) || !cg_ops_float(tape, "matmul", a)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    factor first = factor_of(tape, "a", a, given.transpose_a, given.lda);
    factor second = factor_of(tape, "b", b, given.transpose_b, given.ldb);
    if (cg_tape_status(tape) != CG_OK || !factors_fit(tape, &first, &second)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    return record_product(tape, first, second, NULL, false);
}

static bool linear_fits(cg_tape *tape, const char *op, const cg_tensor *x, const cg_tensor *weight,
                        const cg_tensor *bias) {
    const cg_shape *in = cg_tensor_shape(x), *w = cg_tensor_shape(weight);
    if (in->rank < 1 || w->rank != 2 || in->dim[in->rank - 1] != w->dim[1] || w->dim[1] == 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: input is %s, weight is %s: [.., in] and [out, in] expected", op,
                     cg_shape_print(in, CG_SHAPE_TEXT), cg_shape_print(w, CG_SHAPE_TEXT));
    } else if (bias != NULL && (cg_tensor_shape(bias)->rank != 1 || cg_tensor_shape(bias)->dim[0] != w->dim[0])) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: weight is %s, bias is %s: [out, in] and [out] expected", op,
                     cg_shape_print(w, CG_SHAPE_TEXT), cg_shape_print(cg_tensor_shape(bias), CG_SHAPE_TEXT));
    } else if (cg_tensor_dtype(x) != cg_tensor_dtype(weight) ||
               (bias != NULL && cg_tensor_dtype(bias) != cg_tensor_dtype(x))) {
        cg_tape_fail(tape, CG_ERR_DTYPE, "%s: input is %s, weight is %s", op, cg_dtype_name(cg_tensor_dtype(x)),
                     cg_dtype_name(cg_tensor_dtype(weight)));
    }
    return cg_tape_status(tape) == CG_OK;
}

static cg_tensor *linear(cg_tape *tape, const char *op, cg_tensor *x, cg_tensor *weight, cg_tensor *bias, bool relu) {
    cg_tensor *inputs[] = {x, weight, bias};
    if (!cg_tape_accepts(tape, op, inputs, bias != NULL ? 3 : 2) || !cg_ops_float(tape, op, x) ||
        !linear_fits(tape, op, x, weight, bias)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *in = cg_tensor_shape(x), *w = cg_tensor_shape(weight);
    int64_t features = w->dim[1], outputs = w->dim[0];
    cg_shape out = *in;
    out.dim[out.rank - 1] = outputs;
    factor a = whole(cg_reshape(tape, x, &CG_SHAPE(cg_tensor_numel(x) / features, features)),
                     cg_tensor_numel(x) / features, features);
    factor b = flipped(whole(weight, outputs, features));
    return cg_reshape(tape, record_product(tape, a, b, bias, relu), &out);
}

cg_tensor *cg_linear(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias) {
    return linear(tape, "linear", x, weight, bias, false);
}

cg_tensor *cg_linear_relu(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias) {
    return linear(tape, "linear_relu", x, weight, bias, true);
}
