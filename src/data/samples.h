/* Samples as they are in the files, and the parts of a data set: private to this folder. */
#ifndef CLGRAD_SAMPLES_H
#define CLGRAD_SAMPLES_H

#include <clgrad/data.h>

#include "augment.h"
#include "text.h"

/* Rows, each with a class or with numbers to learn. Zero-initialised is empty. */
typedef struct cg_samples {
    int64_t count;
    cg_shape shape;   /* of one row: [channels, height, width], [columns] */
    cg_dtype dtype;   /* of the values */
    void *values;     /* [count, shape...]; NULL: each row is decoded from its file when it is asked for */
    size_t mapped;    /* bytes of the file that `memory` is; 0: it is of the heap */
    void *memory;     /* what `values` lies in, where it is not `values` itself; owned */
    char **paths;     /* [count]; NULL: the rows are not files */
    int64_t *classes; /* [count] */
    double *numbers;  /* [count, targets], where there are no classes */
} cg_samples;

/* Texts, each owned. Zero-initialised is empty. */
typedef struct cg_names {
    char **item;
    size_t count, capacity;
} cg_names;

/* What a source gives: rows to train on, rows to test on, and what is customary with it. */
typedef struct cg_source {
    char name[sizeof((cg_data_info){0}.name)];
    cg_samples train, test;
    int64_t classes;
    cg_names class_names; /* [classes]; empty: "0", "1", "2" */
    int64_t targets;      /* numbers to learn for each row; 0: a class */
    cg_text target;       /* the column that is learnt; empty: it has no name */
    double scale;         /* the value that means 1: of bytes 255 */
    double valid;         /* default share of validation rows */
    bool valid_random;    /* drawn by the seed, not the last ones */
    cg_text notes;        /* what was passed over */
} cg_source;

/* The source of a name or a path: "digits", "mnist", a folder or a file. cg_source_free also after a failure. */
cg_status cg_source_load(const char *name, const cg_data_options *options, cg_source *source) CG_MUST_USE;
void cg_source_free(cg_source *source);

/* The built-in digits. */
cg_status cg_digits_load(cg_source *source) CG_MUST_USE;

/* The four IDX files of a folder; the two test files may be missing. */
cg_status cg_idx_load(const char *folder, cg_source *source) CG_MUST_USE;

/* Whether a folder has one of the four files; whether it has the images to train on, for the search of "mnist". */
bool cg_idx_is_any(const char *folder);
bool cg_idx_is_there(const char *folder);

/* One file of images or of classes, gzip-packed or not. */
cg_status cg_idx_read_images(const char *path, cg_samples *samples) CG_MUST_USE;
cg_status cg_idx_read_classes(const char *path, int64_t **classes, int64_t *count) CG_MUST_USE;

/* One folder of images for each class. */
cg_status cg_image_folder_load(const char *folder, const cg_data_options *options, cg_source *source) CG_MUST_USE;

/* A table of comma-separated values with a column to learn. */
cg_status cg_csv_load(const char *path, const cg_data_options *options, cg_source *source) CG_MUST_USE;

/* NumPy's arrays: two .npy files, or x and y in a .npz. */
cg_status cg_npy_load(const char *path, const cg_data_options *options, cg_source *source) CG_MUST_USE;
cg_status cg_npz_load(const char *path, const cg_data_options *options, cg_source *source) CG_MUST_USE;

/* Images and arrays without classes, as the test rows. */
cg_status cg_unlabelled_load(const char *const *paths, size_t count, const cg_shape *sample,
                             const cg_data_options *options, cg_source *source) CG_MUST_USE;

/* The values of a row, of the samples' dtype. `scratch` has room for one row and is used where it is decoded from its
 * file. */
cg_status cg_samples_row(const cg_samples *samples, int64_t row, uint8_t *scratch, const void **values) CG_MUST_USE;

/* Element i of values of a dtype, which need not be aligned. */
double cg_value(const void *values, cg_dtype dtype, int64_t i);

/* Pairs of mean and standard deviation: one for each column of [columns], one for each channel of images and what has
 * more axes, else one. */
int64_t cg_sample_channels(const cg_shape *shape);

void cg_samples_free(cg_samples *samples);

/* Appends a copy of `length` bytes; CG_ERR_MEMORY. */
cg_status cg_names_add(cg_names *names, const char *bytes, size_t length) CG_MUST_USE;
void cg_names_sort(cg_names *names);
void cg_names_free(cg_names *names);

/* The entries of a folder without those that begin with a dot, in the order of their bytes. CG_ERR_FILE. */
cg_status cg_folder_list(const char *folder, cg_names *entries) CG_MUST_USE;

/* Bytes of memory that data may take: the options', else half of what the machine has. */
int64_t cg_data_memory(const cg_data_options *options);

/* How a data set's training rows are changed, and what 0 became for each channel; for loaders. */
const cg_augment *cg_data_augment(const cg_data *data);
const float *cg_data_black(const cg_data *data);

/* The rows of each split: row numbers of source->train, or of source->test for CG_SPLIT_TEST, in the order of the
 * file. */
typedef struct cg_rows {
    int64_t *row;
    int64_t count;
} cg_rows;

/* Splits and limits by the options, which are checked here; the share that was used goes into *share. The caller frees
 * rows[i].row, also when the call fails. */
cg_status cg_split_rows(const cg_source *source, const cg_data_options *options, cg_rows rows[3],
                        double *share) CG_MUST_USE;

/* Mean and standard deviation of each channel as the options say: of these training rows, none (0 and 1) or given. */
cg_status cg_normalization(const cg_source *source, const cg_rows *rows, const cg_data_options *options,
                           int64_t channels, double *mean, double *std) CG_MUST_USE;

#endif
