/* What a replay computed, beside what was expected; and the file of it. */
#include <string.h>

#include "alloc.h"
#include "case.h"

cg_status cg_case_write(const cg_stored *stored, cg_tensor *tensor) {
    bool real = cg_stored_is_real(stored->dtype);
    int64_t count = cg_shape_numel(&stored->shape);
    void *values = cg_alloc((size_t)count * sizeof(double));
    if (values == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = real ? cg_stored_read_f64(stored, values) : cg_stored_read_i64(stored, values);
    if (status == CG_OK) {
        status = real ? cg_tensor_write_f64(tensor, values, count)
                      : cg_tensor_write(tensor, values, (size_t)count * sizeof(int64_t));
    }
    cg_free(values);
    return status;
}

cg_status cg_case_upload(const cg_stored *stored, cg_device *device, cg_tensor **tensor) {
    cg_dtype dtype = cg_stored_is_real(stored->dtype) ? cg_device_real(device) : CG_I64;
    CG_TRY(cg_tensor_create(device, dtype, &stored->shape, tensor));
    return cg_case_write(stored, *tensor);
}

/* A new entry with its expected values, nothing computed as yet. */
static cg_status add(cg_results *results, const cg_stored *stored, cg_computed **out) {
    if (!CG_GROW(results->items, results->count, results->capacity)) {
        return CG_ERR_MEMORY;
    }
    cg_computed *item = &results->items[results->count++];
    *item = (cg_computed){.stored = stored, .shape = stored->shape};
    item->expected = cg_alloc((size_t)cg_shape_numel(&stored->shape) * sizeof(double));
    if (item->expected == NULL) {
        return CG_ERR_MEMORY;
    }
    *out = item;
    return cg_stored_read_f64(stored, item->expected);
}

static cg_status make_room(cg_computed *item, const cg_shape *shape) {
    item->shape = *shape;
    item->actual = cg_alloc((size_t)cg_shape_numel(shape) * sizeof(double));
    return item->actual != NULL ? CG_OK : CG_ERR_MEMORY;
}

cg_status cg_results_take(cg_results *results, const cg_stored *expected, cg_tensor *tensor) {
    cg_computed *item = NULL;
    CG_TRY(add(results, expected, &item));
    if (tensor == NULL) {
        return CG_OK;
    }
    CG_TRY(make_room(item, cg_tensor_shape(tensor)));
    return cg_tensor_read_f64(tensor, item->actual, cg_tensor_numel(tensor));
}

cg_status cg_results_take_values(cg_results *results, const cg_stored *expected, const double *values) {
    cg_computed *item = NULL;
    CG_TRY(add(results, expected, &item));
    CG_TRY(make_room(item, &expected->shape));
    memcpy(item->actual, values, expected->bytes);
    return CG_OK;
}

void cg_results_free(cg_results *results) {
    for (size_t i = 0; i < results->count; i++) {
        cg_free(results->items[i].expected);
        cg_free(results->items[i].actual);
    }
    cg_free(results->items);
    *results = (cg_results){0};
}

/* Integers, such as a count of batches, are written as what they are expected to be. The doubles are no longer needed
 * and have the same size. */
static cg_stored as_stored(const cg_computed *item) {
    bool integers = !cg_stored_is_real(item->stored->dtype);
    int64_t count = cg_shape_numel(&item->shape);
    for (int64_t i = 0; integers && i < count; i++) {
        int64_t whole = (int64_t)item->actual[i];
        memcpy(&item->actual[i], &whole, sizeof whole);
    }
    return (cg_stored){
        .name = item->stored->name,
        .dtype = integers ? CG_STORED_I64 : CG_STORED_F64,
        .shape = item->shape,
        .data = item->actual,
        .bytes = (size_t)count * sizeof(double),
    };
}

cg_status cg_results_write(const cg_results *results, const char *case_name, const char *device, const char *path) {
    const cg_stored_text texts[] = {{"format", "clgrad-result-1"}, {"case", case_name}, {"device", device}};
    cg_stored *tensors = cg_alloc(results->count * sizeof *tensors);
    if (tensors == NULL) {
        return CG_ERR_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < results->count; i++) {
        if (results->items[i].actual != NULL) {
            tensors[count++] = as_stored(&results->items[i]);
        }
    }
    cg_status status = cg_safetensors_write(path, tensors, count, texts, sizeof texts / sizeof *texts);
    cg_free(tensors);
    return status;
}
