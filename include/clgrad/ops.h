/*
 * Tensor operations. Each records itself on the tape and returns its output, a tensor that belongs to the tape, or the
 * poison tensor when the tape has failed or an argument does not fit. Inputs are never changed. Names and meaning are
 * PyTorch's. Every op here has a gradient unless it says otherwise.
 */
#ifndef CLGRAD_OPS_H
#define CLGRAD_OPS_H

#include <clgrad/op_kinds.h>
#include <clgrad/ops_attention.h>
#include <clgrad/ops_norm.h>
#include <clgrad/ops_reduce.h>
#include <clgrad/ops_shape.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Elementwise ops of two tensors broadcast by PyTorch's rules. Both are of one dtype, f32 or f64. Those of one tensor
 * give its shape. NaN stays NaN; where an op has a kink its gradient is PyTorch's.
 */

/* a + b, a - b, a * b, a / b, a to the power b. */
CG_API cg_tensor *cg_add(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_sub(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_mul(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_div(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_pow(cg_tape *tape, cg_tensor *a, cg_tensor *b);

/* The larger, the smaller; equal numbers get half of the gradient each. */
CG_API cg_tensor *cg_maximum(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_minimum(cg_tape *tape, cg_tensor *a, cg_tensor *b);

/* 1 where a == b, a != b, a < b, a <= b, a > b, a >= b, else 0, in the dtype of a and b. No gradient. */
CG_API cg_tensor *cg_eq(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_ne(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_lt(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_le(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_gt(cg_tape *tape, cg_tensor *a, cg_tensor *b);
CG_API cg_tensor *cg_ge(cg_tape *tape, cg_tensor *a, cg_tensor *b);

/* a where the condition is not 0, elsewhere b; all three broadcast and have one dtype. A NaN or infinity that is not
 * chosen does no harm, in the gradient neither. No gradient for the condition. */
CG_API cg_tensor *cg_where(cg_tape *tape, cg_tensor *condition, cg_tensor *a, cg_tensor *b);

/* -x, x * x, |x| (gradient 0 at 0), e^x, log(x), log(1 + x), sqrt(x), 1 / sqrt(x), sin(x), cos(x), erf(x). */
CG_API cg_tensor *cg_neg(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_square(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_abs(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_exp(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_log(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_log1p(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_sqrt(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_rsqrt(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_sin(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_cos(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_erf(cg_tape *tape, cg_tensor *x);

/* x * factor; x to the power of a number. */
CG_API cg_tensor *cg_scale(cg_tape *tape, cg_tensor *x, double factor);
CG_API cg_tensor *cg_power(cg_tape *tape, cg_tensor *x, double exponent);

/* At least min and at most max (max everywhere if min > max); -INFINITY and INFINITY: no bound. The gradient passes at
 * the bounds. */
CG_API cg_tensor *cg_clamp(cg_tape *tape, cg_tensor *x, double min, double max);

/*
 * Activations, each one op. Meaning and parameters are those of torch.nn.functional.
 */

/* tanh(x); 1 / (1 + e^-x); its logarithm; x - tanh(x); x / (1 + |x|). */
CG_API cg_tensor *cg_tanh(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_sigmoid(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_logsigmoid(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_tanhshrink(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_softsign(cg_tape *tape, cg_tensor *x);

/* max(x, 0); x sigmoid(x); x tanh(softplus(x)); x relu6(x + 3) / 6; relu6(x + 3) / 6. */
CG_API cg_tensor *cg_relu(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_silu(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_mish(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_hardswish(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_hardsigmoid(cg_tape *tape, cg_tensor *x);

/* min((x > 0 ? x : leak x) - sub, maxv): the shifted, leaky, clamped ReLU of fast.ai's course. maxv = INFINITY: not
 * clamped. */
CG_API cg_tensor *cg_general_relu(cg_tape *tape, cg_tensor *x, double leak, double sub, double maxv);

/* x > 0 ? x : negative_slope x */
CG_API cg_tensor *cg_leaky_relu(cg_tape *tape, cg_tensor *x, double negative_slope);

/* x > 0 ? x : weight x, with one weight ([1]) for all or one for each channel ([channels], axis 1 of x). */
CG_API cg_tensor *cg_prelu(cg_tape *tape, cg_tensor *x, cg_tensor *weight);

/* The first half of an axis of even size times the sigmoid of the second. */
CG_API cg_tensor *cg_glu(cg_tape *tape, cg_tensor *x, int axis);

/* x times the normal distribution's cumulative function; tanh_form: by the approximation with tanh. */
CG_API cg_tensor *cg_gelu(cg_tape *tape, cg_tensor *x, bool tanh_form);

/* log(1 + e^(beta x)) / beta, x itself where beta x > threshold. beta is not 0. */
CG_API cg_tensor *cg_softplus(cg_tape *tape, cg_tensor *x, double beta, double threshold);

/* x > 0 ? x : alpha (e^x - 1); the same scaled, with the constants of self-normalising networks; x > 0 ? x :
 * alpha (e^(x / alpha) - 1), alpha not 0. */
CG_API cg_tensor *cg_elu(cg_tape *tape, cg_tensor *x, double alpha);
CG_API cg_tensor *cg_selu(cg_tape *tape, cg_tensor *x);
CG_API cg_tensor *cg_celu(cg_tape *tape, cg_tensor *x, double alpha);

/* As clamp with min <= max, but the gradient is 0 at the bounds. relu6: from 0 to 6. */
CG_API cg_tensor *cg_hardtanh(cg_tape *tape, cg_tensor *x, double min, double max);
CG_API cg_tensor *cg_relu6(cg_tape *tape, cg_tensor *x);

/* 0 from -lambda to lambda, lambda >= 0; beyond, x moved towards 0 by lambda, or x itself. */
CG_API cg_tensor *cg_softshrink(cg_tape *tape, cg_tensor *x, double lambda);
CG_API cg_tensor *cg_hardshrink(cg_tape *tape, cg_tensor *x, double lambda);

/* x > threshold ? x : value */
CG_API cg_tensor *cg_threshold(cg_tape *tape, cg_tensor *x, double threshold, double value);

/* Any row of elementwise.def by the number of its op, CG_OP_TANH for one; p has the row's p0, p1, p2 (NULL: 0). What
 * the functions above are made of: they check what the numbers in p must be, these do not. */
CG_API cg_tensor *cg_unary(cg_tape *tape, uint32_t number, cg_tensor *x, const double p[3]);
CG_API cg_tensor *cg_binary(cg_tape *tape, uint32_t number, cg_tensor *a, cg_tensor *b);

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

/* relu(x weight^T + bias) in one op: the same values, one pass over them less. */
CG_API cg_tensor *cg_linear_relu(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias);

/* Einstein's sum of 1 to 8 operands: cg_einsum(tape, "bij,jk->bik", (cg_tensor *[]){a, b}, 2). A letter names an axis:
 * what is not in the result is summed over, a letter twice in one term takes the diagonal, "..." stands for any axes,
 * which broadcast, as do axes of 1. Without "->" the result has the axes of "..." and the letters that occur once,
 * sorted. Operands are joined from left to right, two at a time by cg_matmul or cg_mul. torch.einsum. */
CG_API cg_tensor *cg_einsum(cg_tape *tape, const char *equation, cg_tensor *const *inputs, size_t count);

/* Sum or mean over the axes whose bits are set in `axes` (bit 0: axis 0); CG_ALL_AXES for all. keepdim keeps them as 1.
 */
#define CG_ALL_AXES 0xffffffffu
CG_API cg_tensor *cg_sum(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);
CG_API cg_tensor *cg_mean(cg_tape *tape, cg_tensor *x, uint32_t axes, bool keepdim);

/* Index of the largest along one axis (negative: from the end), i64, that axis removed. The first of equals. No
 * gradient. */
CG_API cg_tensor *cg_argmax(cg_tape *tape, cg_tensor *x, int axis);

/* x - log(sum(exp(x))) along one axis (negative: from the end), and its exp: numbers that sum to 1. */
CG_API cg_tensor *cg_log_softmax(cg_tape *tape, cg_tensor *x, int axis);
CG_API cg_tensor *cg_softmax(cg_tape *tape, cg_tensor *x, int axis);

typedef enum cg_reduction { CG_REDUCE_MEAN = 0, CG_REDUCE_SUM = 1, CG_REDUCE_NONE = 2 } cg_reduction;

/* Cross-entropy of logits [n, c] and classes target [n] (i64 or i32): mean or sum, a scalar, or none, [n].
 * torch.nn.CrossEntropyLoss with its defaults: a target of -100 does not count. cg_cross_entropy_loss of losses.h takes
 * more. */
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
