/* torch.nn.init's weights that are made as a matrix: orthogonal ones, and identities. */
#include <clgrad/init.h>
#include <clgrad/random.h>

#include <inttypes.h>
#include <math.h>

#include "alloc.h"

static cg_status check_rank(const char *name, const cg_tensor *tensor, int least, int most) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    if (shape->rank < least || shape->rank > most) {
        return cg_fail(CG_ERR_SHAPE, "%s: the tensor is %s, expected %d to %d dimensions", name,
                       cg_shape_print(shape, CG_SHAPE_TEXT), least, most);
    }
    cg_dtype dtype = cg_tensor_dtype(tensor);
    if (dtype != CG_F32 && dtype != CG_F64) {
        return cg_fail(CG_ERR_DTYPE, "%s: the tensor is %s, expected f32 or f64", name, cg_dtype_name(dtype));
    }
    return CG_OK;
}

/* Takes from x its parts along `count` vectors of length 1, which lie behind each other. */
static void take_off(double *x, const double *vectors, int64_t count, int64_t length) {
    for (int64_t j = 0; j < count; j++) {
        const double *v = vectors + j * length;
        double along = 0;
        for (int64_t i = 0; i < length; i++) {
            along += x[i] * v[i];
        }
        for (int64_t i = 0; i < length; i++) {
            x[i] -= along * v[i];
        }
    }
}

/* Gram and Schmidt, each vector twice: what rounding left of the others is taken off as well. It is the Q of PyTorch's
 * QR with R's diagonal above 0. */
static void orthogonalize(double *vectors, int64_t count, int64_t length) {
    for (int64_t j = 0; j < count; j++) {
        double *x = vectors + j * length, squares = 0;
        take_off(x, vectors, j, length);
        take_off(x, vectors, j, length);
        for (int64_t i = 0; i < length; i++) {
            squares += x[i] * x[i];
        }
        for (int64_t i = 0; i < length; i++) {
            x[i] /= sqrt(squares);
        }
    }
}

cg_status cg_init_orthogonal(cg_tensor *tensor, double gain, uint64_t seed, uint64_t stream) {
    CG_TRY(check_rank("cg_init_orthogonal", tensor, 2, CG_MAX_RANK));
    if (!isfinite(gain)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_orthogonal: gain is %g, expected a finite number", gain);
    }
    int64_t numel = cg_tensor_numel(tensor);
    if (numel == 0) {
        return CG_OK;
    }
    int64_t rows = cg_tensor_shape(tensor)->dim[0], columns = numel / rows;
    bool wide = rows < columns;
    int64_t count = wide ? rows : columns, length = wide ? columns : rows;
    double *vectors = cg_alloc(2 * (size_t)numel * sizeof *vectors);
    if (vectors == NULL) {
        return CG_ERR_MEMORY;
    }
    double *values = vectors + numel;
    for (int64_t i = 0; i < numel; i++) {
        vectors[i] = (double)cg_random_normal(seed, stream, (uint64_t)i);
    }
    orthogonalize(vectors, count, length);
    for (int64_t i = 0; i < numel; i++) {
        values[i] = gain * (wide ? vectors[i] : vectors[i % columns * length + i / columns]);
    }
    cg_status status = cg_tensor_write_f64(tensor, values, numel);
    cg_free(vectors);
    return status;
}

/* Ones at rows r, one for each channel of a group that there is, in the middle of what lies behind the first two axes.
 */
static cg_status write_identity(cg_tensor *tensor, int64_t groups) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    int64_t numel = cg_tensor_numel(tensor), each = shape->dim[0] / groups, inner = 1, middle = 0;
    double *values = cg_alloc_zero((size_t)numel, sizeof *values);
    if (values == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int i = 2; i < shape->rank; i++) {
        middle = middle * shape->dim[i] + shape->dim[i] / 2;
        inner *= shape->dim[i];
    }
    int64_t channels = each < shape->dim[1] ? each : shape->dim[1];
    for (int64_t i = 0; i < groups * channels && numel > 0; i++) {
        int64_t row = i / channels * each + i % channels;
        values[(row * shape->dim[1] + i % channels) * inner + middle] = 1.0;
    }
    cg_status status = cg_tensor_write_f64(tensor, values, numel);
    cg_free(values);
    return status;
}

cg_status cg_init_eye(cg_tensor *tensor) {
    CG_TRY(check_rank("cg_init_eye", tensor, 2, 2));
    return write_identity(tensor, 1);
}

cg_status cg_init_dirac(cg_tensor *tensor, int64_t groups) {
    CG_TRY(check_rank("cg_init_dirac", tensor, 3, 5));
    if (groups < 1 || cg_tensor_shape(tensor)->dim[0] % groups != 0) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_init_dirac: %" PRId64 " groups do not divide the %" PRId64 " outputs of %s",
                       groups, cg_tensor_shape(tensor)->dim[0], cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT));
    }
    return write_identity(tensor, groups);
}
