/* A folder with the four IDX files of MNIST's names, each gzip-packed or not. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "samples.h"
#include "text.h"

#define TRAIN_IMAGES "train-images-idx3-ubyte"
#define TRAIN_CLASSES "train-labels-idx1-ubyte"
#define TEST_IMAGES "t10k-images-idx3-ubyte"
#define TEST_CLASSES "t10k-labels-idx1-ubyte"

/* The path of a file in the folder as it is, or with .gz; found says whether there is one. The caller frees the text.
 */
static cg_status find_file(const char *folder, const char *name, cg_text *path, bool *found) {
    static const char *const endings[] = {"", ".gz"};
    *found = false;
    for (size_t i = 0; i < 2 && !*found; i++) {
        cg_text_free(path);
        cg_text_append(path, "%s/%s%s", folder, name, endings[i]);
        if (path->failed) {
            return CG_ERR_MEMORY;
        }
        struct stat facts;
        *found = stat(path->bytes, &facts) == 0;
    }
    return CG_OK;
}

static bool has_file(const char *folder, const char *name) {
    cg_text path = {0};
    bool found = false;
    cg_status status = find_file(folder, name, &path, &found);
    cg_text_free(&path);
    return status == CG_OK && found;
}

bool cg_idx_is_there(const char *folder) {
    return has_file(folder, TRAIN_IMAGES);
}

bool cg_idx_is_any(const char *folder) {
    return has_file(folder, TRAIN_IMAGES) || has_file(folder, TRAIN_CLASSES) || has_file(folder, TEST_IMAGES) ||
           has_file(folder, TEST_CLASSES);
}

static cg_status check_counts(const char *images, const char *classes, int64_t image_count, int64_t class_count) {
    if (image_count != class_count) {
        return cg_fail(CG_ERR_FORMAT, "%s has %lld images, %s has %lld classes", images, (long long)image_count,
                       classes, (long long)class_count);
    }
    return CG_OK;
}

static cg_status read_pair(const char *images, const char *classes, cg_samples *samples) {
    CG_TRY(cg_idx_read_images(images, samples));
    int64_t count;
    CG_TRY(cg_idx_read_classes(classes, &samples->classes, &count));
    return check_counts(images, classes, samples->count, count);
}

/* Reads images and classes of one part; with neither file there the part stays empty if it is optional. */
static cg_status load_part(const char *folder, const char *images, const char *classes, bool optional,
                           cg_samples *samples) {
    cg_text image_path = {0}, class_path = {0};
    bool has_images = false, has_classes = false;
    cg_status status = find_file(folder, images, &image_path, &has_images);
    if (status == CG_OK) {
        status = find_file(folder, classes, &class_path, &has_classes);
    }
    bool absent = optional && !has_images && !has_classes;
    if (status == CG_OK && !absent && !(has_images && has_classes)) {
        status =
            cg_fail(CG_ERR_FILE, "folder %s has no %s (with or without .gz)", folder, has_images ? classes : images);
    } else if (status == CG_OK && !absent) {
        status = read_pair(image_path.bytes, class_path.bytes, samples);
    }
    cg_text_free(&image_path);
    cg_text_free(&class_path);
    return status;
}

static int64_t count_classes(const cg_samples *samples) {
    int64_t classes = 0;
    for (int64_t i = 0; i < samples->count; i++) {
        classes = samples->classes[i] >= classes ? samples->classes[i] + 1 : classes;
    }
    return classes;
}

/* Test images must be like those that are trained on, and of classes that are trained on. */
static cg_status check_test(const char *folder, const cg_samples *train, const cg_samples *test, int64_t classes) {
    if (test->count > 0 && !cg_shape_equal(&train->shape, &test->shape)) {
        return cg_fail(CG_ERR_FORMAT, "%s: an image of %s is %s, one of %s is %s", folder, TRAIN_IMAGES,
                       cg_shape_print(&train->shape, CG_SHAPE_TEXT), TEST_IMAGES,
                       cg_shape_print(&test->shape, CG_SHAPE_TEXT));
    }
    for (int64_t i = 0; i < test->count; i++) {
        if (test->classes[i] >= classes) {
            return cg_fail(CG_ERR_FORMAT, "%s: row %lld of %s has the class %lld, the classes of %s go from 0 to %lld",
                           folder, (long long)i, TEST_CLASSES, (long long)test->classes[i], TRAIN_CLASSES,
                           (long long)classes - 1);
        }
    }
    return CG_OK;
}

cg_status cg_idx_load(const char *folder, cg_source *source) {
    *source = (cg_source){.scale = 255, .valid = 1.0 / 6.0};
    CG_TRY(load_part(folder, TRAIN_IMAGES, TRAIN_CLASSES, false, &source->train));
    CG_TRY(load_part(folder, TEST_IMAGES, TEST_CLASSES, true, &source->test));
    source->classes = count_classes(&source->train);
    return check_test(folder, &source->train, &source->test, source->classes);
}
