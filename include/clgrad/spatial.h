/*
 * Ops over one to three spatial axes, the last ones of a tensor: [n, c, w], [n, c, h, w] or [n, c, d, h, w]; the
 * batch's axis may be left out. Numbers for each axis come in the axes' order ([0]: the first spatial axis). As in
 * ops.h, each records itself, returns a tensor of the tape's or the poison tensor, and has PyTorch's meaning.
 */
#ifndef CLGRAD_SPATIAL_H
#define CLGRAD_SPATIAL_H

#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_conv_options {
    int64_t stride[3];   /* 0: 1 */
    int64_t padding[3];  /* zeros in front of and behind each axis */
    int64_t extra[3];    /* conv: zeros more behind each axis; conv_transpose: output_padding */
    int64_t dilation[3]; /* 0: 1 */
    int64_t groups;      /* 0: 1 */
} cg_conv_options;

/* Convolution (cross-correlation, as everywhere in the field): x [n, c, ..], weight [o, c / groups, k..], bias [o] or
 * NULL, result [n, o, (x + 2 padding + extra - dilation (k - 1) - 1) / stride + 1 ..]. options NULL: all 0.
 * torch.nn.functional.conv1d, conv2d, conv3d, by the rank of weight. */
CG_API cg_tensor *cg_conv(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias,
                          const cg_conv_options *options);

/* The gradient of a convolution with respect to its input as an op: x [n, c, ..], weight [c, o / groups, k..], bias [o]
 * or NULL, result [n, o, (x - 1) stride - 2 padding + dilation (k - 1) + extra + 1 ..]; extra is less than stride or
 * less than dilation. torch.nn.functional.conv_transpose1d, 2d, 3d. */
CG_API cg_tensor *cg_conv_transpose(cg_tape *tape, cg_tensor *x, cg_tensor *weight, cg_tensor *bias,
                                    const cg_conv_options *options);

#ifdef __cplusplus
}
#endif
#endif
