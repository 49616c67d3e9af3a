/* Data sets: what MNIST and the digits hold, the split, the limit, the normalisation, and IDX files that are wrong. */
#define _POSIX_C_SOURCE 200809L
#include <clgrad/data.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "alloc.h"
#include "files.h"

static cg_data *load(const char *source, const cg_data_options *options) {
    cg_data *data;
    cg_status status = cg_data_load(source, options, &data);
    cr_assert(status == CG_OK, "%s", cg_error_message());
    return data;
}

static void expect_load_failure(const char *source, const cg_data_options *options, cg_status status,
                                const char *part) {
    cg_data *data = (cg_data *)1;
    test_expect_failure(cg_data_load(source, options, &data), status, part);
    cr_assert(data == NULL);
}

/* How often each class is in a split. */
static void count_classes(const cg_data *data, cg_split split, int64_t counts[10]) {
    memset(counts, 0, 10 * sizeof *counts);
    for (int64_t row = 0; row < cg_data_describe(data)->rows[split]; row++) {
        int64_t y;
        cr_assert(cg_data_rows(data, split, &row, 1, NULL, &y) == CG_OK);
        cr_assert(y >= 0 && y < 10);
        counts[y]++;
    }
}

/* Mean and standard deviation of the normalised values of a split. */
static void moments(const cg_data *data, cg_split split, double *mean, double *std) {
    const cg_data_info *info = cg_data_describe(data);
    int64_t size = cg_shape_numel(&info->sample);
    float *x = malloc((size_t)size * sizeof *x);
    double sum = 0, squares = 0, n = (double)(size * info->rows[split]);
    for (int64_t row = 0; row < info->rows[split]; row++) {
        cr_assert(cg_data_rows(data, split, &row, 1, x, NULL) == CG_OK);
        for (int64_t i = 0; i < size; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
    }
    free(x);
    *mean = sum / n;
    *std = sqrt(squares / n - *mean * *mean);
}

Test(data, the_digits_are_1797_images_with_a_fifth_for_validation) {
    cg_data *data = load("digits", NULL);
    const cg_data_info *info = cg_data_describe(data);
    cr_assert_str_eq(info->name, "digits");
    cr_assert(cg_shape_equal(&info->sample, &CG_SHAPE(1, 8, 8)) && info->classes == 10 && info->channels == 1);
    cr_assert(info->rows[0] == 1438 && info->rows[1] == 359 && info->rows[2] == 0);
    cr_assert(info->valid_random && info->valid == 0.2);
    cr_assert_str_eq(cg_data_class_name(data, 7), "7");
    cr_assert(cg_data_class_name(data, 10) == NULL && cg_data_class_name(data, -1) == NULL);
    double mean, std;
    moments(data, CG_SPLIT_TRAIN, &mean, &std);
    cr_assert(fabs(mean) < 1e-6 && fabs(std - 1) < 1e-6, "mean %g, std %g", mean, std);
    cg_data_destroy(data);
}

/* The numbers are those of the data set's publication: rows per class, and the mean pixel 4.884. */
Test(data, the_digits_have_the_published_classes) {
    cg_data_options options = {.normalize = CG_NORMALIZE_NONE};
    cg_data *data = load("digits", &options);
    static const int64_t published[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
    int64_t counts[10];
    count_classes(data, CG_SPLIT_TRAIN, counts);
    cr_assert(memcmp(counts, published, sizeof counts) == 0);
    double mean, std;
    moments(data, CG_SPLIT_TRAIN, &mean, &std);
    cr_assert(fabs(mean * 16 - 4.884) < 1e-3 && fabs(std * 16 - 6.017) < 1e-3, "%g %g", mean * 16, std * 16);
    cg_data_destroy(data);
}

Test(data, the_first_digit_is_a_zero) {
    static const double mean = 0.5, deviation = 0.25;
    static const float row[8] = {0, 0, 5, 13, 9, 1, 0, 0};
    cg_data_options options = {.normalize = CG_NORMALIZE_GIVEN, .channels = 1, .mean = &mean, .std = &deviation};
    cg_data *data = load("digits", &options);
    float x[64], pixels[64];
    int64_t y, first = 0;
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, &first, 1, x, &y) == CG_OK && y == 0);
    cr_assert(cg_data_pixels(data, CG_SPLIT_TRAIN, 0, pixels) == CG_OK);
    for (int i = 0; i < 8; i++) {
        cr_assert(pixels[i] == row[i] / 16 && x[i] == (row[i] / 16 - 0.5f) / 0.25f);
    }
    cg_data_destroy(data);
}

/* The rows of a split as one number: differs where the rows differ. */
static double fingerprint(const cg_data *data, cg_split split) {
    double sum = 0;
    for (int64_t row = 0; row < cg_data_describe(data)->rows[split]; row++) {
        float pixels[64];
        cr_assert(cg_data_pixels(data, split, row, pixels) == CG_OK);
        for (int i = 0; i < 64; i++) {
            sum += (double)pixels[i] * (double)(i + 1) * (double)(row + 1);
        }
    }
    return sum;
}

Test(data, the_seed_draws_the_validation_rows) {
    cg_data_options options = {.valid = -1, .normalize = CG_NORMALIZE_NONE};
    cg_data *a = load("digits", &options), *b = load("digits", &options);
    options.seed = 1;
    cg_data *other = load("digits", &options);
    cr_assert(fingerprint(a, CG_SPLIT_VALID) == fingerprint(b, CG_SPLIT_VALID));
    cr_assert(fingerprint(a, CG_SPLIT_VALID) != fingerprint(other, CG_SPLIT_VALID));
    int64_t train[10], valid[10];
    count_classes(other, CG_SPLIT_TRAIN, train);
    count_classes(other, CG_SPLIT_VALID, valid);
    cr_assert(train[0] + valid[0] == 178 && train[9] + valid[9] == 180, "every row is in one part");
    cg_data_destroy(a);
    cg_data_destroy(b);
    cg_data_destroy(other);
}

Test(data, the_limit_comes_after_the_split) {
    cg_data_options options = {.valid = -1, .limit = 100};
    cg_data *limited = load("digits", &options);
    options.limit = 0;
    cg_data *whole = load("digits", &options);
    const cg_data_info *info = cg_data_describe(limited);
    cr_assert(info->rows[0] == 100 && info->rows[1] == 359);
    cr_assert(fingerprint(limited, CG_SPLIT_VALID) == fingerprint(whole, CG_SPLIT_VALID));
    for (int64_t row = 0; row < 100; row++) {
        float a[64], b[64];
        cr_assert(cg_data_pixels(limited, CG_SPLIT_TRAIN, row, a) == CG_OK);
        cr_assert(cg_data_pixels(whole, CG_SPLIT_TRAIN, row, b) == CG_OK);
        cr_assert(memcmp(a, b, sizeof a) == 0);
    }
    double mean, std;
    moments(limited, CG_SPLIT_TRAIN, &mean, &std);
    cr_assert(fabs(mean) < 1e-6 && fabs(std - 1) < 1e-6, "normalised over the rows that are left");
    options.limit = 5000;
    cg_data *more = load("digits", &options);
    cr_assert(cg_data_describe(more)->rows[0] == 1438, "a limit above the number of rows keeps all");
    cg_data_destroy(limited);
    cg_data_destroy(whole);
    cg_data_destroy(more);
}

Test(data, a_share_of_0_leaves_no_validation) {
    cg_data *data = load("digits", &(cg_data_options){.valid = 0});
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(info->rows[0] == 1797 && info->rows[1] == 0 && info->valid == 0);
    cg_data_destroy(data);
}

Test(data, options_that_leave_nothing_are_refused) {
    expect_load_failure("digits", &(cg_data_options){.valid = 1}, CG_ERR_ARGUMENT, "share of 1:");
    expect_load_failure("digits", &(cg_data_options){.valid = NAN}, CG_ERR_ARGUMENT, "share of nan");
    expect_load_failure("digits", &(cg_data_options){.valid = 0.9999}, CG_ERR_ARGUMENT, "leaves no row for training");
    expect_load_failure("digits", &(cg_data_options){.valid = 1e-4}, CG_ERR_ARGUMENT, "leaves no row for validation");
    expect_load_failure("digits", &(cg_data_options){.limit = -1}, CG_ERR_ARGUMENT, "limit of -1");
    double mean[3] = {0}, std[3] = {0};
    cg_data_options options = {.normalize = CG_NORMALIZE_GIVEN, .channels = 1, .mean = mean, .std = std};
    expect_load_failure("digits", &options, CG_ERR_ARGUMENT, "standard deviation of 0");
    std[0] = INFINITY;
    expect_load_failure("digits", &options, CG_ERR_ARGUMENT, "standard deviation of inf");
    options.channels = 3;
    expect_load_failure("digits", &options, CG_ERR_ARGUMENT, "3 pairs");
}

Test(data, a_row_out_of_range_is_refused) {
    cg_data *data = load("digits", NULL);
    int64_t rows[2] = {0, 359}, y[2];
    float pixels[64];
    test_expect_failure(cg_data_rows(data, CG_SPLIT_VALID, rows, 2, NULL, y), CG_ERR_INDEX, "row 359");
    test_expect_failure(cg_data_pixels(data, CG_SPLIT_TEST, 0, pixels), CG_ERR_INDEX, "row 0 of the test rows");
    test_expect_failure(cg_data_pixels(data, CG_SPLIT_TRAIN, -1, pixels), CG_ERR_INDEX, "row -1");
    cg_data_destroy(data);
}

Test(data, mnist_is_50000_10000_10000_with_its_mean_and_deviation) {
    cg_data *data = load("mnist", NULL);
    const cg_data_info *info = cg_data_describe(data);
    cr_assert_str_eq(info->name, "mnist");
    cr_assert(cg_shape_equal(&info->sample, &CG_SHAPE(1, 28, 28)) && info->classes == 10);
    cr_assert(info->rows[0] == 50000 && info->rows[1] == 10000 && info->rows[2] == 10000);
    cr_assert(!info->valid_random);
    cr_assert(fabs(info->mean[0] - 0.1310) < 5e-5 && fabs(info->std[0] - 0.3085) < 5e-5, "%.6f %.6f", info->mean[0],
              info->std[0]);
    double mean, std;
    moments(data, CG_SPLIT_TRAIN, &mean, &std);
    cr_assert(fabs(mean) < 1e-3 && fabs(std - 1) < 1e-3, "mean %g, std %g", mean, std);
    int64_t y[3], rows[3] = {0, 1, 2};
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 3, NULL, y) == CG_OK);
    cr_assert(y[0] == 5 && y[1] == 0 && y[2] == 4);
    cr_assert(cg_data_rows(data, CG_SPLIT_TEST, rows, 3, NULL, y) == CG_OK);
    cr_assert(y[0] == 7 && y[1] == 2 && y[2] == 1);
    int64_t counts[10];
    count_classes(data, CG_SPLIT_TEST, counts);
    cr_assert(counts[0] == 980 && counts[1] == 1135 && counts[9] == 1009);
    cg_data_destroy(data);
}

/* A small data set: six images of 2 x 3 pixels 0 .. 35, classes 0 1 2 0 1 2, and two to test. */
static const unsigned char train_images[16 + 36] = {
    0,  0,  8,  3,  0,  0,  0,  6,  0,  0,  0,  2,  0,  0,  0,  3,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35};
static const unsigned char train_classes[8 + 6] = {0, 0, 8, 1, 0, 0, 0, 6, 0, 1, 2, 0, 1, 2};
static const unsigned char test_images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0,   0,
                                                   0, 3, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 255, 0};
static const unsigned char test_classes[8 + 2] = {0, 0, 8, 1, 0, 0, 0, 2, 2, 0};

#define TRAIN_IMAGES "train-images-idx3-ubyte"
#define TRAIN_CLASSES "train-labels-idx1-ubyte"
#define TEST_IMAGES "t10k-images-idx3-ubyte"
#define TEST_CLASSES "t10k-labels-idx1-ubyte"

static test_folder small_data(void) {
    test_folder folder = test_folder_make();
    test_file_write(&folder, TRAIN_IMAGES, train_images, sizeof train_images);
    test_file_write(&folder, TRAIN_CLASSES, train_classes, sizeof train_classes);
    test_file_write(&folder, TEST_IMAGES, test_images, sizeof test_images);
    test_file_write(&folder, TEST_CLASSES, test_classes, sizeof test_classes);
    return folder;
}

static void pack(const test_folder *folder, const char *name, const void *bytes, unsigned size) {
    char path[TEST_PATH_SIZE];
    gzFile stream = gzopen(test_path(folder, name, path), "wb");
    cr_assert(stream != NULL && gzwrite(stream, bytes, size) == (int)size && gzclose(stream) == Z_OK);
}

static void remove_file(const test_folder *folder, const char *name) {
    char path[TEST_PATH_SIZE];
    cr_assert(remove(test_path(folder, name, path)) == 0);
}

static void expect_small_data(const test_folder *folder) {
    cg_data_options options = {.valid = -1, .normalize = CG_NORMALIZE_NONE};
    cg_data *data = load(folder->path, &options);
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(cg_shape_equal(&info->sample, &CG_SHAPE(1, 2, 3)) && info->classes == 3);
    cr_assert(info->rows[0] == 5 && info->rows[1] == 1 && info->rows[2] == 2, "a sixth, the last row");
    cr_assert_str_eq(info->name, strrchr(folder->path, '/') + 1);
    int64_t rows[2] = {4, 1}, y[2];
    float x[12];
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 2, x, y) == CG_OK);
    cr_assert(y[0] == 1 && y[1] == 1 && x[0] == 24 / 255.0f && x[11] == 11 / 255.0f);
    cr_assert(cg_data_pixels(data, CG_SPLIT_VALID, 0, x) == CG_OK && x[5] == 35 / 255.0f);
    cr_assert(cg_data_pixels(data, CG_SPLIT_TEST, 1, x) == CG_OK && x[4] == 1);
    cg_data_destroy(data);
}

Test(data, a_folder_of_idx_files_is_read_packed_or_not) {
    test_folder folder = small_data();
    expect_small_data(&folder);
    pack(&folder, TRAIN_IMAGES ".gz", train_images, sizeof train_images);
    pack(&folder, TEST_CLASSES ".gz", test_classes, sizeof test_classes);
    remove_file(&folder, TRAIN_IMAGES);
    remove_file(&folder, TEST_CLASSES);
    expect_small_data(&folder);
    test_folder_remove(&folder);
}

Test(data, the_test_files_may_be_missing_but_only_both) {
    test_folder folder = small_data();
    remove_file(&folder, TEST_IMAGES);
    expect_load_failure(folder.path, NULL, CG_ERR_FILE, "has no " TEST_IMAGES);
    remove_file(&folder, TEST_CLASSES);
    cg_data *data = load(folder.path, NULL);
    cr_assert(cg_data_describe(data)->rows[CG_SPLIT_TEST] == 0);
    cg_data_destroy(data);
    remove_file(&folder, TRAIN_CLASSES);
    expect_load_failure(folder.path, NULL, CG_ERR_FILE, "has no " TRAIN_CLASSES);
    test_folder_remove(&folder);
}

/* A training file is replaced: the data set is refused with this message. */
static void expect_bad_file(const char *name, const void *bytes, size_t size, cg_status status, const char *part) {
    test_folder folder = small_data();
    test_file_write(&folder, name, bytes, size);
    expect_load_failure(folder.path, NULL, status, part);
    cr_assert(strstr(cg_error_message(), folder.path) != NULL);
    test_folder_remove(&folder);
}

Test(data, idx_files_cut_anywhere_are_refused) {
    for (size_t size = 0; size < sizeof train_images; size++) {
        expect_bad_file(TRAIN_IMAGES, train_images, size, CG_ERR_FORMAT,
                        size < 16 ? "ends inside its header" : "bytes after its header, which promises 36");
    }
    for (size_t size = 0; size < sizeof train_classes; size++) {
        expect_bad_file(TRAIN_CLASSES, train_classes, size, CG_ERR_FORMAT,
                        size < 8 ? "ends inside its header" : "bytes after its header, which promises 6");
    }
}

Test(data, packed_idx_files_cut_or_changed_anywhere_are_refused) {
    test_folder folder = small_data();
    pack(&folder, TRAIN_IMAGES ".gz", train_images, sizeof train_images);
    size_t size;
    char *bytes = test_file_read(&folder, TRAIN_IMAGES ".gz", &size);
    for (size_t i = 2; i < size; i++) { /* two bytes tell a packed file from one that is not */
        expect_bad_file(TRAIN_IMAGES, bytes, i, CG_ERR_FORMAT, TRAIN_IMAGES);
    }
    bytes[size - 6] ^= 1; /* the check sum */
    expect_bad_file(TRAIN_IMAGES, bytes, size, CG_ERR_FORMAT, "gzip data is damaged");
    free(bytes);
    test_folder_remove(&folder);
}

static void expect_changed_byte(const char *name, const unsigned char *bytes, size_t size, size_t place,
                                unsigned char value, const char *part) {
    unsigned char copy[64];
    memcpy(copy, bytes, size);
    copy[place] = value;
    expect_bad_file(name, copy, size, CG_ERR_FORMAT, part);
}

Test(data, idx_headers_that_are_wrong_are_refused) {
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 0, 1, "magic number 0x01000803");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 2, 13, "magic number 0x00000d03");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 3, 1, "a file of images begins with 0x00000803");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 7, 0, "dimension 0 of 3 is 0");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 7, 7, "has 36 bytes after its header, which promises 42");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 7, 5, "goes on after the 30 bytes");
    expect_changed_byte(TRAIN_IMAGES, train_images, 52, 4, 255, "which promises 25669140516");
    expect_changed_byte(TRAIN_CLASSES, train_classes, 14, 3, 3, "a file of classes begins with 0x00000801");
    expect_changed_byte(TEST_IMAGES, test_images, 28, 11, 3, "which promises 18");
    expect_changed_byte(TEST_CLASSES, test_classes, 10, 9, 3, "row 1 of " TEST_CLASSES " has the class 3");
    unsigned char huge[52];
    memcpy(huge, train_images, sizeof huge);
    memset(huge + 4, 255, 12);
    expect_bad_file(TRAIN_IMAGES, huge, sizeof huge, CG_ERR_FORMAT, "dimension 1 of 3 is 4294967295: too large");
    static const unsigned char five[8 + 5] = {0, 0, 8, 1, 0, 0, 0, 5, 0, 1, 2, 0, 1};
    expect_bad_file(TRAIN_CLASSES, five, sizeof five, CG_ERR_FORMAT, "has 6 images");
    static const unsigned char other[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2};
    expect_bad_file(TEST_IMAGES, other, sizeof other, CG_ERR_FORMAT, "is [1, 3, 2]");
}

Test(data, images_with_channels_are_normalised_one_by_one) {
    test_folder folder = small_data();
    remove_file(&folder, TEST_IMAGES);
    remove_file(&folder, TEST_CLASSES);
    unsigned char images[20 + 36] = {0, 0, 8, 4, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3};
    for (int i = 0; i < 36; i++) {
        images[20 + i] = i / 3 % 2 == 0 ? 7 : (unsigned char)i; /* the first channel is constant */
    }
    test_file_write(&folder, TRAIN_IMAGES, images, sizeof images);
    cg_data *data = load(folder.path, &(cg_data_options){0});
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(cg_shape_equal(&info->sample, &CG_SHAPE(2, 1, 3)) && info->channels == 2);
    cr_assert(fabs(info->mean[0] - 7 / 255.0) < 1e-12 && info->std[0] == 1, "a constant channel is only shifted");
    cr_assert(fabs(info->mean[1] - 19 / 255.0) < 1e-12 && info->std[1] > 0.03);
    float x[6];
    int64_t row = 0;
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, &row, 1, x, NULL) == CG_OK);
    cr_assert(fabsf(x[0]) < 1e-6f && fabs((double)x[3] - (3 - 19) / 255.0 / info->std[1]) < 1e-6);
    cg_data_destroy(data);
    const double half[3] = {0.5}, two[3] = {2};
    cg_data_options given = {.normalize = CG_NORMALIZE_GIVEN, .channels = 1, .mean = half, .std = two};
    data = load(folder.path, &given);
    cr_assert(cg_data_describe(data)->std[1] == 2, "one pair serves all channels");
    cg_data_destroy(data);
    given.channels = 3;
    expect_load_failure(folder.path, &given, CG_ERR_ARGUMENT, "3 pairs of mean and standard deviation are given for 2");
    images[11] = 17;
    test_file_write(&folder, TRAIN_IMAGES, images, sizeof images);
    expect_load_failure(folder.path, NULL, CG_ERR_FORMAT, "which promises 306");
    test_folder_remove(&folder);
}

Test(data, paths_that_are_no_data_are_refused) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    expect_load_failure(test_path(&folder, "nothing", path), NULL, CG_ERR_FILE, "nothing\": it is not digits or mnist");
    expect_load_failure(folder.path, NULL, CG_ERR_FORMAT, "has neither MNIST's IDX files nor folders of images");
    test_file_write(&folder, "table.xls", "1,2\n", 4);
    expect_load_failure(test_path(&folder, "table.xls", path), NULL, CG_ERR_FILE, "a file must be .csv, .tsv, .npy or");
    cr_assert(mkdir(test_path(&folder, TRAIN_IMAGES, path), 0700) == 0);
    test_file_write(&folder, TRAIN_CLASSES, train_classes, sizeof train_classes);
    expect_load_failure(folder.path, NULL, CG_ERR_FILE, "not a regular file");
    test_folder_remove(&folder);
}

Test(data, mnist_is_searched_first_where_clgrad_data_says) {
    test_folder small = small_data(), folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    cr_assert(rename(small.path, test_path(&folder, "mnist", path)) == 0);
    cr_assert(setenv("CLGRAD_DATA", folder.path, 1) == 0);
    cg_data *data = load("mnist", NULL);
    cr_assert(cg_data_describe(data)->rows[0] == 5);
    cr_assert_str_eq(cg_data_describe(data)->name, "mnist");
    cg_data_destroy(data);
    test_folder_remove(&folder);
}

/* Each allocation fails once. */
static void expect_survival(const char *source) {
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        cg_data *data;
        status = cg_data_load(source, NULL, &data);
        cg_alloc_fail_at(0);
        cr_assert(call < 300 && (status == CG_OK || status == CG_ERR_MEMORY), "%s", cg_error_message());
        cg_data_destroy(data);
    }
}

Test(data, memory_that_runs_out_is_survived) {
    test_folder folder = small_data();
    char path[TEST_PATH_SIZE];
    expect_survival(folder.path);
    static const char table[] = "a,b,kind\n1,2,x\n3,4,\"y, or \"\"z\"\"\"\n5,6,x\n7,8,x\n9,10,x\n";
    test_file_write(&folder, "table.csv", table, sizeof table - 1);
    expect_survival(test_path(&folder, "table.csv", path));
    test_folder_remove(&folder);
}

/* A table of 3000 rows of 4 numbers: 96,000 bytes. */
static void write_long_table(const test_folder *folder) {
    char *text = malloc(3000 * 40);
    size_t length = 0;
    for (int i = 0; i < 3000; i++) {
        length += (size_t)sprintf(text + length, "%d,%d,%d.5,%d,%c\n", i, -i, i, i * i % 977, "ab"[i % 2]);
    }
    test_file_write(folder, "long.csv", text, length);
    free(text);
}

Test(data, a_table_larger_than_the_memory_for_it_is_mapped_from_a_file) {
    test_folder folder = test_folder_make(), temporary = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_long_table(&folder);
    test_path(&folder, "long.csv", path);
    cr_assert(setenv("TMPDIR", temporary.path, 1) == 0);
    cg_data *memory = load(path, NULL);
    static float a[3000 * 4], b[3000 * 4];
    static int64_t rows[2400], y[2400], z[2400];
    for (int64_t i = 0; i < 2400; i++) {
        rows[i] = i;
    }
    cr_assert(!cg_data_describe(memory)->streamed);
    cr_assert(cg_data_rows(memory, CG_SPLIT_TRAIN, rows, 2400, a, y) == CG_OK);
    for (int64_t limit = 1; limit < 100000; limit *= 40) {
        const cg_data_options little = {.valid = -1, .memory = limit};
        cg_data *mapped = load(path, &little);
        cr_assert(cg_data_describe(mapped)->streamed && test_folder_count(&temporary) == 0, "the file has no name");
        cr_assert(cg_data_rows(mapped, CG_SPLIT_TRAIN, rows, 2400, b, z) == CG_OK);
        cr_assert(memcmp(a, b, 2400 * 4 * sizeof *a) == 0 && memcmp(y, z, sizeof y) == 0);
        cg_data_destroy(mapped);
    }
    cr_assert(setenv("TMPDIR", "/nowhere", 1) == 0);
    const cg_data_options little = {.valid = -1, .memory = 1};
    expect_load_failure(path, &little, CG_ERR_FILE, "no file for it can be made in /nowhere");
    cg_data_destroy(memory);
    test_folder_remove(&folder);
    test_folder_remove(&temporary);
}

Test(data, a_table_keeps_doubles_until_they_are_normalised) {
    static const char table[] =
        "\xEF\xBB\xBFtime, \"the \"\"kind\"\"\",v\r\n1700000000.25,b,-1\r\n\r\n1700000000.75 ,a,1\r\n"
        "1700000000.25,b , -1e0";
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_file_write(&folder, "table.csv", table, sizeof table - 1);
    const cg_data_options options = {.valid = 0, .target = "the \"kind\"", .limit = 2};
    cg_data *data = load(test_path(&folder, "table.csv", path), &options);
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(info->classes == 2 && info->rows[0] == 2 && info->channels == 2);
    cr_assert(cg_shape_equal(&info->sample, &CG_SHAPE(2)) && info->mean[0] == 1700000000.5 && info->std[0] == 0.25);
    cr_assert_str_eq(info->target, "the \"kind\"");
    cr_assert_str_eq(cg_data_class_name(data, 1), "b");
    float x[4];
    int64_t rows[2] = {0, 1}, y[2];
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 2, x, y) == CG_OK);
    cr_assert(x[0] == -1 && x[1] == -1 && x[2] == 1 && x[3] == 1 && y[0] == 1 && y[1] == 0);
    test_expect_failure(cg_data_targets(data, CG_SPLIT_TRAIN, rows, 2, x), CG_ERR_ARGUMENT, "have classes");
    cg_data_destroy(data);
    const cg_data_options numbers = {.valid = 0, .target = "v", .task = CG_TASK_NUMBERS};
    test_file_write(&folder, "table.csv", "u,v\n1,0.5\n2,0.25\n", 17);
    data = load(path, &numbers);
    cr_assert(cg_data_describe(data)->targets == 1 && cg_data_describe(data)->classes == 0);
    cr_assert(cg_data_targets(data, CG_SPLIT_TRAIN, rows, 2, x) == CG_OK && x[0] == 0.5f && x[1] == 0.25f);
    test_expect_failure(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 2, NULL, y), CG_ERR_ARGUMENT,
                        "no classes but numbers");
    cg_data_destroy(data);
    test_folder_remove(&folder);
}
