/*
 * Ops that move elements: another order, parts, tensors put together, elements chosen by indices. All rules of ops.h
 * hold. Axes count from the front, negative ones from the end.
 */
#ifndef CLGRAD_OPS_SHAPE_H
#define CLGRAD_OPS_SHAPE_H

#include <clgrad/op_kinds.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor filled with a value, in the device's real data type. No gradient. */
CG_API cg_tensor *cg_full(cg_tape *tape, const cg_shape *shape, double value);

/* The axes in another order: axis i of the result is axis order[i] of x; as many as x has. Any data type. */
CG_API cg_tensor *cg_permute(cg_tape *tape, cg_tensor *x, const int *order);

/* Two axes swapped. */
CG_API cg_tensor *cg_transpose(cg_tape *tape, cg_tensor *x, int axis, int other);

/* An axis of one element put in front of `axis` (negative: -1 makes it the last), or taken away. Views. */
CG_API cg_tensor *cg_unsqueeze(cg_tape *tape, cg_tensor *x, int axis);
CG_API cg_tensor *cg_squeeze(cg_tape *tape, cg_tensor *x, int axis);

/* Places start, start + step, ... below `end` of an axis; start and end from the end when negative; end = the axis's
 * size: to the end. x[:, start:end:step]. */
CG_API cg_tensor *cg_slice(cg_tape *tape, cg_tensor *x, int axis, int64_t start, int64_t end, int64_t step);

/* One place of an axis, which goes. x[:, index]. */
CG_API cg_tensor *cg_select(cg_tape *tape, cg_tensor *x, int axis, int64_t index);

/* `count` parts of an axis, whose sizes sum to the axis's, into parts[0..count-1]. */
CG_API cg_status cg_split_tensor(cg_tape *tape, cg_tensor *x, int axis, const int64_t *sizes, size_t count,
                                 cg_tensor **parts);

/* Tensors side by side along an axis that they have (the other axes are equal), or along a new one (equal shapes). */
CG_API cg_tensor *cg_concat(cg_tape *tape, cg_tensor *const *inputs, size_t count, int axis);
CG_API cg_tensor *cg_stack(cg_tape *tape, cg_tensor *const *inputs, size_t count, int axis);

/* x broadcast to a shape; -1: that axis as it is. */
CG_API cg_tensor *cg_expand(cg_tape *tape, cg_tensor *x, const cg_shape *shape);

/* x times[i] times along axis i of `count`, which may be more than x has: new ones come in front. torch.Tensor.repeat.
 */
CG_API cg_tensor *cg_repeat(cg_tape *tape, cg_tensor *x, const int64_t *times, int count);

/* The same elements in another data type; a real number becomes an integer by cutting towards 0. Gradients flow between
 * f32 and f64. */
CG_API cg_tensor *cg_cast(cg_tape *tape, cg_tensor *x, cg_dtype dtype);

/* Indices are i32 or i64 and without a gradient. One that is out of range reads and writes nothing outside; it is
 * CG_ERR_INDEX, naming the op, at the next read or wait. Gradients are sums in the order of the indices. */

/* The places of an axis that index [k] names, in its order. */
CG_API cg_tensor *cg_index_select(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index);

/* y[i, j, k] = x[i, index[i, j, k], k] for axis 1: index has x's rank and is not larger than x along other axes. */
CG_API cg_tensor *cg_gather(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index);

/* x, and source[i, j, k] added at [i, index[i, j, k], k] for axis 1: the three have equal sizes along other axes. */
CG_API cg_tensor *cg_scatter_add(cg_tape *tape, cg_tensor *x, int axis, cg_tensor *index, cg_tensor *source);

/* A new last axis of so many classes: 1 at the index, else 0, in the device's real data type. No gradient. */
CG_API cg_tensor *cg_one_hot(cg_tape *tape, cg_tensor *index, int64_t classes);

/* The rows of weight [n, features] that index (any shape) names: index's shape with [features] behind. Row padding_idx
 * (-1: none) gets no gradient. torch.nn.functional.embedding. */
CG_API cg_tensor *cg_embedding(cg_tape *tape, cg_tensor *weight, cg_tensor *index, int64_t padding_idx);

#ifdef __cplusplus
}
#endif
#endif
