/*
 * Tensor operations. Each records itself on the tape and returns its output, a tensor that belongs to the tape, or the
 * poison tensor when the tape has failed or an argument does not fit. Inputs are never changed. Names and meaning are
 * PyTorch's. Every op here has a gradient unless it says otherwise.
 */
#ifndef CLGRAD_OPS_H
#define CLGRAD_OPS_H

#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* a + b, a - b, a * b, broadcasting by PyTorch's rules. Both of one dtype, f32 or f64. */
CG_API cg_tensor *cg_add(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_sub(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_mul(cg_tape *tape, cg_tensor *a, cg_tensor *b);

/* x * factor; x * x; max(x, 0); all of x's shape. */
CG_API cg_tensor *cg_scale(cg_tape *tape, cg_tensor *x, double factor);
CG_API cg_tensor *cg_square(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_relu(cg_tape *tape, cg_tensor *x);

/* min((x > 0 ? x : leak x) - sub, maxv): the shifted, leaky, clamped ReLU of fast.ai's course. maxv = INFINITY: not
 * clamped. */
CG_API cg_tensor *cg_general_relu(cg_tape *tape, cg_tensor *x, double leak, double sub, double maxv);

typedef struct cg_matmul_options {
    bool transpose_a; /* use a's last two axes swapped */
    bool transpose_b;
    int64_t lda; /* elements from one stored row of a to the next; 0: a's last dimension */
    int64_t ldb;
} cg_matmul_options;

/* a' b': a' [.., m, k], b' [.., k, n], result [.., m, n]. Leading axes of a and b are equal, or b has none (rank 2) and
 * is used for all of a's. With lda, a is stored with that row length and its shape gives the used part; not beyond its
 * memory. options NULL: all 0. */
CG_API cg_tensor *cg_matmul(cg_tape *tape, cg_tensor *a, cg_tensor *b, const cg_matmul_options *options);

/* x weight^T + bias: x [.., in], weight [out, in], bias [out] or NULL, result [.., out]. torch.nn.functional.linear. */
CG_API cg_tensor *cg_linear(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias);

/* Sum or mean over the axes whose bits are set in `axes` (bit 0: axis 0); CG_ALL_AXES for all. keepdim keeps them as 1.
 */
#define CG_ALL_AXES 0xffffffffu
CG_API cg_tensor *cg_sum(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);
CG_API cg_tensor *cg_mean(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);

/* Index of the largest along one axis (negative: from the end), i64, that axis removed. The first of equals. No
 * gradient. */
CG_API cg_tensor *cg_argmax(cg_tape *tape, cg_tensor *x, int axis);

/* x - log(sum(exp(x))) along one axis (negative: from the end). */
CG_API cg_tensor *cg_log_softmax(cg_tape *tape, cg_tensor *x, int axis);

typedef enum cg_reduction { CG_REDUCE_MEAN = 0, CG_REDUCE_SUM = 1, CG_REDUCE_NONE = 2 } cg_reduction;

/* Cross-entropy of logits [n, c] and classes target [n] (i64 or i32): mean or sum, a scalar, or none, [n].
 * torch.nn.CrossEntropyLoss with its defaults. */
CG_API cg_tensor *cg_cross_entropy(cg_tape *tape, cg_tensor *logits, cg_tensor *target, cg_reduction reduction);

/* (input - target)^2, mean, sum or none. The shapes must be equal: [n, 1] against [n] is an error, never [n, n].
 * torch.nn.MSELoss. */
CG_API cg_tensor *cg_mse_loss(cg_tape *tape, cg_tensor *input, cg_tensor *target, cg_reduction reduction);

/* The same elements in another shape; one dimension may be -1. A view: nothing is moved. */
CG_API cg_tensor *cg_reshape(cg_tape *tape, cg_tensor *x, const cg_shape *shape);

/* Axes start..end (negative: from the end) made one. A view. */
CG_API cg_tensor *cg_flatten(cg_tape *tape, cg_tensor *x, int start_dim, int end_dim);

/* Copies `source` into `destination`, a tensor of the caller's of the same number of elements and dtype. No gradient.
 */
CG_API cg_status cg_copy(cg_tape *tape, cg_tensor *destination, cg_tensor *source);

#ifdef __cplusplus
}
#endif
#endif
