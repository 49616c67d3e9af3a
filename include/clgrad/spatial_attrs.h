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

#ifdef __cplusplus
}
#endif
#endif
