/* Augmentation: what each change does, where its numbers come from, and its text. */
#include <clgrad/data.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "augment.h"
#include "devices.h"
#include "files.h"

#define HEIGHT 9
#define WIDTH 11
#define AREA (HEIGHT * WIDTH)

static const cg_shape shape = {.dim = {2, HEIGHT, WIDTH}, .rank = 3};
static const float black[2] = {-1, -2};

static cg_augment parse(const char *text) {
    cg_augment augment;
    cr_assert(cg_augment_parse(text, &shape, &augment) == CG_OK, "%s", cg_error_message());
    return augment;
}

static void expect_failure(const char *text, const cg_shape *sample, cg_status status, const char *part) {
    cg_augment augment;
    test_expect_failure(cg_augment_parse(text, sample, &augment), status, part);
    cg_augment_free(&augment);
}

/* Row `row` of a training, from x, which stays. */
static void change(const cg_augment *augment, int64_t row, const float *x, float *changed) {
    float scratch[2 * AREA];
    memcpy(changed, x, 2 * AREA * sizeof *x);
    cg_augment_row(augment, &shape, black, (cg_draws){.seed = 1, .epoch = 2}, row, changed, scratch);
}

/* Different values everywhere. */
static void fill(float *x) {
    for (int i = 0; i < 2 * AREA; i++) {
        x[i] = (float)(i + 1);
    }
}

Test(augment, its_text_is_printed_so_that_it_parses_to_the_same) {
    cg_augment a = parse("crop( padding=4 ),flip(),flip(p=1), rotate(2.5), shift(1), cutout(3), mixup(alpha=0.2)");
    cr_assert_str_eq(cg_text_get(&a.text), "crop(4), flip(0.5), flip(1), rotate(2.5), shift(1), cutout(3), mixup(0.2)");
    cg_augment b = parse(cg_text_get(&a.text));
    cr_assert(a.count == 6 && b.count == 6 && a.mixup == 0.2 && b.mixup == 0.2);
    for (int i = 0; i < a.count; i++) {
        cr_assert(a.change[i].kind == b.change[i].kind && a.change[i].amount == b.change[i].amount);
    }
    cr_assert_str_eq(cg_text_get(&a.text), cg_text_get(&b.text));
    cg_augment_free(&a);
    cg_augment_free(&b);
}

Test(augment, texts_that_make_no_sense_are_refused) {
    const cg_shape columns = {.dim = {4}, .rank = 1};
    expect_failure("crop", &shape, CG_ERR_SYNTAX, "expected");
    expect_failure("Crop(4)", &shape, CG_ERR_NAME, "crop");
    expect_failure("crop()", &shape, CG_ERR_ARGUMENT, "padding");
    expect_failure("crop(0)", &shape, CG_ERR_ARGUMENT, "crop");
    expect_failure("crop(9)", &shape, CG_ERR_ARGUMENT, "padding must be above 0 and at most 8, less than the image");
    expect_failure("flip(1.5)", &shape, CG_ERR_ARGUMENT, "p must be above 0 and at most 1");
    expect_failure("rotate(-1)", &shape, CG_ERR_ARGUMENT, "degrees must be above 0");
    expect_failure("shift(20)", &shape, CG_ERR_ARGUMENT, "pixels must be above 0");
    expect_failure("cutout(2.5)", &shape, CG_ERR_ARGUMENT, "size");
    expect_failure("mixup(1.5)", &shape, CG_ERR_ARGUMENT, "alpha must be above 0 and at most 1");
    expect_failure("mixup(0.2), crop(1)", &shape, CG_ERR_ARGUMENT, "mixup comes last");
    expect_failure("flip()", &columns, CG_ERR_ARGUMENT, "flip is for images, these rows are [4]");
    expect_failure("flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip(),flip()", &shape,
                   CG_ERR_ARGUMENT, "more than 12");
    cg_augment mixup;
    cr_assert(cg_augment_parse("mixup(1)", &columns, &mixup) == CG_OK);
    cg_augment_free(&mixup);
}

Test(augment, a_flip_mirrors_every_row_as_often_as_it_says) {
    float x[2 * AREA], changed[2 * AREA];
    cg_augment always = parse("flip(1)"), often = parse("flip(0.25)");
    fill(x);
    change(&always, 0, x, changed);
    for (int i = 0; i < 2 * AREA; i++) {
        cr_assert(changed[i] == x[i / WIDTH * WIDTH + WIDTH - 1 - i % WIDTH]);
    }
    int flipped = 0;
    for (int64_t row = 0; row < 4000; row++) {
        change(&often, row, x, changed);
        flipped += changed[0] != x[0];
    }
    cr_assert(abs(flipped - 1000) < 110, "%d of 4000", flipped); /* 4 standard deviations */
    cg_augment_free(&always);
    cg_augment_free(&often);
}

/* Whether `changed` is x moved by so much, black where nothing came from. */
static bool is_moved(const float *x, const float *changed, int down, int right) {
    for (int i = 0; i < 2 * AREA; i++) {
        int row = i % AREA / WIDTH + down, column = i % WIDTH + right;
        bool inside = row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH;
        if (changed[i] != (inside ? x[i / AREA * AREA + row * WIDTH + column] : black[i / AREA])) {
            return false;
        }
    }
    return true;
}

Test(augment, a_crop_moves_by_every_number_of_pixels_up_to_its_padding) {
    float x[2 * AREA], changed[2 * AREA];
    cg_augment augment = parse("crop(2)");
    int seen[25] = {0};
    fill(x);
    for (int64_t row = 0; row < 1000; row++) {
        change(&augment, row, x, changed);
        int found = -1;
        for (int k = 0; k < 25; k++) {
            found = is_moved(x, changed, k / 5 - 2, k % 5 - 2) ? k : found;
        }
        cr_assert(found >= 0);
        seen[found]++;
    }
    for (int k = 0; k < 25; k++) {
        cr_assert(seen[k] > 12 && seen[k] < 80, "%d times %d", seen[k], k); /* 40 expected */
    }
    cg_augment_free(&augment);
}

/* Sum of what is above black, and its middle. */
static void weigh(const float *plane, double *sum, double *y, double *x) {
    *sum = *y = *x = 0;
    for (int i = 0; i < AREA; i++) {
        double value = (double)plane[i] - (double)black[0];
        *sum += value;
        *y += value * (i / WIDTH);
        *x += value * (i % WIDTH);
    }
    *y /= *sum;
    *x /= *sum;
}

/* A spot of 2 x 2 pixels whose middle is (3.5, 5.5), the rest black. */
static void draw_spot(float *image) {
    for (int i = 0; i < 2 * AREA; i++) {
        bool spot = i < AREA && i / WIDTH >= 3 && i / WIDTH <= 4 && i % WIDTH >= 5 && i % WIDTH <= 6;
        image[i] = spot ? 3 : black[i / AREA];
    }
}

Test(augment, a_shift_moves_by_parts_of_a_pixel_and_loses_nothing) {
    float image[2 * AREA], changed[2 * AREA];
    cg_augment augment = parse("shift(1.5)");
    double sum, y, x, whole, far = 0;
    draw_spot(image);
    weigh(image, &whole, &y, &x);
    cr_assert(y == 3.5 && x == 5.5);
    for (int64_t row = 0; row < 200; row++) {
        change(&augment, row, image, changed);
        weigh(changed, &sum, &y, &x);
        cr_assert(fabs(sum - whole) < 1e-4 && fabs(y - 3.5) < 1.5001 && fabs(x - 5.5) < 1.5001, "%g %g", y, x);
        far = fmax(far, fabs(y - 3.5));
        cr_assert(changed[AREA] == black[1], "the other channel is black all over");
    }
    cr_assert(far > 1.4);
    cg_augment_free(&augment);
}

Test(augment, a_rotation_keeps_the_distance_from_the_middle) {
    float image[2 * AREA], changed[2 * AREA];
    cg_augment augment = parse("rotate(30)");
    double sum, y, x, largest = 0, smallest = 0;
    draw_spot(image); /* 0.5 above and 0.5 right of the middle (4, 5): so at -45 degrees */
    for (int64_t row = 0; row < 200; row++) {
        change(&augment, row, image, changed);
        weigh(changed, &sum, &y, &x);
        double angle = (atan2(y - 4, x - 5) + acos(-1.0) / 4) * 180 / acos(-1.0);
        cr_assert(fabs(hypot(y - 4, x - 5) - hypot(0.5, 0.5)) < 0.05, "%g", hypot(y - 4, x - 5));
        cr_assert(fabs(angle) < 32, "%g degrees", angle); /* pixels are coarse: two degrees */
        largest = fmax(largest, angle);
        smallest = fmin(smallest, angle);
    }
    cr_assert(largest > 25 && smallest < -25, "%g to %g", smallest, largest);
    cg_augment_free(&augment);
}

Test(augment, a_cutout_is_a_square_of_the_mean) {
    float x[2 * AREA], changed[2 * AREA];
    cg_augment augment = parse("cutout(3)");
    int whole = 0;
    fill(x);
    for (int64_t row = 0; row < 300; row++) {
        change(&augment, row, x, changed);
        int zeros[2] = {0}, top = HEIGHT, bottom = -1, left = WIDTH, right = -1;
        for (int i = 0; i < 2 * AREA; i++) {
            cr_assert(changed[i] == 0 || changed[i] == x[i]);
            if (changed[i] == 0) {
                int line = i % AREA / WIDTH, column = i % WIDTH;
                zeros[i / AREA]++;
                top = line < top ? line : top;
                bottom = line > bottom ? line : bottom;
                left = column < left ? column : left;
                right = column > right ? column : right;
            }
        }
        cr_assert(zeros[0] == zeros[1] && zeros[0] == (bottom - top + 1) * (right - left + 1));
        cr_assert(bottom - top < 3 && right - left < 3 && zeros[0] >= 4);
        whole += zeros[0] == 9;
    }
    cr_assert(whole > 100 && whole < 300, "%d", whole);
    cg_augment_free(&augment);
}

/* Beta(a, a) has the mean 1/2 and the variance 1 / (8 a + 4). */
Test(augment, shares_of_a_mixup_are_of_a_beta_distribution) {
    static const char *const texts[] = {"mixup(1)", "mixup(0.2)", "mixup(0.01)"};
    for (int k = 0; k < 3; k++) {
        cg_augment augment = parse(texts[k]);
        double sum = 0, squares = 0, variance = 1 / (8 * augment.mixup + 4);
        enum { COUNT = 20000 };
        for (int64_t i = 0; i < COUNT; i++) {
            double share = cg_augment_share(&augment, (cg_draws){.seed = 3, .epoch = 1}, i);
            cr_assert(share >= 0 && share <= 1);
            sum += share;
            squares += (share - 0.5) * (share - 0.5);
        }
        cr_assert(fabs(sum / COUNT - 0.5) < 4 * sqrt(variance / COUNT), "%s: mean %g", texts[k], sum / COUNT);
        cr_assert(fabs(squares / COUNT - variance) < 0.05 * variance, "%s: %g", texts[k], squares / COUNT);
        cg_augment_free(&augment);
    }
}

Test(augment, mixing_takes_the_next_row_and_the_last_the_first) {
    float x[6] = {1, 2, 10, 20, 100, 200}, scratch[2];
    cg_augment_mix(0.75, 3, 2, x, scratch);
    static const float expected[6] = {3.25f, 6.5f, 32.5f, 65, 75.25f, 150.5f};
    cr_assert(memcmp(x, expected, sizeof x) == 0);
}

typedef struct fixture {
    cg_device *device;
    cg_data *data;
    cg_loader *loader;
} fixture;

static fixture open(const char *augment, int workers, cg_split split) {
    fixture f = {.device = test_device_open()};
    const cg_data_options options = {.valid = 0.5, .augment = augment, .workers = workers};
    cr_assert(cg_data_load("digits", &options, &f.data) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_loader_create(f.device, f.data, split, 64, &f.loader) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_loader_augment(f.loader) == CG_OK, "%s", cg_error_message());
    return f;
}

static void close(fixture *f) {
    cg_loader_destroy(f->loader);
    cg_data_destroy(f->data);
    cg_device_close(f->device);
}

/* The first `count` batches of 64 rows after some that are skipped: pixels and what is learnt. */
static void read_batches(const fixture *f, uint64_t epoch, int64_t skip, int count, float *x, float *y) {
    cr_assert(cg_loader_start(f->loader, true, 5, epoch) == CG_OK);
    cg_loader_skip(f->loader, skip);
    for (int i = 0; i < count; i++) {
        cg_batch batch;
        cr_assert(cg_loader_next(f->loader, &batch) == CG_OK && batch.n == 64, "%s", cg_error_message());
        cr_assert(cg_shape_equal(cg_tensor_shape(batch.y), &CG_SHAPE(64, 10)));
        cr_assert(cg_tensor_read_f32(batch.x, x + i * 64 * 64, 64 * 64) == CG_OK);
        cr_assert(cg_tensor_read_f32(batch.y, y + i * 640, 640) == CG_OK);
    }
}

#define EVERYTHING "crop(2), flip(), rotate(10), shift(1), cutout(3), mixup(0.5)"

Test(augment, batches_depend_on_seed_epoch_and_row_alone) {
    static float x[3][4 * 64 * 64], y[3][4 * 640];
    fixture f = open(EVERYTHING, -1, CG_SPLIT_TRAIN);
    read_batches(&f, 1, 0, 4, x[0], y[0]);
    read_batches(&f, 1, 2, 2, x[1], y[1]);
    cr_assert(memcmp(x[1], x[0] + 2 * 64 * 64, 2 * 64 * 64 * sizeof(float)) == 0, "a resumed pass is the same");
    cr_assert(memcmp(y[1], y[0] + 2 * 640, 2 * 640 * sizeof(float)) == 0);
    read_batches(&f, 2, 0, 4, x[2], y[2]);
    cr_assert(memcmp(x[2], x[0], sizeof x[0]) != 0 && memcmp(y[2], y[0], sizeof y[0]) != 0);
    close(&f);
    for (int i = 0; i < 4 * 64; i++) {
        double sum = 0;
        for (int c = 0; c < 10; c++) {
            sum += (double)y[0][i * 10 + c];
        }
        cr_assert(fabs(sum - 1) < 1e-6);
    }
    for (int workers = 1; workers <= 3; workers += 2) {
        f = open(EVERYTHING, workers, CG_SPLIT_TRAIN);
        read_batches(&f, 1, 0, 4, x[1], y[1]);
        cr_assert(memcmp(x[1], x[0], sizeof x[0]) == 0 && memcmp(y[1], y[0], sizeof y[0]) == 0, "%d threads", workers);
        close(&f);
    }
}

Test(augment, data_without_one_and_loaders_that_are_not_told_are_as_before) {
    fixture plain = open(NULL, 1, CG_SPLIT_TRAIN), changed = open("flip(1)", 1, CG_SPLIT_TRAIN);
    cr_assert(cg_data_describe(plain.data)->augment == NULL);
    cr_assert_str_eq(cg_data_describe(changed.data)->augment, "flip(1)");
    float a[64 * 64], b[64 * 64], c[64 * 64];
    int64_t y[64], z[64];
    cg_batch batch;
    cg_loader *untold;
    cr_assert(cg_loader_create(changed.device, changed.data, CG_SPLIT_TRAIN, 64, &untold) == CG_OK);
    cr_assert(cg_loader_next(plain.loader, &batch) == CG_OK && cg_tensor_read_f32(batch.x, a, 64 * 64) == CG_OK);
    cr_assert(cg_tensor_read(batch.y, y, sizeof y) == CG_OK);
    cr_assert(cg_loader_next(changed.loader, &batch) == CG_OK && cg_tensor_read_f32(batch.x, b, 64 * 64) == CG_OK);
    cr_assert(cg_tensor_read(batch.y, z, sizeof z) == CG_OK);
    cr_assert(cg_loader_next(untold, &batch) == CG_OK && cg_tensor_read_f32(batch.x, c, 64 * 64) == CG_OK);
    cr_assert(memcmp(a, c, sizeof a) == 0 && memcmp(y, z, sizeof y) == 0);
    for (int i = 0; i < 64 * 64; i++) {
        cr_assert(b[i] == a[i / 8 * 8 + 7 - i % 8]);
    }
    cg_loader_destroy(untold);
    close(&plain);
    close(&changed);
}
