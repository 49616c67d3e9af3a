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

typedef struct cg_pool_options {
    int64_t kernel[2];
    int64_t stride[2];   /* 0: kernel */
    int64_t padding[2];  /* at most half of kernel */
    int64_t dilation[2]; /* maxima only; 0: 1 */
    bool ceil_mode;      /* a last window that begins inside the input or its front padding may hang over */
    bool exclude_pad;    /* averages: zeros of the padding do not count (count_include_pad=False) */
    int64_t divisor;     /* averages: what sums are divided by (divisor_override); 0: their number of elements */
} cg_pool_options;

/* The largest element, or the mean, of windows over the last `axes` (1 or 2) axes. torch.nn.functional.max_pool1d, 2d,
 * avg_pool1d, 2d. The gradient of a maximum goes to the first of equals. */
CG_API cg_tensor *cg_max_pool(cg_tape *tape, cg_tensor *x, int axes, const cg_pool_options *options);
CG_API cg_tensor *cg_avg_pool(cg_tape *tape, cg_tensor *x, int axes, const cg_pool_options *options);

/* The same with windows chosen so that there are `output[axis]` of them (0: as many as elements).
 * torch.nn.functional.adaptive_max_pool2d, adaptive_avg_pool1d, 2d. */
CG_API cg_tensor *cg_adaptive_max_pool(cg_tape *tape, cg_tensor *x, int axes, const int64_t *output);
CG_API cg_tensor *cg_adaptive_avg_pool(cg_tape *tape, cg_tensor *x, int axes, const int64_t *output);

/* Elements in front of and behind each of the last `axes` (1 to 3) axes, in torch.nn.functional.pad's order: the last
 * axis first, {left, right, top, bottom, front, back}. A constant has any rank of at least `axes` and may cut off
 * (negative numbers); the other modes want [channels, ..] or a batch of such, reflect less than the axis has, circular
 * at most that. `value`: of a constant. */
CG_API cg_tensor *cg_pad(cg_tape *tape, cg_tensor *x, const int64_t *padding, int axes, cg_pad_mode mode, double value);

typedef struct cg_interpolate_options {
    int64_t size[2];    /* of the result; 0: by the factor */
    double factor[2];   /* size rounded down, where size is 0 */
    bool align_corners; /* linear: the corners of both lie on each other */
    cg_interpolate_mode mode;
} cg_interpolate_options;

/* Resizes the last `axes` (1 or 2) axes. torch.nn.functional.interpolate with mode nearest, linear (one axis) and
 * bilinear (two). */
CG_API cg_tensor *cg_interpolate(cg_tape *tape, cg_tensor *x, int axes, const cg_interpolate_options *options);

/* [.., c r r, h, w] to [.., c, h r, w r], each group of r r channels spread over squares of r x r, and back. Rank 3 or
 * more. torch.nn.functional.pixel_shuffle, pixel_unshuffle. */
CG_API cg_tensor *cg_pixel_shuffle(cg_tape *tape, cg_tensor *x, int64_t factor);
CG_API cg_tensor *cg_pixel_unshuffle(cg_tape *tape, cg_tensor *x, int64_t factor);

/* [n, c, ..]: the channels as `groups` rows, read column by column. torch.nn.functional.channel_shuffle. */
CG_API cg_tensor *cg_channel_shuffle(cg_tape *tape, cg_tensor *x, int64_t groups);

#ifdef __cplusplus
}
#endif
#endif
