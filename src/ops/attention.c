/* Scaled dot-product attention, made of products, softmax and dropout. */
#include <math.h>

#include "ops_common.h"

#define FORBIDDEN -1e30 /* times 0 it is 0, as -infinity would not be; its exponential is 0 all the same */

/* [queries, keys]: 0 where the key is not behind the query, else as good as -infinity. */
static cg_tensor *causal_mask(cg_tape *tape, cg_dtype dtype, int64_t queries, int64_t keys) {
    cg_tensor *row = cg_cumsum(tape, cg_ops_filled(tape, dtype, &CG_SHAPE(queries, 1), 1), 0);
    cg_tensor *column = cg_cumsum(tape, cg_ops_filled(tape, dtype, &CG_SHAPE(1, keys), 1), 1);
    return cg_scale(tape, cg_gt(tape, column, row), FORBIDDEN);
}

/* A mask of integers says which keys take part. */
static cg_tensor *additive_mask(cg_tape *tape, cg_dtype dtype, cg_tensor *mask) {
    if (!cg_tape_accepts(tape, "scaled_dot_product_attention", &mask, 1) || cg_tensor_dtype(mask) == dtype) {
        return mask;
    }
    return cg_where(tape, cg_cast(tape, mask, dtype), cg_ops_filled(tape, dtype, &CG_SCALAR, 0),
                    cg_ops_filled(tape, dtype, &CG_SCALAR, -INFINITY));
}

static bool leading_equal(const cg_shape *a, const cg_shape *b) {
    bool equal = a->rank == b->rank && a->rank >= 2;
    for (int i = 0; equal && i < a->rank - 2; i++) {
        equal = a->dim[i] == b->dim[i];
    }
    return equal;
}

static bool fits(cg_tape *tape, const cg_tensor *query, const cg_tensor *key, const cg_tensor *value) {
    const cg_shape *q = cg_tensor_shape(query), *k = cg_tensor_shape(key), *v = cg_tensor_shape(value);
    if (!leading_equal(q, k) || !leading_equal(k, v) || q->dim[q->rank - 1] != k->dim[k->rank - 1] ||
        k->dim[k->rank - 2] != v->dim[v->rank - 2] || q->dim[q->rank - 1] == 0 || k->dim[k->rank - 2] == 0) {
        cg_tape_fail(tape, CG_ERR_SHAPE,
                     "scaled_dot_product_attention: query is %s, key %s, value %s: [.., queries, features], [.., keys, "
                     "features] and [.., keys, columns] expected",
                     cg_shape_print(q, CG_SHAPE_TEXT), cg_shape_print(k, CG_SHAPE_TEXT),
                     cg_shape_print(v, CG_SHAPE_TEXT));
    }
    return cg_tape_status(tape) == CG_OK;
}

cg_tensor *cg_scaled_dot_product_attention(cg_tape *tape, cg_tensor *query, cg_tensor *key, cg_tensor *value,
                                           const cg_attention_options *options, cg_tensor **weights) {
    cg_tensor *inputs[] = {query, key, value};
    cg_attention_options given = options != NULL ? *options : (cg_attention_options){0};
    if (!cg_tape_accepts(tape, "scaled_dot_product_attention", inputs, 3) ||
        !cg_ops_float(tape, "scaled_dot_product_attention", query) || !fits(tape, query, key, value)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    const cg_shape *q = cg_tensor_shape(query), *k = cg_tensor_shape(key);
    double scale = given.scale != 0 ? given.scale : 1.0 / sqrt((double)q->dim[q->rank - 1]);
    cg_tensor *scores = cg_matmul(tape, cg_scale(tape, query, scale), key, &(cg_matmul_options){.transpose_b = true});
    if (given.causal) {
        cg_dtype dtype = cg_tensor_dtype(query);
        scores = cg_add(tape, scores, causal_mask(tape, dtype, q->dim[q->rank - 2], k->dim[k->rank - 2]));
    }
    if (given.mask != NULL) {
        scores = cg_add(tape, scores, additive_mask(tape, cg_tensor_dtype(query), given.mask));
    }
    cg_tensor *shares = cg_softmax(tape, scores, -1);
    if (weights != NULL) {
        *weights = shares;
    }
    shares = given.dropout != 0 ? cg_dropout(tape, shares, given.dropout) : shares;
    return cg_ops_result(tape, "scaled_dot_product_attention", cg_matmul(tape, shares, value, NULL));
}
