/* Folders of images: every kind of PNG and JPEG, and what can be wrong with them. */
#define _POSIX_C_SOURCE 200809L
#include <clgrad/data.h>
#include <clgrad/device.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "alloc.h"
#include "files.h"
#include "image.h"

/* A PNG that is written here: header, palette, pixels. */
typedef struct png {
    unsigned width, height, depth, type, interlaced;
    const unsigned char *palette; /* [16][3], for type 3 */
    const unsigned char *rows;    /* each begins with its filter, 0 */
    size_t size;                  /* of the rows */
} png;

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6 };

static void put_word(unsigned char *to, uint32_t word) {
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(word >> (24 - 8 * i));
    }
}

static size_t put_chunk(unsigned char *to, const char *name, const unsigned char *bytes, size_t size) {
    put_word(to, (uint32_t)size);
    memcpy(to + 4, name, 4);
    if (size > 0) {
        memcpy(to + 8, bytes, size);
    }
    put_word(to + 8 + size, (uint32_t)crc32(0, to + 4, (uInt)size + 4));
    return size + 12;
}

/* Writes it to `to`; returns its size. */
static size_t make_png(const png *image, unsigned char to[1024]) {
    static const unsigned char magic[8] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    unsigned char header[13] = {0}, packed[512];
    uLongf length = sizeof packed;
    put_word(header, image->width);
    put_word(header + 4, image->height);
    header[8] = (unsigned char)image->depth;
    header[9] = (unsigned char)image->type;
    header[12] = (unsigned char)image->interlaced;
    cr_assert(compress(packed, &length, image->rows, image->size) == Z_OK);
    memcpy(to, magic, 8);
    size_t at = 8;
    at += put_chunk(to + at, "IHDR", header, sizeof header);
    if (image->palette != NULL) {
        at += put_chunk(to + at, "PLTE", image->palette, 48);
    }
    at += put_chunk(to + at, "IDAT", packed, length);
    return at + put_chunk(to + at, "IEND", NULL, 0);
}

static void write_png(const test_folder *folder, const char *name, const png *image) {
    unsigned char bytes[1024];
    test_file_write(folder, name, bytes, make_png(image, bytes));
}

/* A grey image of 3 x 2 pixels that begin with `first`. */
static void write_grey(const test_folder *folder, const char *name, unsigned char first) {
    const unsigned char rows[8] = {0, first, 20, 30, 0, 40, 50, 255};
    write_png(folder, name, &(png){.width = 3, .height = 2, .depth = 8, .type = GREY, .rows = rows, .size = 8});
}

static void make_folder(const test_folder *folder, const char *name) {
    char path[TEST_PATH_SIZE];
    cr_assert(mkdir(test_path(folder, name, path), 0700) == 0);
}

static void expect_image(const png *image, int64_t channels, const unsigned char *expected) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    cg_image read;
    write_png(&folder, "image", image);
    cr_assert(cg_image_load(test_path(&folder, "image", path), &read) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_shape_equal(&read.shape, &CG_SHAPE(channels, image->height, image->width)));
    for (int64_t i = 0; i < cg_shape_numel(&read.shape); i++) {
        cr_assert(read.pixels[i] == expected[i], "type %u, depth %u: %d is not %d at %d", image->type, image->depth,
                  read.pixels[i], expected[i], (int)i);
    }
    cg_free(read.pixels);
    test_folder_remove(&folder);
}

Test(images, every_kind_of_png_becomes_bytes_of_grey_or_colour) {
    static const unsigned char bits[2] = {0, 0xA0}, grey[3] = {255, 0, 255};
    expect_image(&(png){3, 1, 1, GREY, 0, NULL, bits, 2}, 1, grey);
    static const unsigned char nibbles[3] = {0, 0x3F, 0x10}, scaled[3] = {51, 255, 17};
    expect_image(&(png){3, 1, 4, GREY, 0, NULL, nibbles, 3}, 1, scaled);
    static const unsigned char wide[7] = {0, 0x12, 0x34, 0xFF, 0xFF, 0x80, 0x00}, high[3] = {0x12, 255, 0x80};
    expect_image(&(png){3, 1, 16, GREY, 0, NULL, wide, 7}, 1, high);
    static const unsigned char pair[7] = {0, 7, 0, 8, 255, 9, 3}, without[3] = {7, 8, 9};
    expect_image(&(png){3, 1, 8, GREY_ALPHA, 0, NULL, pair, 7}, 1, without);
    static const unsigned char colour[7] = {0, 1, 2, 3, 4, 5, 6}, planes[6] = {1, 4, 2, 5, 3, 6};
    expect_image(&(png){2, 1, 8, RGB, 0, NULL, colour, 7}, 3, planes);
    static const unsigned char clear[9] = {0, 1, 2, 3, 0, 4, 5, 6, 255};
    expect_image(&(png){2, 1, 8, RGB_ALPHA, 0, NULL, clear, 9}, 3, planes);
    static const unsigned char palette[48] = {1, 2, 3, 4, 5, 6}, indices[2] = {0, 0x01};
    expect_image(&(png){2, 1, 4, PALETTE, 0, palette, indices, 2}, 3, planes);
    /* Interlaced: the first pass has pixel 0, the sixth has pixel 1. */
    static const unsigned char passes[4] = {0, 9, 0, 8}, both[2] = {9, 8};
    expect_image(&(png){2, 1, 8, GREY, 1, NULL, passes, 4}, 1, both);
}

/* 5 x 3 pixels at quality 100: grey 40 x + 20 y; red 50 x, green 80 y, blue 200; and one of four inks. */
static const unsigned char grey_jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73, 70,  0,   1,  1,  0,   0,   1,   0,   1,   0,   0, 255, 219, 0,  67,
    0,   1,   1,   1,   1,   1,   1,   1,   1,  1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1, 1,   1,   1,  1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,  1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1, 1,   1,   1,  1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,  1,   1,   1,  1,  1,   1,   1,   1,   255, 192, 0, 11,  8,   0,  3,
    0,   5,   1,   1,   17,  0,   255, 196, 0,  20,  0,   1,  0,  0,   0,   0,   0,   0,   0,   0, 0,   0,   0,  0,
    0,   0,   0,   7,   255, 196, 0,   32,  16, 0,   0,   2,  11, 0,   0,   0,   0,   0,   0,   0, 0,   0,   0,  0,
    0,   0,   4,   3,   5,   6,   7,   9,   24, 38,  67,  69, 84, 99,  255, 218, 0,   8,   1,   1, 0,   0,   63, 0,
    116, 130, 83,  176, 96,  37,  48,  149, 42, 171, 193, 91, 75, 164, 115, 168, 255, 217};
static const unsigned char colour_jpeg[] = {
    255, 216, 255, 224, 0,   16,  74,  70,  73,  70,  0,   1,  1,  0,   0,   1,   0,   1,   0,   0,   255, 219, 0,   67,
    0,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   1,   1,   1,   255, 219, 0,   67,  1,   1,   1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,   1,  1,  1,   255, 192, 0,   17,  8,   0,   3,   0,   5,   3,
    1,   17,  0,   2,   17,  1,   3,   17,  1,   255, 196, 0,  20, 0,   1,   0,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   7,   255, 196, 0,   29,  16, 0,  1,   2,   7,   0,   0,   0,   0,   0,   0,   0,   0,
    0,   0,   0,   0,   8,   3,   68,  0,   4,   6,   23,  39, 83, 100, 255, 196, 0,   21,  1,   1,   1,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   4,  9,  255, 196, 0,   39,  17,  0,   0,   3,   2,   15,  0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   3,   7,  67, 0,   2,   1,   4,   5,   6,   8,   9,   22,  23,  38,
    39,  66,  69,  81,  84,  100, 255, 218, 0,   12,  3,   1,  0,  2,   17,  3,   17,  0,   63,  0,   101, 22,  196, 81,
    174, 222, 37,  135, 105, 6,   141, 166, 245, 41,  215, 20, 56, 221, 58,  77,  75,  76,  246, 55,  150, 150, 84,  24,
    117, 57,  200, 44,  26,  187, 169, 8,   116, 220, 124, 95, 49, 167, 22,  218, 184, 29,  113, 252, 237, 255, 217};
static const unsigned char ink_jpeg[] = {
    255, 216, 255, 238, 0,  14, 65, 100, 111, 98, 101, 0, 100, 0,  0, 0,  0,   0,   255, 219, 0,   67,
    0,   1,   1,   1,   1,  1,  1,  1,   1,   1,  1,   1, 1,   1,  1, 1,  1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,  1,  1,  1,   1,   1,  1,   1, 1,   1,  1, 1,  1,   1,   1,   1,   1,   1,
    1,   1,   1,   1,   1,  1,  1,  1,   1,   1,  1,   1, 1,   1,  1, 1,  1,   1,   1,   1,   1,   255,
    192, 0,   20,  8,   0,  3,  0,  5,   4,   67, 17,  0, 77,  17, 0, 89, 17,  0,   75,  17,  0,   255,
    196, 0,   20,  0,   1,  0,  0,  0,   0,   0,  0,   0, 0,   0,  0, 0,  0,   0,   0,   0,   8,   255,
    196, 0,   20,  16,  1,  0,  0,  0,   0,   0,  0,   0, 0,   0,  0, 0,  0,   0,   0,   0,   0,   255,
    218, 0,   14,  4,   67, 0,  77, 0,   89,  0,  75,  0, 0,   63, 0, 15, 131, 224, 248, 62,  255, 217};

/* What a file of these bytes gives. */
static void load_bytes(const unsigned char *bytes, size_t size, cg_status expected, const char *part, cg_image *image) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_file_write(&folder, "image.jpg", bytes, size);
    cg_status status = cg_image_load(test_path(&folder, "image.jpg", path), image);
    if (expected == CG_OK) {
        cr_assert(status == CG_OK, "%s", cg_error_message());
    } else {
        test_expect_failure(status, expected, part);
        cr_assert(image->pixels == NULL && strstr(cg_error_message(), path) != NULL, "%s", cg_error_message());
    }
    test_folder_remove(&folder);
}

Test(images, jpeg_is_read_in_grey_and_colour) {
    cg_image image;
    load_bytes(grey_jpeg, sizeof grey_jpeg, CG_OK, NULL, &image);
    cr_assert(cg_shape_equal(&image.shape, &CG_SHAPE(1, 3, 5)));
    for (int i = 0; i < 15; i++) { /* lossy: a few levels */
        cr_assert(abs(image.pixels[i] - (i % 5 * 40 + i / 5 * 20)) <= 3, "%d: %d", i, image.pixels[i]);
    }
    cg_free(image.pixels);
    load_bytes(colour_jpeg, sizeof colour_jpeg, CG_OK, NULL, &image);
    cr_assert(cg_shape_equal(&image.shape, &CG_SHAPE(3, 3, 5)));
    for (int i = 0; i < 15; i++) {
        const int expected[3] = {i % 5 * 50, i / 5 * 80, 200};
        for (int c = 0; c < 3; c++) {
            cr_assert(abs(image.pixels[c * 15 + i] - expected[c]) <= 5, "%d: %d", i, image.pixels[c * 15 + i]);
        }
    }
    cg_free(image.pixels);
}

Test(images, files_that_are_cut_or_no_images_are_refused) {
    const unsigned char rows[8] = {0, 10, 20, 30, 0, 40, 50, 255};
    unsigned char bytes[1024];
    size_t size = make_png(&(png){.width = 3, .height = 2, .depth = 8, .type = GREY, .rows = rows, .size = 8}, bytes);
    cg_image image;
    for (size_t cut = 0; cut < size; cut++) {
        load_bytes(bytes, cut, CG_ERR_FORMAT,
                   cut == 0  ? "the file is empty"
                   : cut < 4 ? "neither"
                             : "damaged PNG",
                   &image);
    }
    bytes[45] ^= 1; /* a packed byte: the check sum is wrong */
    load_bytes(bytes, size, CG_ERR_FORMAT, "damaged PNG", &image);
    for (size_t cut = 3; cut < sizeof grey_jpeg - 2; cut++) {
        load_bytes(grey_jpeg, cut, CG_ERR_FORMAT, "damaged JPEG", &image);
    }
    load_bytes(ink_jpeg, sizeof ink_jpeg, CG_ERR_FORMAT, "damaged JPEG: Unsupported color conversion", &image);
    load_bytes((const unsigned char *)"GIF89a", 6, CG_ERR_FORMAT, "neither PNG nor JPEG", &image);
}

Test(images, a_size_that_only_a_header_claims_is_refused) {
    static const unsigned char rows[2] = {0};
    unsigned char bytes[1024];
    cg_image image;
    png huge = {.width = 1000000, .height = 1000000, .depth = 8, .type = RGB, .rows = rows, .size = 2};
    load_bytes(bytes, make_png(&huge, bytes), CG_ERR_FORMAT, "1000000 x 1000000 pixels are too many", &image);
}

/* Two classes, 'left' with two images, 'right' with three; files that are no images, and a folder that is hidden. */
static test_folder make_classes(void) {
    test_folder folder = test_folder_make();
    make_folder(&folder, "right");
    make_folder(&folder, "left");
    write_grey(&folder, "left/a.png", 1);
    write_grey(&folder, "left/b.PNG", 2);
    write_grey(&folder, "right/a.png", 11);
    write_grey(&folder, "right/b.png", 12);
    write_grey(&folder, "right/c.png", 13);
    test_file_write(&folder, "right/notes.txt", "x", 1);
    test_file_write(&folder, "README.md", "x", 1);
    make_folder(&folder, ".hidden");
    return folder;
}

static cg_data *load(const test_folder *folder, const cg_data_options *options) {
    cg_data *data;
    cg_status status = cg_data_load(folder->path, options, &data);
    cr_assert(status == CG_OK, "%s", cg_error_message());
    return data;
}

static void expect_failure(const test_folder *folder, const cg_data_options *options, const char *part) {
    cg_data *data;
    cg_status status = cg_data_load(folder->path, options, &data);
    cr_assert(status == CG_ERR_FORMAT || status == CG_ERR_FILE);
    test_expect_failure(status, status, part);
    cr_assert(data == NULL);
}

static void expect_classes(const test_folder *folder, int64_t memory) {
    const cg_data_options options = {.valid = 0, .normalize = CG_NORMALIZE_NONE, .memory = memory};
    cg_data *data = load(folder, &options);
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(info->classes == 2 && info->named_classes && info->rows[0] == 5 && info->notes == NULL);
    cr_assert(info->streamed == (memory == 1) && cg_shape_equal(&info->sample, &CG_SHAPE(1, 2, 3)));
    cr_assert_str_eq(info->class_names[0], "left");
    cr_assert_str_eq(cg_data_class_name(data, 1), "right");
    static const int64_t classes[5] = {0, 1, 0, 1, 1}, rows[5] = {0, 1, 2, 3, 4};
    static const float first[5] = {1, 11, 2, 12, 13}; /* the classes take turns */
    int64_t y[5];
    float x[5 * 6], pixels[6];
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 5, x, y) == CG_OK, "%s", cg_error_message());
    cr_assert(memcmp(y, classes, sizeof y) == 0);
    for (int i = 0; i < 5; i++) {
        cr_assert(x[6 * i] == first[i] / 255 && x[6 * i + 5] == 1);
        cr_assert(cg_data_pixels(data, CG_SPLIT_TRAIN, i, pixels) == CG_OK && pixels[0] == first[i] / 255);
    }
    cg_data_destroy(data);
}

Test(images, a_folder_a_class_is_loaded_or_streamed) {
    test_folder folder = make_classes();
    expect_classes(&folder, 0);
    expect_classes(&folder, 1);
    const cg_data_options little = {.valid = -1, .memory = 1};
    cg_data *memory = load(&folder, NULL), *streamed = load(&folder, &little);
    const cg_data_info *a = cg_data_describe(memory), *b = cg_data_describe(streamed);
    cr_assert(a->mean[0] == b->mean[0] && a->std[0] == b->std[0], "the same numbers whichever way");
    cr_assert(a->rows[1] == 1 && a->valid == 0.2 && a->valid_random);
    cg_data_destroy(memory);
    cg_data_destroy(streamed);
    test_folder_remove(&folder);
}

Test(images, a_file_that_changes_while_it_is_streamed_is_named) {
    test_folder folder = make_classes();
    const cg_data_options little = {.valid = 0, .memory = 1};
    cg_data *data = load(&folder, &little);
    int64_t row = 3;
    float x[6];
    test_file_write(&folder, "right/b.png", "", 0);
    test_expect_failure(cg_data_rows(data, CG_SPLIT_TRAIN, &row, 1, x, NULL), CG_ERR_FORMAT,
                        "right/b.png: the file is");
    static const unsigned char rows[2] = {0};
    write_png(&folder, "right/b.png", &(png){1, 1, 8, GREY, 0, NULL, rows, 2});
    test_expect_failure(cg_data_rows(data, CG_SPLIT_TRAIN, &row, 1, x, NULL), CG_ERR_FORMAT,
                        "right/b.png: it is [1, 1, 1] now");
    cg_data_destroy(data);
    test_folder_remove(&folder);
}

/* A file that breaks is met by a thread: its message reaches the caller, and the loader can be destroyed or tried
 * again. */
Test(images, a_failure_in_a_loaders_thread_is_the_callers) {
    test_folder folder = make_classes();
    cg_device *device;
    cr_assert(cg_device_open("reference", &device) == CG_OK, "%s", cg_error_message());
    for (int workers = -1; workers <= 3; workers += 2) {
        const cg_data_options little = {.valid = 0, .memory = 1, .workers = workers};
        cg_data *data = load(&folder, &little);
        cg_loader *loader;
        cg_batch batch;
        cr_assert(cg_loader_create(device, data, CG_SPLIT_TRAIN, 1, &loader) == CG_OK);
        test_file_write(&folder, "left/b.PNG", "", 0);
        cr_assert(cg_loader_next(loader, &batch) == CG_OK && cg_loader_next(loader, &batch) == CG_OK);
        test_expect_failure(cg_loader_next(loader, &batch), CG_ERR_FORMAT, "left/b.PNG: the file is empty");
        write_grey(&folder, "left/b.PNG", 2);
        for (int left = 3; left > 0; left--) {
            cr_assert(cg_loader_next(loader, &batch) == CG_OK && batch.n == 1, "%s", cg_error_message());
        }
        cr_assert(cg_loader_next(loader, &batch) == CG_OK && batch.n == 0);
        cg_loader_destroy(loader);
        cg_data_destroy(data);
    }
    cg_device_close(device);
    test_folder_remove(&folder);
}

Test(images, files_that_cannot_be_read_are_counted_and_named) {
    test_folder folder = make_classes();
    test_file_write(&folder, "left/empty.png", "", 0);
    test_file_write(&folder, "right/text.jpg", "text", 4);
    cg_data *data = load(&folder, NULL);
    const char *notes = cg_data_describe(data)->notes;
    cr_assert(cg_data_describe(data)->rows[0] + cg_data_describe(data)->rows[1] == 5);
    cr_assert(strstr(notes, "2 of 7 files in ") == notes && strstr(notes, "left/empty.png: the file is empty") != NULL);
    cr_assert(strstr(notes, "right/text.jpg: neither PNG nor JPEG") != NULL, "%s", notes);
    cg_data_destroy(data);
    for (int i = 0; i < 9; i++) {
        char name[32];
        snprintf(name, sizeof name, "left/x%d.png", i);
        test_file_write(&folder, name, "", 0);
    }
    data = load(&folder, NULL);
    notes = cg_data_describe(data)->notes;
    cr_assert(strstr(notes, "11 of 16") == notes && strcmp(notes + strlen(notes) - 5, "; ...") == 0, "%s", notes);
    cg_data_destroy(data);
    test_folder_remove(&folder);
}

Test(images, images_that_differ_are_named_in_pairs) {
    test_folder folder = make_classes();
    static const unsigned char rows[4 * 3 + 4] = {0};
    write_png(&folder, "right/d.png", &(png){3, 4, 8, GREY, 0, NULL, rows, sizeof rows});
    expect_failure(&folder, NULL, "left/a.png is 3 x 2, grey; ");
    expect_failure(&folder, NULL, "right/d.png is 3 x 4, grey");
    static const unsigned char colour[2 * 10] = {0};
    write_png(&folder, "right/d.png", &(png){3, 2, 8, RGB, 0, NULL, colour, sizeof colour});
    expect_failure(&folder, NULL, "right/d.png is 3 x 2, colour");
    test_folder_remove(&folder);
}

Test(images, folders_without_classes_or_images_are_refused) {
    test_folder folder = test_folder_make();
    expect_failure(&folder, NULL, "neither MNIST's IDX files nor folders of images");
    make_folder(&folder, "cat");
    expect_failure(&folder, NULL, "the class 'cat' is empty: ");
    write_grey(&folder, "cat/a.png", 1);
    expect_failure(&folder, NULL, "one class only, 'cat'");
    make_folder(&folder, "dog");
    test_file_write(&folder, "dog/a.txt", "x", 1);
    expect_failure(&folder, NULL, "the class 'dog' is empty");
    test_file_write(&folder, "dog/a.png", "x", 1);
    expect_failure(&folder, NULL, "the class 'dog' is empty: none of its 1 files");
    expect_failure(&folder, NULL, "dog/a.png: neither PNG nor JPEG");
    make_folder(&folder, "\xff");
    write_grey(&folder, "\xff/a.png", 1);
    expect_failure(&folder, NULL, "is not UTF-8");
    test_folder_remove(&folder);
}

Test(images, a_folder_without_permission_is_refused) {
    if (geteuid() == 0) {
        cr_skip_test("root may read everything");
    }
    test_folder folder = make_classes();
    char path[TEST_PATH_SIZE];
    cr_assert(chmod(test_path(&folder, "left", path), 0) == 0);
    expect_failure(&folder, NULL, "left: Permission denied");
    cr_assert(chmod(path, 0700) == 0);
    cr_assert(chmod(folder.path, 0) == 0);
    expect_failure(&folder, NULL, "Permission denied");
    cr_assert(chmod(folder.path, 0700) == 0);
    test_folder_remove(&folder);
}

Test(images, classes_of_a_model_keep_their_places) {
    test_folder folder = make_classes();
    const char *const known[] = {"zero", "right", "left"};
    cg_data_options options = {.valid = 0, .classes = 3, .class_names = known};
    cg_data *data = load(&folder, &options);
    int64_t rows[2] = {0, 1}, y[2];
    cr_assert(cg_data_rows(data, CG_SPLIT_TRAIN, rows, 2, NULL, y) == CG_OK && y[0] == 2 && y[1] == 1);
    cr_assert(cg_data_describe(data)->classes == 3);
    cr_assert_str_eq(cg_data_class_name(data, 0), "zero");
    cg_data_destroy(data);
    options.classes = 2;
    expect_failure(&folder, &options, "has a folder 'left', which is none of the model's 2 classes: zero, right");
    test_folder_remove(&folder);
}

Test(images, memory_that_runs_out_is_survived) {
    test_folder folder = make_classes();
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        cg_data *data;
        status = cg_data_load(folder.path, NULL, &data);
        cg_alloc_fail_at(0);
        cr_assert(call < 200 && (status == CG_OK || status == CG_ERR_MEMORY), "%s", cg_error_message());
        cg_data_destroy(data);
    }
    test_folder_remove(&folder);
}

/* The header and the values of an array as NumPy saves it. */
static void write_array(const test_folder *folder, const char *name, const char *header, const void *values,
                        size_t size) {
    unsigned char bytes[512] = "\x93NUMPY\1";
    size_t length = strlen(header);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, header, length);
    memcpy(bytes + 10 + length, values, size);
    test_file_write(folder, name, bytes, 10 + length + size);
}

static test_folder make_unlabelled(void) {
    static const float values[12] = {0, 0.5f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    test_folder folder = make_classes();
    write_array(&folder, "two.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3), }\n", values,
                sizeof values);
    write_array(&folder, "one.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", values, 24);
    return folder;
}

static const cg_shape grey_3_x_2 = {.dim = {1, 2, 3}, .rank = 3};

Test(images, rows_without_classes_are_normalised_as_it_is_said) {
    test_folder folder = make_unlabelled();
    char image[TEST_PATH_SIZE], array[TEST_PATH_SIZE], whole[TEST_PATH_SIZE];
    const char *const paths[] = {test_path(&folder, "right/a.png", image), test_path(&folder, "two.npy", array),
                                 test_path(&folder, "left", whole)};
    const double mean = 0.5, std = 0.25;
    cg_data_options options = {
        .normalize = CG_NORMALIZE_GIVEN, .channels = 1, .mean = &mean, .std = &std, .classes = 3};
    cg_data *data;
    cr_assert(cg_data_load_unlabelled(paths, 3, &grey_3_x_2, &options, &data) == CG_OK, "%s", cg_error_message());
    const cg_data_info *info = cg_data_describe(data);
    cr_assert(info->rows[CG_SPLIT_TEST] == 5 && info->rows[CG_SPLIT_TRAIN] == 0 && info->classes == 3);
    static const float first[5] = {11 / 255.0f, 0, 5, 1 / 255.0f, 2 / 255.0f};
    for (int64_t i = 0; i < 5; i++) {
        float x[6];
        int64_t y;
        cr_assert(cg_data_rows(data, CG_SPLIT_TEST, &i, 1, x, &y) == CG_OK && y == -1);
        cr_assert(x[0] == (float)(((double)first[i] - 0.5) / 0.25), "row %d: %g", (int)i, (double)x[0]);
    }
    cr_assert_str_eq(cg_data_row_name(data, CG_SPLIT_TEST, 0), image);
    cr_assert(strstr(cg_data_row_name(data, CG_SPLIT_TEST, 2), "two.npy[1]") != NULL);
    cr_assert(cg_data_row_name(data, CG_SPLIT_TEST, 5) == NULL && cg_data_row_name(data, CG_SPLIT_TRAIN, 0) == NULL);
    cg_data_destroy(data);
    options.normalize = CG_NORMALIZE_DATA;
    test_expect_failure(cg_data_load_unlabelled(paths, 3, &grey_3_x_2, &options, &data), CG_ERR_ARGUMENT,
                        "a mean and a deviation must be given");
    test_folder_remove(&folder);
}

Test(images, one_image_or_array_is_read_into_the_callers_memory) {
    test_folder folder = make_unlabelled();
    char path[TEST_PATH_SIZE];
    float values[6];
    cr_assert(cg_image_read(test_path(&folder, "left/a.png", path), &grey_3_x_2, values) == CG_OK);
    cr_assert(values[0] == 1 / 255.0f && values[5] == 1);
    cr_assert(cg_image_read(test_path(&folder, "one.npy", path), &grey_3_x_2, values) == CG_OK && values[1] == 0.5f);
    test_expect_failure(cg_image_read(test_path(&folder, "two.npy", path), &grey_3_x_2, values), CG_ERR_SHAPE,
                        "two.npy is [2, 2, 3], the model takes 3 x 2, grey");
    test_expect_failure(cg_image_read(test_path(&folder, "none.png", path), &grey_3_x_2, values), CG_ERR_FILE, path);
    test_folder_remove(&folder);
}

Test(images, memory_that_runs_out_over_rows_without_classes_is_survived) {
    test_folder folder = make_unlabelled();
    char array[TEST_PATH_SIZE], whole[TEST_PATH_SIZE];
    const char *const paths[] = {test_path(&folder, "two.npy", array), test_path(&folder, "left", whole)};
    static const char *const names[] = {"a", "b"};
    const cg_data_options options = {.normalize = CG_NORMALIZE_NONE, .classes = 2, .class_names = names};
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        cg_data *data;
        status = cg_data_load_unlabelled(paths, 2, &grey_3_x_2, &options, &data);
        cg_alloc_fail_at(0);
        cr_assert(call < 200 && (status == CG_OK || status == CG_ERR_MEMORY), "%s", cg_error_message());
        cg_data_destroy(data);
    }
    test_folder_remove(&folder);
}
