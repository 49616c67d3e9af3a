/* Samples as they are in the files, and the parts of a data set: private to this folder. */
#ifndef CLGRAD_SAMPLES_H
#define CLGRAD_SAMPLES_H

#include <clgrad/data.h>

/* Rows of bytes, each with a class. Zero-initialised is empty. */
typedef struct cg_samples {
    int64_t count;
    cg_shape shape; /* of one row: [channels, height, width] */
    uint8_t *pixels;
    uint8_t *classes;
} cg_samples;

/* What a source gives: rows to train on, rows to test on, and what is customary with it. */
typedef struct cg_source {
    char name[sizeof((cg_data_info){0}.name)];
    cg_samples train, test;
    double scale;      /* the byte that means 1 */
    double valid;      /* default share of validation rows */
    bool valid_random; /* drawn by the seed, not the last ones */
} cg_source;

/* The source of a name or a path: "digits", "mnist" or a folder. cg_source_free also after a failure. */
cg_status cg_source_load(const char *name, cg_source *source) CG_MUST_USE;
void cg_source_free(cg_source *source);

/* The built-in digits. */
cg_status cg_digits_load(cg_source *source) CG_MUST_USE;

/* The four IDX files of a folder; the two test files may be missing. */
cg_status cg_idx_load(const char *folder, cg_source *source) CG_MUST_USE;

/* Whether a folder has the images to train on: for the search of "mnist". */
bool cg_idx_is_there(const char *folder);

/* One file of images or of classes, gzip-packed or not. */
cg_status cg_idx_read_images(const char *path, cg_samples *samples) CG_MUST_USE;
cg_status cg_idx_read_classes(const char *path, uint8_t **classes, int64_t *count) CG_MUST_USE;

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
                           cg_data_info *info) CG_MUST_USE;

#endif
