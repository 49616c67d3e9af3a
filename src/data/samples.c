/* The rows of a part of a data set, in memory or in files. */
#include "samples.h"

#include <string.h>
#include <sys/mman.h>

#include "alloc.h"
#include "image.h"

static cg_status decode_row(const cg_samples *samples, int64_t row, uint8_t *scratch) {
    cg_image image;
    CG_TRY(cg_image_load(samples->paths[row], &image));
    cg_status status = CG_OK;
    if (cg_shape_equal(&image.shape, &samples->shape)) {
        memcpy(scratch, image.pixels, (size_t)cg_shape_numel(&image.shape));
    } else {
        status = cg_fail(CG_ERR_FORMAT, "%s: it is %s now, it was %s when the data was opened", samples->paths[row],
                         cg_shape_print(&image.shape, CG_SHAPE_TEXT), cg_shape_print(&samples->shape, CG_SHAPE_TEXT));
    }
    cg_free(image.pixels);
    return status;
}

cg_status cg_samples_row(const cg_samples *samples, int64_t row, uint8_t *scratch, const void **values) {
    if (samples->values != NULL) {
        size_t bytes = (size_t)cg_shape_numel(&samples->shape) * cg_dtype_size(samples->dtype);
        *values = (const uint8_t *)samples->values + (size_t)row * bytes;
        return CG_OK;
    }
    *values = scratch;
    return decode_row(samples, row, scratch);
}

double cg_value(const void *values, cg_dtype dtype, int64_t i) {
    const uint8_t *at = (const uint8_t *)values + (size_t)i * cg_dtype_size(dtype);
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    switch (dtype) {
    case CG_F32:
        memcpy(&f32, at, sizeof f32);
        return (double)f32;
    case CG_F64:
        memcpy(&f64, at, sizeof f64);
        return f64;
    case CG_I32:
        memcpy(&i32, at, sizeof i32);
        return i32;
    case CG_I64:
        memcpy(&i64, at, sizeof i64);
        return (double)i64;
    case CG_U8:
        return *at;
    case CG_F16: /* data is never kept so */
    case CG_BF16:
        break;
    }
    return 0;
}

int64_t cg_sample_channels(const cg_shape *shape) {
    return shape->rank == 1 || shape->rank >= 3 ? shape->dim[0] : 1;
}

void cg_samples_free(cg_samples *samples) {
    for (int64_t i = 0; samples->paths != NULL && i < samples->count; i++) {
        cg_free(samples->paths[i]);
    }
    cg_free(samples->paths);
    if (samples->mapped > 0) {
        munmap(samples->memory, samples->mapped);
    } else {
        cg_free(samples->memory != NULL ? samples->memory : samples->values);
    }
    cg_free(samples->classes);
    cg_free(samples->numbers);
    *samples = (cg_samples){0};
}
