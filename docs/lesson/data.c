/*
 * Chapter 1: what is in the data, and bringing it to mean 0 and standard deviation 1 with the training set's figures.
 *
 *     lesson_data --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

enum { SIDE = 28, CLASSES = 10, SHOWN = 2 };

/* How many images of each class a split has. y is [n, 1]. */
static cg_status count_classes(lesson *l, const char *name, cg_tensor *y) {
    cg_tape *tape = l->tape;
    float counts[CLASSES];
    int64_t n = cg_tensor_shape(y)->dim[0];
    cg_tensor *classes = cg_reshape(tape, cg_cast(tape, y, CG_I64), &CG_SHAPE(n));
    cg_tensor *sums = cg_sum(tape, cg_one_hot(tape, classes, CLASSES), 1u << 0, false);
    CG_TRY(cg_tensor_read_f32(sums, counts, CLASSES));
    printf("%-10s %6lld:", name, (long long)n);
    for (int i = 0; i < CLASSES; i++) {
        printf(" %4.0f", (double)counts[i]);
    }
    puts("");
    return cg_tape_run(tape);
}

/* The first images side by side, two rows of pixels in one of characters, which are twice as high as wide. */
static cg_status draw(lesson *l, cg_tensor *x) {
    float pixels[SHOWN * LESSON_PIXELS];
    cg_tensor *first = cg_slice(l->tape, x, 0, 0, SHOWN, 1);
    CG_TRY(cg_tensor_read_f32(first, pixels, SHOWN * LESSON_PIXELS));
    for (int row = 0; row < SIDE; row += 2) {
        char line[SHOWN * SIDE + 1] = "";
        int length = 0;
        for (int i = 0; i < SHOWN * SIDE; i++) {
            const float *pixel = pixels + i / SIDE * LESSON_PIXELS + row * SIDE + i % SIDE;
            line[i] = " .:-=+*#%@"[(int)((pixel[0] + pixel[SIDE]) / 2 * 9.99f)];
            length = line[i] != ' ' ? i + 1 : length;
        }
        printf("%.*s\n", length, line);
    }
    return cg_tape_run(l->tape);
}

typedef struct figures {
    double mean, std;
} figures;

/* Of all elements, on the device: sums of millions of floats, in a fixed order, with no more than the last digits lost.
 */
static cg_status figures_of(lesson *l, cg_tensor *x, figures *f) {
    double variance = 0;
    CG_TRY(cg_tensor_item(cg_mean(l->tape, x, CG_ALL_AXES, false), &f->mean));
    CG_TRY(cg_tensor_item(cg_var(l->tape, x, CG_ALL_AXES, 0, false), &variance));
    f->std = sqrt(variance);
    return CG_OK;
}

/* (x - mean) / std */
static cg_tensor *normalize(cg_tape *tape, cg_tensor *x, figures f) {
    cg_tensor *shifted = cg_sub(tape, x, cg_full(tape, &CG_SCALAR, f.mean));
    return cg_scale(tape, shifted, 1 / f.std);
}

/* What a set looks like once it is normalised, and what a black pixel, 0 in the file, has become. */
static cg_status show(lesson *l, const char *name, cg_tensor *x, figures f, figures *after) {
    CG_TRY(figures_of(l, normalize(l->tape, x, f), after));
    double mean = fabs(after->mean) < 5e-5 ? 0 : after->mean; /* rounded to four digits, 0 has no sign */
    printf("  %-34s mean %7.4f   std %.4f   a black pixel %.4f\n", name, mean, after->std, -f.mean / f.std);
    return cg_tape_run(l->tape);
}

/* Up to 500 images of one class, from the first 10,000. */
static cg_status only(lesson *l, cg_tensor *x, cg_tensor *y, float wanted, cg_tensor **part) {
    enum { FIRST = 10000, MOST = 500 };
    float digits[FIRST];
    int64_t rows[MOST], found = 0, n = cg_tensor_numel(y) < FIRST ? cg_tensor_numel(y) : FIRST;
    cg_tensor *index = NULL;
    CG_TRY(cg_tensor_read_f32(cg_slice(l->tape, y, 0, 0, n, 1), digits, n));
    for (int64_t i = 0; i < n && found < MOST; i++) {
        if (digits[i] == wanted) {
            rows[found++] = i;
        }
    }
    if (found == 0) {
        return cg_fail(CG_ERR_FORMAT, "there is no %g among %lld images", (double)wanted, (long long)n);
    }
    CG_TRY(cg_tensor_create(l->device, CG_I64, &CG_SHAPE(found), &index));
    cg_status status = cg_tensor_write(index, rows, (size_t)found * sizeof rows[0]);
    status = status != CG_OK ? status : lesson_keep(l, cg_index_select(l->tape, x, 0, index), part);
    status = status != CG_OK ? status : cg_tape_run(l->tape);
    cg_tensor_destroy(index);
    return status;
}

static cg_status run(lesson *l) {
    cg_tensor *x = NULL, *y = NULL, *valid_x = NULL, *valid_y = NULL, *ones = NULL;
    figures train = {0}, valid = {0}, of_ones = {0}, after = {0};
    int64_t n = 0;
    CG_TRY(lesson_count(l, "rows", &n));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, true, &x, &y));
    CG_TRY(lesson_images(l, CG_SPLIT_VALID, n, true, &valid_x, &valid_y));
    CG_TRY(count_classes(l, "training", y));
    CG_TRY(count_classes(l, "validation", valid_y));
    CG_TRY(draw(l, x));

    CG_TRY(figures_of(l, x, &train));
    CG_TRY(figures_of(l, valid_x, &valid));
    printf("pixels are 0 to 1: training mean %.4f, std %.4f; validation mean %.4f, std %.4f\n", train.mean, train.std,
           valid.mean, valid.std);
    puts("normalised by the training set's figures:");
    CG_TRY(show(l, "training", x, train, &after));
    CG_TRY(lesson_within("distance of the training mean from 0", fabs(after.mean), 1e-3));
    CG_TRY(lesson_within("distance of the training standard deviation from 1", fabs(after.std - 1), 1e-3));
    CG_TRY(show(l, "validation", valid_x, train, &after));
    CG_TRY(only(l, valid_x, valid_y, 1, &ones));
    CG_TRY(show(l, "validation, class 1 alone", ones, train, &after));
    puts("the mistake, each set by its own:");
    CG_TRY(show(l, "validation", valid_x, valid, &after));
    CG_TRY(figures_of(l, ones, &of_ones));
    return show(l, "validation, class 1 alone", ones, of_ones, &after);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {
        {"data", "mnist", "mnist, or a folder of images"}, {"rows", "50000", "how many images at most"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
