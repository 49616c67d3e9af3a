/* Augmentation: random changes of training rows, from numbers that depend on (seed, epoch, row) alone. Private. */
#ifndef CLGRAD_AUGMENT_H
#define CLGRAD_AUGMENT_H

#include <clgrad/tensor.h>

#include "text.h"

#define CG_MOST_CHANGES 12

typedef enum cg_change_kind {
    CG_CROP,   /* moved by whole pixels, as cropping a padded image does */
    CG_FLIP,   /* left to right */
    CG_ROTATE, /* about its middle, bilinear */
    CG_SHIFT,  /* moved by parts of a pixel, bilinear */
    CG_CUTOUT, /* a square becomes the mean */
    CG_MIXUP   /* each row of a batch is mixed with the next */
} cg_change_kind;

typedef struct cg_change {
    cg_change_kind kind;
    double amount;
} cg_change;

/* Zero-initialised changes nothing. */
typedef struct cg_augment {
    cg_change change[CG_MOST_CHANGES];
    int count;
    double mixup; /* its alpha; 0: none */
    cg_text text; /* that parses to this again */
} cg_augment;

/* Parses "crop(4), flip(), mixup(0.2)" for samples of a shape. CG_ERR_SYNTAX, CG_ERR_NAME, CG_ERR_ARGUMENT. */
cg_status cg_augment_parse(const char *text, const cg_shape *sample, cg_augment *augment) CG_MUST_USE;
void cg_augment_free(cg_augment *augment);

/* Where the numbers come from. */
typedef struct cg_draws {
    uint64_t seed, epoch;
} cg_draws;

/* Changes one sample [channels, height, width]; `black` is what 0 became for each channel, `scratch` has room for one
 * sample. Mixup is left out: it needs the batch. */
void cg_augment_row(const cg_augment *augment, const cg_shape *sample, const float *black, cg_draws draws, int64_t row,
                    float *x, float *scratch);

/* The share that each row of batch `index` keeps of itself. */
double cg_augment_share(const cg_augment *augment, cg_draws draws, int64_t index);

/* Mixes each of n rows of `size` values with the next, the last with the first. */
void cg_augment_mix(double share, int64_t n, int64_t size, float *x, float *scratch);

#endif
