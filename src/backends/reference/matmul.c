/* c = a' b' + bias, and ReLU behind it, element by element. */
#include "real.h"

/* Row i of a' times column j of b'. */
static double product(const cg_matmul_attrs *attrs, const real *a, const real *b, int64_t i, int64_t j) {
    double sum = 0.0;
    for (int64_t l = 0; l < attrs->k; l++) {
        real x = attrs->transpose_a ? a[l * attrs->lda + i] : a[i * attrs->lda + l];
        real y = attrs->transpose_b ? b[j * attrs->ldb + l] : b[l * attrs->ldb + j];
        sum += (double)x * (double)y;
    }
    return sum;
}

static cg_status multiply(const cg_op *op, bool relu) {
    const cg_matmul_attrs *attrs = op->attrs;
    bool biased = op->n_inputs > 2 && op->inputs[2].buffer != NULL;
    const real *bias = biased ? elements(&op->inputs[2]) : NULL;
    for (int64_t matrix = 0; matrix < attrs->batch; matrix++) {
        const real *a = elements(&op->inputs[0]) + matrix * attrs->stride_a;
        const real *b = elements(&op->inputs[1]) + matrix * attrs->stride_b;
        real *c = elements(&op->outputs[0]) + matrix * attrs->stride_c;
        for (int64_t i = 0; i < attrs->m; i++) {
            for (int64_t j = 0; j < attrs->n; j++) {
                double value = product(attrs, a, b, i, j) + (biased ? (double)bias[j] : 0.0);
                put(op, &c[i * attrs->ldc + j], relu && value <= 0.0 ? 0.0 : value);
            }
        }
    }
    return CG_OK;
}

cg_status REF(matmul)(const cg_op *op) {
    return multiply(op, false);
}

cg_status REF(matmul_relu)(const cg_op *op) {
    return multiply(op, true);
}
