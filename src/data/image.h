/* Images out of files: PNG and JPEG, known by their first bytes. Private to this folder. */
#ifndef CLGRAD_IMAGE_H
#define CLGRAD_IMAGE_H

#include <clgrad/tensor.h>

/* Bytes [channels, height, width]; one channel is grey, three are red, green, blue. Zero-initialised is empty. */
typedef struct cg_image {
    cg_shape shape;
    uint8_t *pixels;
} cg_image;

/* Decodes a file. Errors name the path: CG_ERR_FILE, CG_ERR_FORMAT; CG_ERR_UNSUPPORTED when this library was built
 * without what decodes such files. The caller frees the pixels (cg_free). */
cg_status cg_image_load(const char *path, cg_image *image) CG_MUST_USE;

/* One kind of file each, from memory. */
cg_status cg_png_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) CG_MUST_USE;
cg_status cg_jpeg_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) CG_MUST_USE;

/* "libpng 1.6.39"; "no libpng" when this library was built without. */
const char *cg_png_library(void);
const char *cg_jpeg_library(void);

/* Whether a file of this name is taken for an image: .png, .jpg, .jpeg in any case. */
bool cg_image_is_name(const char *name);

/* For the decoders: memory for rows of interleaved channels, refused where the size is absurd; and the planes of it. */
cg_status cg_image_rows_create(const char *path, const cg_shape *shape, uint8_t **rows) CG_MUST_USE;
cg_status cg_image_from_rows(const uint8_t *rows, const cg_shape *shape, cg_image *image) CG_MUST_USE;

#endif
