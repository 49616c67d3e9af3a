/* PNG by libpng. Its errors come by longjmp: everything that must survive one lies in a struct that setjmp's function
 * only points to. */
#include "image.h"

#ifdef CLGRAD_PNG
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

typedef struct decoding {
    const char *path;
    const uint8_t *bytes;
    size_t left;
    char reason[128];
    png_structp png;
    png_infop info;
    cg_shape shape;
    uint8_t *rows;
    cg_status status;
} decoding;

static void on_error(png_structp png, png_const_charp reason) {
    decoding *d = png_get_error_ptr(png);
    snprintf(d->reason, sizeof d->reason, "%s", reason);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp reason) {
    (void)png;
    (void)reason;
}

static void on_read(png_structp png, png_bytep to, size_t size) {
    decoding *d = png_get_io_ptr(png);
    if (size > d->left) {
        png_error(png, "the file ends too early");
    }
    memcpy(to, d->bytes, size);
    d->bytes += size;
    d->left -= size;
}

/* Whatever is stored becomes 8 bits of grey or of red, green, blue. */
static void set_transforms(png_structp png, png_infop info) {
    int type = png_get_color_type(png, info);
    png_set_scale_16(png);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_palette_to_rgb(png);
    } else if ((type & PNG_COLOR_MASK_COLOR) == 0) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    png_set_strip_alpha(png);
}

/* False after a longjmp, and with d->status where our own code failed. */
static bool read_rows(decoding *d) {
    if (setjmp(png_jmpbuf(d->png))) {
        return false;
    }
    png_set_read_fn(d->png, d, on_read);
    png_read_info(d->png, d->info);
    set_transforms(d->png, d->info);
    int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    d->shape = CG_SHAPE(png_get_channels(d->png, d->info), png_get_image_height(d->png, d->info),
                        png_get_image_width(d->png, d->info));
    d->status = cg_image_rows_create(d->path, &d->shape, &d->rows);
    if (d->status != CG_OK) {
        return false;
    }
    size_t row_bytes = png_get_rowbytes(d->png, d->info);
    for (int pass = 0; pass < passes; pass++) {
        for (int64_t row = 0; row < d->shape.dim[1]; row++) {
            png_read_row(d->png, d->rows + (size_t)row * row_bytes, NULL);
        }
    }
    png_read_end(d->png, NULL);
    return true;
}

cg_status cg_png_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) {
    decoding d = {.path = path, .bytes = bytes, .left = size};
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    d.info = d.png != NULL ? png_create_info_struct(d.png) : NULL;
    if (d.info == NULL) {
        d.status = cg_fail(CG_ERR_MEMORY, "%s: libpng found no memory", path);
    } else if (read_rows(&d)) {
        d.status = cg_image_from_rows(d.rows, &d.shape, image);
    } else if (d.status == CG_OK) {
        d.status = cg_fail(CG_ERR_FORMAT, "%s: damaged PNG: %s", path, d.reason);
    }
    png_destroy_read_struct(&d.png, &d.info, NULL);
    cg_free(d.rows);
    return d.status;
}

const char *cg_png_library(void) {
    return "libpng " PNG_LIBPNG_VER_STRING;
}

#else

const char *cg_png_library(void) {
    return "no libpng";
}

cg_status cg_png_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) {
    (void)bytes, (void)size, (void)image;
    return cg_fail(CG_ERR_UNSUPPORTED, "%s: clgrad was built without libpng and cannot read PNG: %s", path,
                   "install libpng-dev and build again");
}

#endif
