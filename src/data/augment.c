/* The changes themselves, on values that are normalised already: scaling commutes with moving and mixing. */
#include "augment.h"

#include <math.h>
#include <string.h>

#include <clgrad/random.h>

#define ROW_STREAM 0x4155474D00000000u /* "AUGM"; the epoch is added */
#define MIX_STREAM 0x4D49585500000000u /* "MIXU"; the epoch is added */
#define DRAWS 32                       /* a row's share of its stream: at most two for each change */
#define ATTEMPTS 64

/* One image and its random numbers. */
typedef struct image {
    const cg_shape *shape;
    const float *black;
    float *x, *scratch;
    cg_draws draws;
    uint64_t next; /* index in the stream */
} image;

static double draw(image *i) {
    return (double)cg_random_uniform(i->draws.seed, ROW_STREAM + i->draws.epoch, i->next++);
}

/* Uniform between -most and most. */
static double draw_between(image *i, double most) {
    return (2 * draw(i) - 1) * most;
}

/* A whole number from 0 to count - 1. */
static int64_t draw_whole(image *i, int64_t count) {
    return (int64_t)(draw(i) * (double)count);
}

/* A pixel of a plane, black outside. */
static float pixel(const float *plane, const int64_t *dim, int64_t y, int64_t x, float black) {
    return y >= 0 && y < dim[1] && x >= 0 && x < dim[2] ? plane[y * dim[2] + x] : black;
}

static void keep_original(image *i) {
    memcpy(i->scratch, i->x, (size_t)cg_shape_numel(i->shape) * sizeof(float));
}

static void crop(image *i, int64_t padding) {
    const int64_t *dim = i->shape->dim;
    int64_t down = draw_whole(i, 2 * padding + 1) - padding, right = draw_whole(i, 2 * padding + 1) - padding;
    keep_original(i);
    float *to = i->x;
    for (int64_t c = 0; c < dim[0]; c++) {
        const float *plane = i->scratch + c * dim[1] * dim[2];
        for (int64_t y = 0; y < dim[1]; y++) {
            for (int64_t x = 0; x < dim[2]; x++) {
                *to++ = pixel(plane, dim, y + down, x + right, i->black[c]);
            }
        }
    }
}

static void flip(image *i, double p) {
    const int64_t *dim = i->shape->dim;
    if (draw(i) >= p) {
        return;
    }
    for (int64_t row = 0; row < dim[0] * dim[1]; row++) {
        float *left = i->x + row * dim[2], *right = left + dim[2] - 1;
        for (; left < right; left++, right--) {
            float swapped = *left;
            *left = *right;
            *right = swapped;
        }
    }
}

/* The value between four pixels. */
static float between(const float *plane, const int64_t *dim, double y, double x, float black) {
    int64_t top = (int64_t)floor(y), left = (int64_t)floor(x);
    double down = y - (double)top, right = x - (double)left;
    double upper = (1 - right) * (double)pixel(plane, dim, top, left, black) +
                   right * (double)pixel(plane, dim, top, left + 1, black);
    double lower = (1 - right) * (double)pixel(plane, dim, top + 1, left, black) +
                   right * (double)pixel(plane, dim, top + 1, left + 1, black);
    return (float)((1 - down) * upper + down * lower);
}

/* Each pixel is looked up where it was before it was turned about the middle and moved. */
static void resample(image *i, double angle, double down, double right) {
    const int64_t *dim = i->shape->dim;
    double middle_y = (double)(dim[1] - 1) / 2, middle_x = (double)(dim[2] - 1) / 2;
    double cosine = cos(angle), sine = sin(angle);
    keep_original(i);
    float *to = i->x;
    for (int64_t c = 0; c < dim[0]; c++) {
        const float *plane = i->scratch + c * dim[1] * dim[2];
        for (int64_t row = 0; row < dim[1]; row++) {
            for (int64_t column = 0; column < dim[2]; column++) {
                double y = (double)row - middle_y - down, x = (double)column - middle_x - right;
                *to++ = between(plane, dim, cosine * y + sine * x + middle_y, cosine * x - sine * y + middle_x,
                                i->black[c]);
            }
        }
    }
}

static void rotate(image *i, double degrees) {
    resample(i, draw_between(i, degrees) * acos(-1.0) / 180, 0, 0);
}

static void shift(image *i, double pixels) {
    double down = draw_between(i, pixels), right = draw_between(i, pixels);
    resample(i, 0, down, right);
}

/* The middle of the square is any pixel, so that it may stick out (DeVries, Taylor 2017). The mean is 0 here. */
static void cutout(image *i, int64_t size) {
    const int64_t *dim = i->shape->dim;
    int64_t top = draw_whole(i, dim[1]) - size / 2, left = draw_whole(i, dim[2]) - size / 2;
    for (int64_t row = 0; row < dim[0] * dim[1]; row++) {
        int64_t y = row % dim[1];
        for (int64_t x = left > 0 ? left : 0; y >= top && y < top + size && x < left + size && x < dim[2]; x++) {
            i->x[row * dim[2] + x] = 0;
        }
    }
}

void cg_augment_row(const cg_augment *augment, const cg_shape *sample, const float *black, cg_draws draws, int64_t row,
                    float *x, float *scratch) {
    image i = {
        .shape = sample, .black = black, .x = x, .scratch = scratch, .draws = draws, .next = (uint64_t)row * DRAWS};
    for (int k = 0; k < augment->count; k++) {
        double amount = augment->change[k].amount;
        switch (augment->change[k].kind) {
        case CG_CROP:
            crop(&i, (int64_t)amount);
            break;
        case CG_FLIP:
            flip(&i, amount);
            break;
        case CG_ROTATE:
            rotate(&i, amount);
            break;
        case CG_SHIFT:
            shift(&i, amount);
            break;
        case CG_CUTOUT:
            cutout(&i, (int64_t)amount);
            break;
        case CG_MIXUP: /* the batch's */
            break;
        }
    }
}

/* Beta(alpha, alpha) for alpha up to 1 by Joehnk's method: accepted at least every second time. In logarithms, since
 * powers of 1 / alpha are too small for a small alpha. */
double cg_augment_share(const cg_augment *augment, cg_draws draws, int64_t index) {
    double share = 1;
    for (uint64_t k = 0; k < ATTEMPTS; k++) {
        uint64_t at = ((uint64_t)index * ATTEMPTS + k) * 2;
        double a = log(1 - (double)cg_random_uniform(draws.seed, MIX_STREAM + draws.epoch, at)) / augment->mixup;
        double b = log(1 - (double)cg_random_uniform(draws.seed, MIX_STREAM + draws.epoch, at + 1)) / augment->mixup;
        double larger = a > b ? a : b, sum = larger + log(exp(a - larger) + exp(b - larger));
        if (sum <= 0) {
            share = exp(a - sum);
            break;
        }
    }
    return share;
}

void cg_augment_mix(double share, int64_t n, int64_t size, float *x, float *scratch) {
    const float mine = (float)share, other = (float)(1 - share);
    memcpy(scratch, x, (size_t)size * sizeof *x);
    for (int64_t row = 0; row < n; row++) {
        float *to = x + row * size;
        const float *from = row + 1 < n ? to + size : scratch;
        for (int64_t i = 0; i < size; i++) {
            to[i] = mine * to[i] + other * from[i];
        }
    }
}
