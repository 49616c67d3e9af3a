/* torch.nn.init: weights are drawn on the host as floats, so that every device gets the same ones. */
#include <clgrad/init.h>
#include <clgrad/random.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "expression.h"

static cg_status check_float(const cg_tensor *tensor) {
    cg_dtype dtype = cg_tensor_dtype(tensor);
    if (dtype != CG_F32 && dtype != CG_F64) {
        return cg_fail(CG_ERR_DTYPE, "random weights need f32 or f64, the tensor is %s", cg_dtype_name(dtype));
    }
    return CG_OK;
}

cg_status cg_init_constant(cg_tensor *tensor, double value) {
    CG_TRY(check_float(tensor));
    return cg_tensor_fill(tensor, value);
}

cg_status cg_init_zeros(cg_tensor *tensor) {
    return cg_init_constant(tensor, 0.0);
}

cg_status cg_init_ones(cg_tensor *tensor) {
    return cg_init_constant(tensor, 1.0);
}

/* Element i of what is drawn, `count` elements in all. */
typedef struct source source;
struct source {
    double (*draw)(const source *from, uint64_t i);
    uint64_t seed, stream, count;
    double offset, scale; /* mean and standard deviation, or the low end and the width */
    double a, b;          /* bounds, in standard deviations from the mean */
};

static cg_status draw(cg_tensor *tensor, source *from) {
    CG_TRY(check_float(tensor));
    int64_t count = cg_tensor_numel(tensor);
    float *values = cg_alloc((size_t)count * sizeof *values);
    if (values == NULL) {
        return CG_ERR_MEMORY;
    }
    from->count = (uint64_t)count;
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(from->offset + from->scale * from->draw(from, (uint64_t)i));
    }
    cg_status status = cg_tensor_write_f32(tensor, values, count);
    cg_free(values);
    return status;
}

static double draw_normal(const source *from, uint64_t i) {
    return (double)cg_random_normal(from->seed, from->stream, i);
}

static double draw_uniform(const source *from, uint64_t i) {
    return (double)cg_random_uniform(from->seed, from->stream, i);
}

cg_status cg_init_normal(cg_tensor *tensor, double mean, double std, uint64_t seed, uint64_t stream) {
    if (!(std >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_normal: std is %g, expected at least 0", std);
    }
    return draw(tensor, &(source){draw_normal, .seed = seed, .stream = stream, .offset = mean, .scale = std});
}

cg_status cg_init_uniform(cg_tensor *tensor, double low, double high, uint64_t seed, uint64_t stream) {
    if (!(low <= high)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_uniform: low %g is above high %g", low, high);
    }
    return draw(tensor, &(source){draw_uniform, .seed = seed, .stream = stream, .offset = low, .scale = high - low});
}

/* How much of a normal distribution lies below x; no digits are lost far below 0. */
static double normal_below(double x) {
    return 0.5 * erfc(-x / sqrt(2.0));
}

/* Drawn again until it fits: at least 3 of 10 do. */
static double draw_fitting(const source *from, uint64_t i) {
    double x = draw_normal(from, i);
    while (x < from->a || x > from->b) {
        i += from->count;
        x = draw_normal(from, i);
    }
    return x;
}

/* Where so few fit: a uniform share of what lies between the bounds, found by bisection. Bounds above the mean are
 * mirrored, where the distribution has all its digits. */
static double draw_between(const source *from, uint64_t i) {
    double sign = from->a > 0 ? -1.0 : 1.0, low = sign > 0 ? from->a : -from->b, high = sign > 0 ? from->b : -from->a;
    double below = normal_below(low), share = below + draw_uniform(from, i) * (normal_below(high) - below);
    for (int step = 0; step < 64; step++) {
        double middle = low + (high - low) / 2;
        if (normal_below(middle) < share) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return sign * low;
}

cg_status cg_init_trunc_normal(cg_tensor *tensor, double mean, double std, double a, double b, uint64_t seed,
                               uint64_t stream) {
    if (!(std > 0 && isfinite(std) && isfinite(mean) && a < b)) {
        return cg_fail(CG_ERR_ARGUMENT,
                       "cg_init_trunc_normal: mean %g, std %g, bounds %g..%g; std must be above 0, a below b", mean,
                       std, a, b);
    }
    source from = {
        .seed = seed, .stream = stream, .offset = mean, .scale = std, .a = (a - mean) / std, .b = (b - mean) / std};
    from.draw = normal_below(from.b) - normal_below(from.a) > 0.3 ? draw_fitting : draw_between;
    return draw(tensor, &from);
}

static const struct {
    const char *name;
    double gain; /* of leaky_relu: to be computed */
} gains[] = {
    {"leaky_relu", 0.0},       {"relu", 1.4142135623730951},
    {"linear", 1.0},           {"conv1d", 1.0},
    {"conv2d", 1.0},           {"conv3d", 1.0},
    {"conv_transpose1d", 1.0}, {"conv_transpose2d", 1.0},
    {"conv_transpose3d", 1.0}, {"sigmoid", 1.0},
    {"tanh", 5.0 / 3.0},       {"selu", 0.75},
};

static const char *gain_name(size_t index) {
    return index < sizeof gains / sizeof *gains ? gains[index].name : NULL;
}

cg_status cg_init_calculate_gain(const char *nonlinearity, double param, double *gain) {
    *gain = 1.0;
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        if (strcmp(gains[i].name, nonlinearity) == 0) {
            *gain = i == 0 ? sqrt(2.0 / (1.0 + param * param)) : gains[i].gain;
            return CG_OK;
        }
    }
    return cg_fail_unknown("nonlinearity", nonlinearity, gain_name);
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

/* Uniform numbers of that standard deviation. */
static cg_status spread(cg_tensor *tensor, double std, uint64_t seed, uint64_t stream) {
    double bound = sqrt(3.0) * std;
    return cg_init_uniform(tensor, -bound, bound, seed, stream);
}

cg_status cg_init_scaled_normal(cg_tensor *tensor, cg_fan fan, uint64_t seed, uint64_t stream) {
    double n = 1.0;
    CG_TRY(fan_of(tensor, fan, &n));
    return cg_init_normal(tensor, 0.0, 1.0 / sqrt(n), seed, stream);
}

static cg_status xavier(const cg_tensor *tensor, double gain, double *std) {
    double in = 1.0, out = 1.0;
    CG_TRY(fan_of(tensor, CG_FAN_IN, &in));
    CG_TRY(fan_of(tensor, CG_FAN_OUT, &out));
    if (!(gain >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_xavier: gain is %g, expected at least 0", gain);
    }
    *std = gain * sqrt(2.0 / (in + out));
    return CG_OK;
}

cg_status cg_init_xavier_normal(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) {
    double std = 0;
    CG_TRY(xavier(tensor, gain, &std));
    return cg_init_normal(tensor, 0.0, std, seed, stream);
}

cg_status cg_init_xavier_uniform(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) {
    double std = 0;
    CG_TRY(xavier(tensor, gain, &std));
    return spread(tensor, std, seed, stream);
}

static cg_status kaiming(const cg_tensor *tensor, double a, cg_fan fan, const char *nonlinearity, double *std) {
    double n = 1.0, gain = 1.0;
    CG_TRY(fan_of(tensor, fan, &n));
    CG_TRY(cg_init_calculate_gain(nonlinearity != NULL ? nonlinearity : "leaky_relu", a, &gain));
    *std = gain / sqrt(n);
    return CG_OK;
}

cg_status cg_init_kaiming_normal(cg_tensor *tensor, double a, cg_fan fan, const char *nonlinearity, uint64_t seed,
                                 uint64_t stream) {
    double std = 0;
    CG_TRY(kaiming(tensor, a, fan, nonlinearity, &std));
    return cg_init_normal(tensor, 0.0, std, seed, stream);
}

cg_status cg_init_kaiming_uniform(cg_tensor *tensor, double a, cg_fan fan, const char *nonlinearity, uint64_t seed,
                                  uint64_t stream) {
    double std = 0;
    CG_TRY(kaiming(tensor, a, fan, nonlinearity, &std));
    return spread(tensor, std, seed, stream);
}
