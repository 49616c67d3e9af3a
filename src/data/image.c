/* From a file to pixels: the kind is known by the first bytes, not by the name. */
#include "image.h"

#include <clgrad/data.h>

#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "file.h"

#define LARGEST_FILE ((size_t)1 << 30)
#define LARGEST_IMAGE ((int64_t)1 << 30)

bool cg_image_is_name(const char *name) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t end = strlen(endings[i]);
        if (length > end && strcasecmp(name + length - end, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

cg_status cg_image_rows_create(const char *path, const cg_shape *shape, uint8_t **rows) {
    *rows = NULL;
    const int64_t *dim = shape->dim;
    if (dim[1] > LARGEST_IMAGE / dim[0] / dim[2]) {
        return cg_fail(CG_ERR_FORMAT, "%s: %lld x %lld pixels are too many", path, (long long)dim[2],
                       (long long)dim[1]);
    }
    *rows = cg_alloc((size_t)(dim[0] * dim[1] * dim[2]));
    return *rows != NULL ? CG_OK : CG_ERR_MEMORY;
}

cg_status cg_image_from_rows(const uint8_t *rows, const cg_shape *shape, cg_image *image) {
    int64_t channels = shape->dim[0], area = shape->dim[1] * shape->dim[2];
    image->pixels = cg_alloc((size_t)(channels * area));
    if (image->pixels == NULL) {
        return CG_ERR_MEMORY;
    }
    image->shape = *shape;
    uint8_t *pixel = image->pixels;
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t i = 0; i < area; i++) {
            *pixel++ = rows[i * channels + channel];
        }
    }
    return CG_OK;
}

const char *cg_image_library(int index) {
    return index == 0 ? cg_png_library() : index == 1 ? cg_jpeg_library() : NULL;
}

static cg_status decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) {
    static const uint8_t png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xFF, 0xD8, 0xFF};
    if (size == 0) {
        return cg_fail(CG_ERR_FORMAT, "%s: the file is empty", path);
    }
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) {
        return cg_png_decode(path, bytes, size, image);
    }
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) {
        return cg_jpeg_decode(path, bytes, size, image);
    }
    return cg_fail(CG_ERR_FORMAT, "%s: neither PNG nor JPEG", path);
}

cg_status cg_image_load(const char *path, cg_image *image) {
    *image = (cg_image){0};
    char *bytes;
    size_t size;
    CG_TRY(cg_file_read(path, LARGEST_FILE, &bytes, &size));
    cg_status status = decode(path, (const uint8_t *)bytes, size, image);
    cg_free(bytes);
    return status;
}
