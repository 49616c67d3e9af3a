/*
 * Data sets on the host, their splits and normalisation, and the loader that puts batches into tensors.
 * Order of things: read all training rows; split off validation; keep the first `limit` training rows; mean and
 * standard deviation over what is left, one pair per channel or column, in double, population form; apply them to all.
 */
#ifndef CLGRAD_DATA_H
#define CLGRAD_DATA_H

#include <clgrad/ranks.h>
#include <clgrad/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_data cg_data;

typedef enum cg_split { CG_SPLIT_TRAIN = 0, CG_SPLIT_VALID = 1, CG_SPLIT_TEST = 2 } cg_split;

typedef enum cg_normalize { CG_NORMALIZE_DATA = 0, CG_NORMALIZE_NONE = 1, CG_NORMALIZE_GIVEN = 2 } cg_normalize;

/* Whether a row's target is a class or a number: as the data looks, or as it is said. */
typedef enum cg_task { CG_TASK_AUTO = 0, CG_TASK_CLASSES = 1, CG_TASK_NUMBERS = 2 } cg_task;

/* The texts and numbers are borrowed during the call. */
typedef struct cg_data_options {
    double valid;  /* share of the training rows split off for validation, 0 <= valid < 1; negative: the default */
    int64_t limit; /* keep the first so many training rows; 0: all */
    uint64_t seed; /* of a random split */
    cg_normalize normalize;
    int64_t channels;               /* CG_NORMALIZE_GIVEN: pairs that are given; 1 is used for all channels */
    const double *mean, *std;       /* CG_NORMALIZE_GIVEN: one for each of them */
    int64_t classes;                /* number of class_names; 0: the data names them */
    const char *const *class_names; /* the classes that a model knows, in its order: data with another one is refused */
    const char *target; /* of a table: the column to learn, by name or by number from 1; NULL: the last. Of x.npy: the
                           path of the array to learn. Of a .npz: the name of that array; NULL: "y" */
    cg_task task;
    int64_t memory; /* bytes that decoded images may take; beyond, they are decoded as they are needed; 0: half of the
                       machine's memory */
    const char *augment; /* how loaders change training rows that cg_loader_augment is called for: "crop(4), flip()";
                            NULL: not at all */
    int workers; /* threads of each loader that prepare batches ahead; 0: the default, 1; below 0: none. Batches are the
                    same bits whatever their number */
} cg_data_options;

/* What is in a data set. `sample` is the shape of one row: [1, 28, 28] for MNIST, [1, 8, 8] for the digits. The
 * pointers are the data's. */
typedef struct cg_data_info {
    char name[64];
    cg_shape sample;
    int64_t classes;   /* 0: the target is a number */
    int64_t targets;   /* numbers to learn for each row; 0: a class */
    int64_t rows[3];   /* per split */
    double valid;      /* the share that was used */
    bool valid_random; /* rows drawn by the seed, not the last ones */
    uint64_t seed;
    int64_t channels;               /* pairs of mean and standard deviation */
    const double *mean, *std;       /* [channels] */
    const char *const *class_names; /* [classes] */
    bool named_classes;             /* they have names of their own, not "0", "1", "2" */
    const char *target;             /* the name of what is learnt; NULL: it has none */
    int workers;                    /* threads of each loader; 0: none */
    const char *augment;            /* as it can be given again; NULL: none */
    bool streamed;                  /* rows are read as they are needed: they would not fit in memory */
    const char *notes;              /* what was passed over, for the user to see; NULL: nothing */
} cg_data_info;

/*
 * Loads "digits" (built in), "mnist" (found in CLGRAD_DATA, the installed share folder, the source tree's data/), a
 * folder with the four IDX files of MNIST's names, gzip-packed or not, a folder with one folder of PNG and JPEG images
 * for each class, or a file: .csv, .tsv, .npy, .npz. options NULL: defaults.
 *
 * Images: grey or colour, all of one size; an alpha channel is dropped, 16 bits become 8. Classes are in the order of
 * their folders' names, rows take turns: the first image of each class, then the second of each. Files that cannot be
 * read are left out and named in `notes`.
 *
 * Tables: fields separated by commas, semicolons or tabs, as the first line has them, quoted or not; with a line of
 * names or none: there is one when a field of it that is not the target is no number. All columns but the target are
 * numbers. The target is a class when it is text, or whole numbers of which at most 32 differ; else it is a number to
 * learn; `task` says otherwise.
 *
 * Arrays: dtypes u1, i4, i8, f4, f8 in C order. x is [n, columns], [n, height, width] of u1: grey images, or
 * [n, anything...]; y is [n] or [n, 1] of integers: classes from 0, or [n] or [n, targets] of floats: numbers. A .npz
 * has x and y, or x_train, y_train, x_test and y_test. Arrays that do not fit in `memory` are
 * mapped, and tables go into a file in TMPDIR that is.
 *
 * Errors: CG_ERR_FILE (missing, unreadable), CG_ERR_FORMAT (what is wrong in
 * which file), CG_ERR_ARGUMENT (a share or limit that leaves nothing), CG_ERR_UNSUPPORTED (built without the library
 * for this kind of image).
 */
CG_API cg_status cg_data_load(const char *source, const cg_data_options *options, cg_data **data) CG_MUST_USE;

/*
 * Rows to be predicted, which nobody has labelled: images (PNG, JPEG), arrays .npy of one sample or of many, folders of
 * images. They become the test rows, of the shape that a model takes; options->normalize must be given or none, and
 * options->classes says how many classes there are (0: a number is predicted). cg_data_rows gives the class -1,
 * cg_data_targets NAN. Errors: CG_ERR_SHAPE names a file that does not fit, with both shapes; else as cg_data_load.
 */
CG_API cg_status cg_data_load_unlabelled(const char *const *paths, size_t count, const cg_shape *sample,
                                         const cg_data_options *options, cg_data **data) CG_MUST_USE;

/* One image file, or a .npy of one sample, as values of `sample`, [channels, height, width]: bytes become 0..1. Errors
 * as cg_data_load_unlabelled. */
CG_API cg_status cg_image_read(const char *path, const cg_shape *sample, float *values) CG_MUST_USE;

/* The file that a row comes from, or "x.npy[3]"; NULL: rows of this data are not files. */
CG_API const char *cg_data_row_name(const cg_data *data, cg_split split, int64_t row);

CG_API void cg_data_destroy(cg_data *data);
CG_API const cg_data_info *cg_data_describe(const cg_data *data);

/* The libraries that decode images, index 0 and up: "libpng 1.6.39", or "no libpng" when this one was built without;
 * NULL after the last. */
CG_API const char *cg_image_library(int index);

/* Name of a class ("7"); NULL when out of range. */
CG_API const char *cg_data_class_name(const cg_data *data, int64_t index);

/* Copies rows `rows[0..n-1]` of a split, normalised, into x [n, sample...] and classes into y; either may be NULL. */
CG_API cg_status cg_data_rows(const cg_data *data, cg_split split, const int64_t *rows, int64_t n, float *x,
                              int64_t *y) CG_MUST_USE;

/* Copies what is to be learnt of rows whose target is a number: y [n, targets]. */
CG_API cg_status cg_data_targets(const cg_data *data, cg_split split, const int64_t *rows, int64_t n,
                                 float *y) CG_MUST_USE;

/* The values of one row as they are in the file; pixels are 0..1. */
CG_API cg_status cg_data_pixels(const cg_data *data, cg_split split, int64_t row, float *pixels) CG_MUST_USE;

typedef struct cg_loader cg_loader;

typedef struct cg_batch {
    cg_tensor *x; /* [n, sample...], the loader's; overwritten by the next batch of the same size */
    cg_tensor *y; /* [n] i64 classes; numbers [n, targets]; with mixup probabilities [n, classes] */
    int64_t n;
    int64_t total; /* rows of the batch in all, where ranks share it; else n */
    double share;  /* of them that are here: 1 where nobody shares. 0: a row that fills the place and must not count */
} cg_batch;

/* Makes a loader of batches on a device. The last, smaller batch is kept. `data` must outlive it. */
CG_API cg_status cg_loader_create(cg_device *device, const cg_data *data, cg_split split, int64_t batch,
                                  cg_loader **loader) CG_MUST_USE;
/* The same for a rank, which gets its part of every batch: at least one row, of share 0 where there are fewer than
 * ranks. `ranks` is borrowed; NULL: all rows. */
CG_API cg_status cg_loader_create_share(cg_device *device, const cg_data *data, cg_split split, int64_t batch,
                                        const cg_ranks *ranks, cg_loader **loader) CG_MUST_USE;
CG_API void cg_loader_destroy(cg_loader *loader);

/*
 * Changes rows as the data's `augment` says, from numbers drawn by (seed, epoch, row): for a loader of training rows,
 * before its first pass. Does nothing where the data has none. Each change is drawn anew for each row and epoch, in the
 * order of the text:
 *     crop(padding)      moved by up to so many whole pixels; black comes in
 *     flip(p=0.5)        left to right, so often
 *     rotate(degrees)    about the middle, up to so far either way; bilinear
 *     shift(pixels)      moved by up to so much, parts of a pixel too; bilinear
 *     cutout(size)       a square of so many pixels becomes the mean; it may stick out
 *     mixup(alpha)       last: each row of a batch is mixed with the next, in shares of Beta(alpha, alpha), alpha up to
 *                        1, and so is what is learnt: classes become probabilities, y [n, classes]
 */
CG_API cg_status cg_loader_augment(cg_loader *loader) CG_MUST_USE;

/* Number of batches in one pass. */
CG_API int64_t cg_loader_batches(const cg_loader *loader);

/* Starts a pass over the split in file order, or in the order drawn from (seed, epoch). */
CG_API cg_status cg_loader_start(cg_loader *loader, bool shuffle, uint64_t seed, uint64_t epoch) CG_MUST_USE;

/* Skips batches of the pass, to resume in the middle. */
CG_API void cg_loader_skip(cg_loader *loader, int64_t batches);

/* The next batch; batch->n is 0 at the end. The same two tensors are used for every batch of one size. Threads prepare
 * the next ones meanwhile, from the first batch of a pass on; they end with the loader. */
CG_API cg_status cg_loader_next(cg_loader *loader, cg_batch *batch) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
