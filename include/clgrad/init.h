/*
 * Initial weights: torch.nn.init, with its names, arguments and meaning. Weights are drawn on the host from a seed and
 * a stream, which is to be another one for each tensor: every device gets the same bits.
 *
 * All need f32 or f64 (CG_ERR_DTYPE). CG_ERR_ARGUMENT for numbers out of range, CG_ERR_SHAPE for a tensor of too few
 * dimensions. A tensor without elements stays as it is.
 */
#ifndef CLGRAD_INIT_H
#define CLGRAD_INIT_H

#include <clgrad/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

CG_API cg_status cg_init_constant(cg_tensor *tensor, double value) CG_MUST_USE;
CG_API cg_status cg_init_zeros(cg_tensor *tensor) CG_MUST_USE;
CG_API cg_status cg_init_ones(cg_tensor *tensor) CG_MUST_USE;

/* std is at least 0; low is not above high. */
CG_API cg_status cg_init_normal(cg_tensor *tensor, double mean, double std, uint64_t seed, uint64_t stream) CG_MUST_USE;
CG_API cg_status cg_init_uniform(cg_tensor *tensor, double low, double high, uint64_t seed,
                                 uint64_t stream) CG_MUST_USE;

/* Normal, what lies outside a..b drawn again; std is above 0, a below b. PyTorch's defaults: 0, 1, -2, 2. */
CG_API cg_status cg_init_trunc_normal(cg_tensor *tensor, double mean, double std, double a, double b, uint64_t seed,
                                      uint64_t stream) CG_MUST_USE;

/* What the layers behind a weight do to its scale: 1 for "linear", "conv1d" .. "conv_transpose3d" and "sigmoid", 5/3
 * for "tanh", sqrt(2) for "relu", sqrt(2 / (1 + param^2)) for "leaky_relu", 3/4 for "selu". CG_ERR_NAME for another.
 * PyTorch's default param is 0.01. */
CG_API cg_status cg_init_calculate_gain(const char *nonlinearity, double param, double *gain) CG_MUST_USE;

/* Of a tensor [out, in, ...] fan in is the product of all dimensions but the first, fan out that of all but the second.
 */
typedef enum cg_fan { CG_FAN_IN = 0, CG_FAN_OUT = 1 } cg_fan;

/* Normal with standard deviation 1 / sqrt(fan). */
CG_API cg_status cg_init_scaled_normal(cg_tensor *tensor, cg_fan fan, uint64_t seed, uint64_t stream) CG_MUST_USE;

/* Glorot and Bengio 2010: standard deviation gain sqrt(2 / (fan in + fan out)). PyTorch's default gain is 1. */
CG_API cg_status cg_init_xavier_normal(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) CG_MUST_USE;
CG_API cg_status cg_init_xavier_uniform(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) CG_MUST_USE;

/* He et al. 2015: standard deviation gain / sqrt(fan), with the gain of the nonlinearity and its parameter a. PyTorch's
 * defaults: a = 0, CG_FAN_IN, "leaky_relu" (also NULL). */
CG_API cg_status cg_init_kaiming_normal(cg_tensor *tensor, double a, cg_fan fan, const char *nonlinearity,
                                        uint64_t seed, uint64_t stream) CG_MUST_USE;
CG_API cg_status cg_init_kaiming_uniform(cg_tensor *tensor, double a, cg_fan fan, const char *nonlinearity,
                                         uint64_t seed, uint64_t stream) CG_MUST_USE;

/* Saxe et al. 2013: as a matrix [out, all others], a random one whose rows (or columns, where it is tall) are
 * orthogonal and `gain` long. PyTorch's default gain is 1. */
CG_API cg_status cg_init_orthogonal(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) CG_MUST_USE;

/* The identity: a matrix with ones on its diagonal; a convolution [out, in, ...] that gives out what comes in, in each
 * of `groups` groups, which divide out. */
CG_API cg_status cg_init_eye(cg_tensor *tensor) CG_MUST_USE;
CG_API cg_status cg_init_dirac(cg_tensor *tensor, int64_t groups) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
