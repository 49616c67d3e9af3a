/*
 * The loader: batches of one split in tensors that are made once, one pair for the full size and one for the last.
 * Threads prepare the values on the host; only the caller touches the device.
 */
#include <string.h>

#include <clgrad/random.h>

#include "alloc.h"
#include "prefetch.h"
#include "samples.h"

#define SHUFFLE_STREAM 0x5348554600000000u /* "SHUF"; the epoch is added */

/* One batch on its way to the device. */
typedef struct host_batch {
    float *x;
    int64_t *y;     /* classes */
    float *numbers; /* or numbers to learn, [batch, width] */
    float *scratch; /* one row, for augmentation */
} host_batch;

struct cg_loader {
    cg_device *device;
    const cg_data *data;
    cg_split split;
    const cg_ranks *ranks;     /* that share each batch; NULL: none */
    int64_t rows, batch, size; /* of the split, of a whole batch, of one sample */
    int64_t width;             /* numbers to learn for each row: targets, or probabilities of classes; 0: its class */
    bool augments;
    cg_draws draws; /* of this pass */
    int64_t next;   /* the next batch */
    bool running;   /* the threads are at this pass */
    int64_t *order;
    cg_batch full, last; /* no tensors: no batch of this size */
    host_batch *host;    /* [slots] */
    int slots;
    double *wide; /* a batch for a device of doubles, else NULL */
    cg_prefetch *prefetch;
};

/* What this rank takes of a batch of so many rows: from `first` on; one row that does not count where it has none. */
static int64_t my_rows(const cg_loader *loader, int64_t total, int64_t *first) {
    int64_t n = cg_ranks_rows(loader->ranks, total, first);
    if (n == 0 && total > 0) {
        *first = 0;
        return 1;
    }
    return n;
}

static double share_of(const cg_loader *loader, int64_t total) {
    int64_t first;
    return (double)cg_ranks_rows(loader->ranks, total, &first) / (double)total;
}

/* The tensors of batches with so many rows in all. */
static cg_status create_batch(const cg_loader *loader, int64_t total, cg_batch *batch) {
    const cg_data_info *info = cg_data_describe(loader->data);
    const cg_shape *sample = &info->sample;
    int64_t first, n = my_rows(loader, total, &first);
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
    *batch = (cg_batch){.n = n, .total = total, .share = share_of(loader, total)};
    CG_TRY(cg_tensor_create(loader->device, cg_device_real(loader->device), &shape, &batch->x));
    return cg_tensor_create(loader->device, CG_I64, &CG_SHAPE(n), &batch->y);
}

/* Numbers in place of classes. */
static cg_status widen_batch(const cg_loader *loader, cg_batch *batch) {
    if (batch->n == 0) {
        return CG_OK;
    }
    cg_tensor_destroy(batch->y);
    batch->y = NULL;
    return cg_tensor_create(loader->device, cg_device_real(loader->device), &CG_SHAPE(batch->n, loader->width),
                            &batch->y);
}

/* Rows of a batch, of all ranks together. */
static int64_t batch_rows(const cg_loader *loader, int64_t index) {
    int64_t left = loader->rows - index * loader->batch;
    return left < loader->batch ? left : loader->batch;
}

/* The classes as probabilities: 1 for each row's own. */
static void spread_classes(const cg_loader *loader, const host_batch *batch, int64_t n) {
    memset(batch->numbers, 0, (size_t)(n * loader->width) * sizeof *batch->numbers);
    for (int64_t i = 0; i < n; i++) {
        batch->numbers[i * loader->width + batch->y[i]] = 1;
    }
}

static void augment(const cg_loader *loader, const host_batch *batch, const int64_t *rows, int64_t index, int64_t n) {
    const cg_augment *changes = cg_data_augment(loader->data);
    const cg_shape *sample = &cg_data_describe(loader->data)->sample;
    for (int64_t i = 0; i < n; i++) {
        cg_augment_row(changes, sample, cg_data_black(loader->data), loader->draws, rows[i],
                       batch->x + i * loader->size, batch->scratch);
    }
    if (changes->mixup > 0) {
        double share = cg_augment_share(changes, loader->draws, index);
        cg_augment_mix(share, n, loader->size, batch->x, batch->scratch);
        cg_augment_mix(share, n, loader->width, batch->numbers, batch->scratch);
    }
}

/* What the threads do. */
static cg_status fill(void *context, int64_t index, int slot) {
    const cg_loader *loader = context;
    const host_batch *to = &loader->host[slot];
    int64_t first, n = my_rows(loader, batch_rows(loader, index), &first);
    const int64_t *rows = loader->order + index * loader->batch + first;
    bool numbers = cg_data_describe(loader->data)->targets > 0;
    CG_TRY(cg_data_rows(loader->data, loader->split, rows, n, to->x, numbers ? NULL : to->y));
    if (numbers) {
        CG_TRY(cg_data_targets(loader->data, loader->split, rows, n, to->numbers));
    } else if (loader->width > 0) {
        spread_classes(loader, to, n);
    }
    if (loader->augments) {
        augment(loader, to, rows, index, n);
    }
    return CG_OK;
}

static int64_t most_rows(const cg_loader *loader) {
    return loader->batch < loader->rows ? loader->batch : loader->rows;
}

/* Makes what is learnt `width` numbers for each row. */
static cg_status widen(cg_loader *loader, int64_t width) {
    loader->width = width;
    for (int i = 0; i < loader->slots; i++) {
        host_batch *host = &loader->host[i];
        host->numbers = cg_alloc((size_t)(most_rows(loader) * width) * sizeof *host->numbers);
        if (host->numbers == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    CG_TRY(widen_batch(loader, &loader->full));
    return widen_batch(loader, &loader->last);
}

cg_status cg_loader_augment(cg_loader *loader) {
    const cg_data_info *info = cg_data_describe(loader->data);
    if (info->augment == NULL || loader->augments) {
        return CG_OK;
    }
    int64_t learnt = info->classes + info->targets, longest = loader->size > learnt ? loader->size : learnt;
    for (int i = 0; i < loader->slots; i++) {
        loader->host[i].scratch = cg_alloc((size_t)longest * sizeof(float));
        if (loader->host[i].scratch == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    if (cg_data_augment(loader->data)->mixup > 0 && loader->width == 0) {
        CG_TRY(widen(loader, info->classes));
    }
    loader->augments = true;
    return CG_OK;
}

static cg_status create_host(cg_loader *loader) {
    int64_t most = most_rows(loader);
    loader->host = cg_alloc_zero((size_t)loader->slots, sizeof *loader->host);
    for (int i = 0; loader->host != NULL && i < loader->slots; i++) {
        host_batch *host = &loader->host[i];
        host->x = cg_alloc((size_t)(most * loader->size) * sizeof *host->x);
        host->y = cg_alloc((size_t)most * sizeof *host->y);
        if (host->x == NULL || host->y == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    return loader->host != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status create(cg_device *device, cg_loader *loader) {
    const cg_data_info *info = cg_data_describe(loader->data);
    loader->rows = info->rows[loader->split];
    loader->size = cg_shape_numel(&info->sample);
    loader->slots = cg_prefetch_slots(info->workers);
    loader->order = cg_alloc((size_t)loader->rows * sizeof *loader->order);
    if (loader->order == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(create_host(loader));
    if (cg_device_real(device) == CG_F64) {
        loader->wide = cg_alloc((size_t)(most_rows(loader) * loader->size) * sizeof *loader->wide);
        if (loader->wide == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    CG_TRY(create_batch(loader, loader->rows >= loader->batch ? loader->batch : 0, &loader->full));
    CG_TRY(create_batch(loader, loader->rows % loader->batch, &loader->last));
    CG_TRY(info->targets > 0 ? widen(loader, info->targets) : CG_OK);
    CG_TRY(cg_prefetch_create(info->workers, fill, loader, &loader->prefetch));
    return cg_loader_start(loader, false, 0, 0);
}

cg_status cg_loader_create(cg_device *device, const cg_data *data, cg_split split, int64_t batch, cg_loader **loader) {
    return cg_loader_create_share(device, data, split, batch, NULL, loader);
}

cg_status cg_loader_create_share(cg_device *device, const cg_data *data, cg_split split, int64_t batch,
                                 const cg_ranks *ranks, cg_loader **loader) {
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
    made->device = device;
    made->data = data;
    made->split = split;
    made->batch = batch;
    made->ranks = ranks != NULL && ranks->count > 1 ? ranks : NULL;
    cg_status status = create(device, made);
    if (status != CG_OK) {
        cg_loader_destroy(made);
        return status;
    }
    *loader = made;
    return CG_OK;
}

static void destroy_host(cg_loader *loader) {
    for (int i = 0; loader->host != NULL && i < loader->slots; i++) {
        cg_free(loader->host[i].x);
        cg_free(loader->host[i].y);
        cg_free(loader->host[i].numbers);
        cg_free(loader->host[i].scratch);
    }
    cg_free(loader->host);
}

void cg_loader_destroy(cg_loader *loader) {
    if (loader != NULL) {
        cg_prefetch_destroy(loader->prefetch);
        cg_tensor_destroy(loader->full.x);
        cg_tensor_destroy(loader->full.y);
        cg_tensor_destroy(loader->last.x);
        cg_tensor_destroy(loader->last.y);
        destroy_host(loader);
        cg_free(loader->order);
        cg_free(loader->wide);
        cg_free(loader);
    }
}

int64_t cg_loader_batches(const cg_loader *loader) {
    return loader->rows / loader->batch + (loader->rows % loader->batch != 0);
}

/* The threads begin when the first batch is taken: until then the pass may be changed. */
static void stop(cg_loader *loader) {
    if (loader->running) {
        cg_prefetch_stop(loader->prefetch);
        loader->running = false;
    }
}

cg_status cg_loader_start(cg_loader *loader, bool shuffle, uint64_t seed, uint64_t epoch) {
    stop(loader);
    loader->next = 0;
    loader->draws = (cg_draws){.seed = seed, .epoch = epoch};
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
    int64_t left = cg_loader_batches(loader) - loader->next;
    stop(loader);
    loader->next += batches < left ? (batches > 0 ? batches : 0) : left;
}

static cg_status write_batch(cg_loader *loader, const host_batch *from, const cg_batch *batch) {
    const void *x = from->x;
    if (loader->wide != NULL) {
        for (int64_t i = 0; i < batch->n * loader->size; i++) {
            loader->wide[i] = (double)from->x[i];
        }
        x = loader->wide;
    }
    CG_TRY(cg_tensor_write(batch->x, x, cg_tensor_bytes(batch->x)));
    if (cg_tensor_dtype(batch->y) != CG_I64) {
        return cg_tensor_write_f32(batch->y, from->numbers, cg_tensor_numel(batch->y));
    }
    return cg_tensor_write(batch->y, from->y, cg_tensor_bytes(batch->y));
}

cg_status cg_loader_next(cg_loader *loader, cg_batch *batch) {
    *batch = (cg_batch){0};
    int64_t end = cg_loader_batches(loader);
    if (loader->next >= end) {
        return CG_OK;
    }
    if (!loader->running) {
        cg_prefetch_start(loader->prefetch, loader->next, end);
        loader->running = true;
    }
    const cg_batch *next = batch_rows(loader, loader->next) == loader->batch ? &loader->full : &loader->last;
    int slot;
    cg_status status = cg_prefetch_take(loader->prefetch, &slot);
    if (status == CG_OK) {
        status = write_batch(loader, &loader->host[slot], next);
    }
    if (status != CG_OK) {
        stop(loader); /* asked again, it tries the same batch again */
        return status;
    }
    cg_prefetch_release(loader->prefetch);
    loader->next++;
    *batch = *next;
    return CG_OK;
}
