/* The loader: batches of one split in tensors that are made once, one pair for the full size and one for the last. */
#include <clgrad/random.h>

#include "alloc.h"
#include <clgrad/data.h>

#define SHUFFLE_STREAM 0x5348554600000000u /* "SHUF"; the epoch is added */

struct cg_loader {
    const cg_data *data;
    cg_split split;
    int64_t rows, batch, size; /* of the split, of a batch, of one sample */
    int64_t next;              /* the first row of the next batch in `order` */
    int64_t *order;
    cg_batch full, last; /* no tensors: no batch of this size */
    float *x;            /* one batch on its way to the device */
    double *wide;        /* the same for a device of doubles, else NULL */
    int64_t *y;
};

static cg_status create_batch(cg_device *device, const cg_shape *sample, int64_t n, cg_batch *batch) {
    if (n == 0) {
        return CG_OK;
    }
    if (sample->rank >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_SHAPE, "samples of shape %s leave no dimension for the batch",
                       cg_shape_print(sample, CG_SHAPE_TEXT));
    }
    cg_shape shape = {.rank = sample->rank + 1};
    shape.dim[0] = n;
    for (int i = 0; i < sample->rank; i++) {
        shape.dim[i + 1] = sample->dim[i];
    }
    batch->n = n;
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &shape, &batch->x));
    return cg_tensor_create(device, CG_I64, &CG_SHAPE(n), &batch->y);
}

static cg_status create(cg_device *device, cg_loader *loader) {
    const cg_data_info *info = cg_data_describe(loader->data);
    loader->rows = info->rows[loader->split];
    loader->size = cg_shape_numel(&info->sample);
    int64_t most = loader->batch < loader->rows ? loader->batch : loader->rows;
    loader->order = cg_alloc((size_t)loader->rows * sizeof *loader->order);
    loader->x = cg_alloc((size_t)(most * loader->size) * sizeof *loader->x);
    loader->y = cg_alloc((size_t)most * sizeof *loader->y);
    if (loader->order == NULL || loader->x == NULL || loader->y == NULL) {
        return CG_ERR_MEMORY;
    }
    if (cg_device_real(device) == CG_F64) {
        loader->wide = cg_alloc((size_t)(most * loader->size) * sizeof *loader->wide);
        if (loader->wide == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    CG_TRY(create_batch(device, &info->sample, loader->rows >= loader->batch ? loader->batch : 0, &loader->full));
    CG_TRY(create_batch(device, &info->sample, loader->rows % loader->batch, &loader->last));
    return cg_loader_start(loader, false, 0, 0);
}

cg_status cg_loader_create(cg_device *device, const cg_data *data, cg_split split, int64_t batch, cg_loader **loader) {
    *loader = NULL;
    if (batch < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a batch of %lld rows: it must be at least 1", (long long)batch);
    }
    if (split < CG_SPLIT_TRAIN || split > CG_SPLIT_TEST) {
        return cg_fail(CG_ERR_ARGUMENT, "unknown split %d", (int)split);
    }
    cg_loader *made = cg_alloc_zero(1, sizeof *made);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    made->data = data;
    made->split = split;
    made->batch = batch;
    cg_status status = create(device, made);
    if (status != CG_OK) {
        cg_loader_destroy(made);
        return status;
    }
    *loader = made;
    return CG_OK;
}

void cg_loader_destroy(cg_loader *loader) {
    if (loader != NULL) {
        cg_tensor_destroy(loader->full.x);
        cg_tensor_destroy(loader->full.y);
        cg_tensor_destroy(loader->last.x);
        cg_tensor_destroy(loader->last.y);
        cg_free(loader->order);
        cg_free(loader->x);
        cg_free(loader->wide);
        cg_free(loader->y);
        cg_free(loader);
    }
}

int64_t cg_loader_batches(const cg_loader *loader) {
    return loader->rows / loader->batch + (loader->rows % loader->batch != 0);
}

cg_status cg_loader_start(cg_loader *loader, bool shuffle, uint64_t seed, uint64_t epoch) {
    loader->next = 0;
    if (shuffle) {
        cg_random_permutation(seed, SHUFFLE_STREAM + epoch, loader->rows, loader->order);
        return CG_OK;
    }
    for (int64_t i = 0; i < loader->rows; i++) {
        loader->order[i] = i;
    }
    return CG_OK;
}

void cg_loader_skip(cg_loader *loader, int64_t batches) {
    int64_t left = cg_loader_batches(loader) - loader->next / loader->batch;
    loader->next = batches < left ? loader->next + (batches > 0 ? batches : 0) * loader->batch : loader->rows;
}

static cg_status write_batch(cg_loader *loader, const cg_batch *batch) {
    const void *x = loader->x;
    if (loader->wide != NULL) {
        for (int64_t i = 0; i < batch->n * loader->size; i++) {
            loader->wide[i] = (double)loader->x[i];
        }
        x = loader->wide;
    }
    CG_TRY(cg_tensor_write(batch->x, x, cg_tensor_bytes(batch->x)));
    return cg_tensor_write(batch->y, loader->y, cg_tensor_bytes(batch->y));
}

cg_status cg_loader_next(cg_loader *loader, cg_batch *batch) {
    *batch = (cg_batch){0};
    int64_t left = loader->rows - loader->next;
    if (left <= 0) {
        return CG_OK;
    }
    const cg_batch *next = left >= loader->batch ? &loader->full : &loader->last;
    const int64_t *rows = loader->order + loader->next;
    CG_TRY(cg_data_rows(loader->data, loader->split, rows, next->n, loader->x, loader->y));
    CG_TRY(write_batch(loader, next));
    loader->next += next->n;
    *batch = *next;
    return CG_OK;
}
