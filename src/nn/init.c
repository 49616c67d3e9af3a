/* torch.nn.init: weights are drawn on the host as floats, so that every device gets the same ones. */
#include <math.h>

#include <clgrad/nn.h>
#include <clgrad/random.h>

#include "alloc.h"

static cg_status check_float(const cg_tensor *tensor) {
    cg_dtype dtype = cg_tensor_dtype(tensor);
    if (dtype != CG_F32 && dtype != CG_F64) {
        return cg_fail(CG_ERR_DTYPE, "random weights need f32 or f64, the tensor is %s", cg_dtype_name(dtype));
    }
    return CG_OK;
}

/* tensor[i] = offset + scale draw(seed, stream, i) */
static cg_status draw(cg_tensor *tensor, float (*number)(uint64_t, uint64_t, uint64_t), double offset, double scale,
                      uint64_t seed, uint64_t stream) {
    CG_TRY(check_float(tensor));
    int64_t count = cg_tensor_numel(tensor);
    float *values = cg_alloc((size_t)count * sizeof *values);
    if (values == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(offset + scale * (double)number(seed, stream, (uint64_t)i));
    }
    cg_status status = cg_tensor_write_f32(tensor, values, count);
    cg_free(values);
    return status;
}

cg_status cg_init_normal(cg_tensor *tensor, double mean, double std, uint64_t seed, uint64_t stream) {
    if (!(std >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_normal: std is %g, expected at least 0", std);
    }
    return draw(tensor, cg_random_normal, mean, std, seed, stream);
}

cg_status cg_init_uniform(cg_tensor *tensor, double low, double high, uint64_t seed, uint64_t stream) {
    if (!(low <= high)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_uniform: low %g is above high %g", low, high);
    }
    return draw(tensor, cg_random_uniform, low, high - low, seed, stream);
}

/* The product of all dimensions but one; an empty tensor gives 1, which nothing uses. */
static cg_status fan_of(const cg_tensor *tensor, cg_fan fan, double *number) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    int without = fan == CG_FAN_IN ? 0 : 1;
    if (shape->rank < 2) {
        return cg_fail(CG_ERR_SHAPE, "fan in and fan out need a tensor of at least 2 dimensions, this is %s",
                       cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    *number = 1.0;
    for (int i = 0; i < shape->rank; i++) {
        *number *= i == without || shape->dim[i] == 0 ? 1.0 : (double)shape->dim[i];
    }
    return CG_OK;
}

cg_status cg_init_scaled_normal(cg_tensor *tensor, cg_fan fan, uint64_t seed, uint64_t stream) {
    double n = 1.0;
    CG_TRY(fan_of(tensor, fan, &n));
    return cg_init_normal(tensor, 0.0, 1.0 / sqrt(n), seed, stream);
}

cg_status cg_init_kaiming_normal(cg_tensor *tensor, double a, cg_fan fan, uint64_t seed, uint64_t stream) {
    double n = 1.0;
    CG_TRY(fan_of(tensor, fan, &n));
    return cg_init_normal(tensor, 0.0, sqrt(2.0 / ((1.0 + a * a) * n)), seed, stream);
}

cg_status cg_init_kaiming_uniform(cg_tensor *tensor, double a, cg_fan fan, uint64_t seed, uint64_t stream) {
    double n = 1.0;
    CG_TRY(fan_of(tensor, fan, &n));
    double bound = sqrt(6.0 / ((1.0 + a * a) * n)); /* sqrt(3) standard deviations */
    return cg_init_uniform(tensor, -bound, bound, seed, stream);
}
