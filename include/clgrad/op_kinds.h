/*
 * Op kinds: what crosses the device abstraction. An op is data: a kind, attributes, input and output operands.
 * Numbers and attribute layouts are stable; attributes never change from one step to the next.
 */
#ifndef CLGRAD_OP_KINDS_H
#define CLGRAD_OP_KINDS_H

#include <clgrad/spatial_attrs.h>
#include <clgrad/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CG_MAX_INPUTS 8
#define CG_MAX_OUTPUTS 4

#define CG_KIND_ACCUMULATES 1u
#define CG_KIND_UPDATES 2u

/* Attribute structs have no padding: answers about an op are kept by all of their bytes. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#endif

typedef struct cg_no_attrs {
    uint32_t size; /* bytes of this struct, as in every attribute struct: room to grow */
} cg_no_attrs;

/* Elementwise ops: the row's p0, p1, p2.
 * Forward: inputs x (or a, b, which broadcast), output y. Gradient of a unary: inputs x, y, dy, output dx. Gradients of
 * a binary: inputs a, b, dz, output of dz's shape (the sum over broadcast axes is an op of its own). */
typedef struct cg_elementwise_attrs {
    uint32_t size;
    uint32_t unused;
    double p[3];
} cg_elementwise_attrs;

/* fill: every element of the output becomes value. */
typedef struct cg_fill_attrs {
    uint32_t size;
    uint32_t unused;
    double value;
} cg_fill_attrs;

/* matmul: c = a' b' + bias, batch times: a' is a [m, k], or the transpose of a [k, m] where transpose_a; likewise b'
 * [k, n]. ld: elements from one stored row to the next. stride: elements from one matrix of the batch to the next (0:
 * the same one for all). Input 2, bias [n], is optional and added to every row. matmul_relu: the same, and of it
 * c <= 0 ? 0 : c. */
typedef struct cg_matmul_attrs {
    uint32_t size;
    uint32_t transpose_a, transpose_b;
    uint32_t unused;
    int64_t batch, m, n, k;
    int64_t lda, ldb, ldc;
    int64_t stride_a, stride_b, stride_c;
} cg_matmul_attrs;

/* sum: input [outer, reduce, inner] to output [outer, inner], times scale (1 / reduce makes a mean).
 * expand, its gradient: input [outer, inner], output [outer, reduce, inner], times scale.
 * Both always have rank 3 and 2: the front end reshapes. So have argmax ([outer, reduce, inner] to i64 [outer, inner],
 * the first of equals, NaN counts as largest) and log_softmax and softmax ([outer, dim, inner]; their gradients: inputs
 * y, dy). */
typedef struct cg_scale_attrs {
    uint32_t size;
    uint32_t unused;
    double scale;
} cg_scale_attrs;

/* cross_entropy: logits [n, c], target [n] (i32 or i64, 0 <= class < c) and factor [n] (absent: 1) to loss [n] = factor
 * (log(sum(exp(logits))) - logits[target]), factor * 0 where the target is `ignored`, and sums [n, 2] = (the largest
 * logit, log(sum(exp(logits - largest)))), kept apart because their sum loses digits where logits are large. Gradient:
 * inputs logits, target, sums, dloss [n], factor; output [n, c] = dloss factor (exp(logits - sums[0] - sums[1]) -
 * onehot), 0 where ignored. A class out of range reads nothing outside its row and fails with CG_ERR_INDEX, at once or
 * at the next read or wait.
 * class_weights: target [n] and weight [classes] (absent: 1) to factor [n] = weight[target], 0 where ignored; with
 * `mean` divided by their sum, NaN where that is 0; and, unless absent, to class [n] (i64), the target with 0 for
 * what is ignored. A class out of range as above; classes = 0 (there is no weight): any will do. */
typedef struct cg_class_attrs {
    uint32_t size;
    uint32_t mean; /* of class_weights, as is `classes` */
    int64_t ignored, classes;
} cg_class_attrs;

/* Optimizer steps: inputs hyper [CG_UPDATE_NUMBERS] and grad; updates param and its states, which follow it as outputs
 * and are absent where the optimizer's options do not ask for them. updates.def has what each does to an element, and
 * what stands in hyper: all numbers of an optimizer do, since any may change from one step to the next.
 * States: sgd_step momentum_buffer; adam_step exp_avg, exp_avg_sq, max_exp_avg_sq; rmsprop_step square_avg, grad_avg,
 * momentum_buffer; adagrad_step sum; adadelta_step square_avg, acc_delta; nadam_step and radam_step exp_avg,
 * exp_avg_sq; lion_step exp_avg; lamb_direction exp_avg, exp_avg_sq and the direction, with param left alone; lamb_step
 * takes that direction for grad, and as inputs 2 and 3 the norms of param and direction, one number each. average_step
 * moves param towards grad. */
#define CG_UPDATE_NUMBERS 12
#define CG_UPDATE_MAX_STATES 3

/* strided_copy: output[to + sum(i_k out_k)] = input[from + sum(i_k in_k)] for all 0 <= i_k < dim_k, k < rank; any data
 * type, no output element twice. What it does not reach stays as it is. Adding wants f32 or f64.
 * cast: the same elements in the output's data type; a real number is cut towards 0, as C does. */
typedef struct cg_strided_attrs {
    uint32_t size;
    uint32_t rank;
    int64_t from, to;
    int64_t dim[CG_MAX_RANK], in[CG_MAX_RANK], out[CG_MAX_RANK];
} cg_strided_attrs;

/* index_select: x [outer, n, inner] and index [k] (i32 or i64, 0 <= index < n) to y [outer, k, inner]: y[o, j] =
 * x[o, index[j]]. index_add, its gradient: dy and index to dx [outer, n, inner], each row the sum over the j that chose
 * it, in order; what chose row `ignored` (-1: none) does not count.
 * gather: x [outer, n, inner], index [outer, k, inner] to y of index's shape: y[o, j, i] = x[o, index[o, j, i], i].
 * scatter_add, its gradient, likewise.
 * one_hot: index [n] to y [n, classes]: 1 at the index, 0 elsewhere.
 * An index out of range reads and writes nothing outside and fails with CG_ERR_INDEX, at once or at the next read or
 * wait. */
typedef struct cg_index_attrs {
    uint32_t size;
    uint32_t unused;
    int64_t ignored;
} cg_index_attrs;

/* cumsum: y[o, r, i] = the sum of x[o, 0..r, i] over the middle axis, or of x[o, r.., i] in reverse: its gradient. */
typedef struct cg_cumsum_attrs {
    uint32_t size;
    uint32_t reverse;
} cg_cumsum_attrs;

/* normalize: x [outer, channels, inner] to y = (x - mean) rstd weight + bias, with weight and bias [channels], either
 * absent, and stats [n, 3] = (mean, rstd, variance). groups > 0: the mean and the variance (divided by the count) are
 * those of channels / groups neighbouring channels of one outer place, n = outer groups. groups = 0: those of one
 * channel over all outer places, n = channels. rstd = 1 / sqrt(variance + eps). Not centered: mean is 0 and variance
 * the mean of x x. In two passes. normalize_relu: the same, and of y y <= 0 ? 0 : y. Gradients: inputs x, stats, dy and
 * weight (absent: 1) to dx; inputs x, stats, dy to dweight [channels]. batch_norm_backward: of groups = 0 all at once,
 * inputs x, stats, dy and weight to dx, dweight and dbias [channels]. */
typedef struct cg_normalize_attrs {
    uint32_t size;
    uint32_t centered;
    int64_t groups;
    double eps;
} cg_normalize_attrs;

/* running_stats: input stats as above; updates running_mean, running_var [channels] and count [] (i64): count += 1; f =
 * momentum, or 1 / count where momentum < 0; running += f (value - running), value = mean, and variance correction. */
typedef struct cg_running_stats_attrs {
    uint32_t size;
    uint32_t unused;
    double momentum, correction;
} cg_running_stats_attrs;

/* random: input counter [1] (i64), which a step changes; element i of the output is drawn by Philox from (seed, stream
 * counter * 2^32 + stream, i): uniform in low = a .. high = b; normal with mean a and standard deviation b; Bernoulli:
 * b where uniform < a, else 0. Uniform and Bernoulli have the same bits on every device. */
enum cg_distribution { CG_UNIFORM = 0, CG_NORMAL = 1, CG_BERNOULLI = 2 };

typedef struct cg_random_attrs {
    uint32_t size;
    uint32_t distribution;
    uint64_t seed, stream;
    double a, b;
} cg_random_attrs;

#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

enum cg_op_number {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) CG_OP_##NAME = (number),
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx)                                                                            \
    CG_OP_##NAME = 1000 + 4 * (number), CG_OP_##NAME##_BACKWARD = 1001 + 4 * (number),
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    CG_OP_##NAME = 1000 + 4 * (number), CG_OP_##NAME##_BACKWARD_A = 1001 + 4 * (number),                               \
    CG_OP_##NAME##_BACKWARD_B = 1002 + 4 * (number),
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

/* One operand of an op, in terms of the device that runs it. */
typedef struct cg_operand {
    void *buffer;   /* what the backend's buffer_create returned; NULL: the operand is absent */
    size_t offset;  /* first element, counted in elements from the buffer's start */
    size_t extent;  /* elements from there that the op may touch */
    cg_shape shape; /* row-major and contiguous, but for matmul, whose attributes say */
    cg_dtype dtype;
} cg_operand;

typedef struct cg_op cg_op;

/* The plain loops of a kind over host memory (buffers are pointers). May fail with CG_ERR_INDEX only. */
typedef cg_status (*cg_reference_fn)(const cg_op *op);

/* The record of a kind. Kinds that a program registers are such records with numbers given at run time. */
typedef struct cg_op_kind {
    uint32_t number;
    uint32_t flags;
    const char *name;
    uint32_t min_inputs, max_inputs, outputs;
    uint32_t attrs_size;
    cg_reference_fn reference_f32;
    cg_reference_fn reference_f64;
    const char *opencl_source; /* of a kind that a program registered, as in custom.h; NULL: there is none */
} cg_op_kind;

struct cg_op {
    const cg_op_kind *kind;
    const void *attrs;
    uint32_t n_inputs, n_outputs;
    uint32_t accumulate; /* bit i: add to output i instead of overwriting it */
    cg_operand inputs[CG_MAX_INPUTS];
    cg_operand outputs[CG_MAX_OUTPUTS];
};

#ifdef __cplusplus
}
#endif
#endif
