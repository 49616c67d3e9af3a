/* Attributes of the spatial op kinds: convolution, pooling, padding, interpolation. Included by op_kinds.h. */
#ifndef CLGRAD_SPATIAL_ATTRS_H
#define CLGRAD_SPATIAL_ATTRS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* conv: x [n, c, d, h, w], weight [o, c / groups, kd, kh, kw], bias [o, 1, 1, 1] (optional) to y [n, o, od, oh, ow]:
 * y[n, f, p] = bias[f] + sum over channels and taps of x[n, c, p stride - padding + tap dilation] weight[f, c, tap],
 * zero outside x. One and two spatial axes have d (and h) of 1.
 * conv_backward_input: inputs dy, weight; output dx. Also the forward of a transposed convolution, where y is what dx
 * is here. conv_backward_weight: inputs x, dy; output dweight. `padding` is in front; what lies behind follows from
 * the shapes. */
typedef struct cg_conv_attrs {
    uint32_t size;
    uint32_t unused; /* 0: there are no bytes that nobody sets */
    int64_t groups;
    int64_t stride[3], padding[3], dilation[3];
} cg_conv_attrs;

/* max_pool: x [planes, h, w] to y [planes, oh, ow] and index (i32) [planes, oh, ow], where in its plane the largest
 * element of the window lies: the first of equals, the first NaN if there is one; -1 (and y -infinity) for a window of
 * nothing but padding. Its gradient: inputs dy, index; output dx.
 * avg_pool: y is the window's sum divided by `divisor`, or where that is 0 by the number of its elements, those of the
 * padding counted with count_include_pad. Its gradient: input dy; output dx.
 * Windows: kernel elements that lie `dilation` apart (average: 1), the first at o stride - padding; adaptive: elements
 * floor(o h / oh) to ceil((o + 1) h / oh) - 1, and the other numbers do not count. */
typedef struct cg_pool_attrs {
    uint32_t size;
    uint32_t adaptive, count_include_pad;
    uint32_t unused; /* 0 */
    int64_t divisor;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
} cg_pool_attrs;

/* What stands outside of a padded tensor. */
typedef enum cg_pad_mode {
    CG_PAD_CONSTANT = 0,
    CG_PAD_REFLECT = 1,   /* mirrored at the last element, which is not repeated */
    CG_PAD_REPLICATE = 2, /* the last element */
    CG_PAD_CIRCULAR = 3,  /* the other end */
} cg_pad_mode;

/* pad: x [outer, d, h, w] to y [outer, d', h', w'], element 0 of an axis of x at `front` of y (negative: cut off); what
 * lies behind follows from the shapes. Its gradient: input dy; output dx. */
typedef struct cg_pad_attrs {
    uint32_t size;
    uint32_t mode; /* cg_pad_mode */
    double value;  /* of a constant */
    int64_t front[3];
} cg_pad_attrs;

typedef enum cg_interpolate_mode { CG_NEAREST = 0, CG_LINEAR = 1 } cg_interpolate_mode;

/* interpolate: x [planes, h, w] to y [planes, oh, ow]. scale: elements of x for one of y. Nearest: element o scale
 * rounded down, computed in float on every device. Linear along both axes: between the two elements around o scale
 * with align_corners, around (o + 1/2) scale - 1/2, at least 0, without. Its gradient: input dy; output dx. */
typedef struct cg_interpolate_attrs {
    uint32_t size;
    uint32_t mode; /* cg_interpolate_mode */
    uint32_t align_corners;
    uint32_t unused; /* 0 */
    double scale[2];
} cg_interpolate_attrs;

#ifdef __cplusplus
}
#endif
#endif
