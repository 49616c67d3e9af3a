/*
 * Data sets on the host, their splits and normalisation, and the loader that puts batches into tensors.
 * Order of things: read all training rows; split off validation; keep the first `limit` training rows; mean and
 * standard deviation over what is left, one pair per channel, in double, population form; apply them to all.
 */
#ifndef CLGRAD_DATA_H
#define CLGRAD_DATA_H

#include <clgrad/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CG_MAX_CHANNELS 16

typedef struct cg_data cg_data;

typedef enum cg_split { CG_SPLIT_TRAIN = 0, CG_SPLIT_VALID = 1, CG_SPLIT_TEST = 2 } cg_split;

typedef enum cg_normalize { CG_NORMALIZE_DATA = 0, CG_NORMALIZE_NONE = 1, CG_NORMALIZE_GIVEN = 2 } cg_normalize;

typedef struct cg_data_options {
    double valid;  /* share of the training rows split off for validation, 0 <= valid < 1; negative: the default */
    int64_t limit; /* keep the first so many training rows; 0: all */
    uint64_t seed; /* of a random split */
    cg_normalize normalize;
    int channels; /* CG_NORMALIZE_GIVEN: pairs that are given; 1 is used for all channels */
    double mean[CG_MAX_CHANNELS], std[CG_MAX_CHANNELS];
} cg_data_options;

/* What is in a data set. `sample` is the shape of one row: [1, 28, 28] for MNIST, [1, 8, 8] for the digits. */
typedef struct cg_data_info {
    char name[64];
    cg_shape sample;
    int64_t classes;   /* 0: the target is a number */
    int64_t rows[3];   /* per split */
    double valid;      /* the share that was used */
    bool valid_random; /* rows drawn by the seed, not the last ones */
    uint64_t seed;
    int channels;
    double mean[CG_MAX_CHANNELS], std[CG_MAX_CHANNELS];
} cg_data_info;

/* Loads "digits" (built in), "mnist" (found in CLGRAD_DATA, the installed share folder, the source tree's data/) or a
 * folder with the four IDX files of MNIST's names, gzip-packed or not. options NULL: defaults. Errors: CG_ERR_FILE
 * (missing, unreadable), CG_ERR_FORMAT (what is wrong in which file), CG_ERR_ARGUMENT (a share or limit that leaves
 * nothing). */
CG_API cg_status cg_data_load(const char *source, const cg_data_options *options, cg_data **data) CG_MUST_USE;

CG_API void cg_data_destroy(cg_data *data);
CG_API const cg_data_info *cg_data_describe(const cg_data *data);

/* Name of a class ("7"); NULL when out of range. */
CG_API const char *cg_data_class_name(const cg_data *data, int64_t index);

/* Copies rows `rows[0..n-1]` of a split, normalised, into x [n, sample...] and classes into y; either may be NULL. */
CG_API cg_status cg_data_rows(const cg_data *data, cg_split split, const int64_t *rows, int64_t n, float *x,
                              int64_t *y) CG_MUST_USE;

/* The pixels of one row as they are in the file, 0..1. */
CG_API cg_status cg_data_pixels(const cg_data *data, cg_split split, int64_t row, float *pixels) CG_MUST_USE;

typedef struct cg_loader cg_loader;

typedef struct cg_batch {
    cg_tensor *x; /* [n, sample...], the loader's; overwritten by the next batch of the same size */
    cg_tensor *y; /* [n] i64 */
    int64_t n;
} cg_batch;

/* Makes a loader of batches on a device. The last, smaller batch is kept. `data` must outlive it. */
CG_API cg_status cg_loader_create(cg_device *device, const cg_data *data, cg_split split, int64_t batch,
                                  cg_loader **loader) CG_MUST_USE;
CG_API void cg_loader_destroy(cg_loader *loader);

/* Number of batches in one pass. */
CG_API int64_t cg_loader_batches(const cg_loader *loader);

/* Starts a pass over the split in file order, or in the order drawn from (seed, epoch). */
CG_API cg_status cg_loader_start(cg_loader *loader, bool shuffle, uint64_t seed, uint64_t epoch) CG_MUST_USE;

/* Skips batches of the pass, to resume in the middle. */
CG_API void cg_loader_skip(cg_loader *loader, int64_t batches);

/* The next batch; batch->n is 0 at the end. The same two tensors are used for every batch of one size. */
CG_API cg_status cg_loader_next(cg_loader *loader, cg_batch *batch) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
