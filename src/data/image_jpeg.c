/* JPEG by libjpeg. Its errors come by longjmp, as libpng's do. */
#include "image.h"

#ifdef CLGRAD_JPEG
#include <setjmp.h>
#include <stdio.h>
/* jpeglib.h needs stdio.h before it. */
#include <jerror.h>
#include <jpeglib.h>

#include "alloc.h"

typedef struct decoding {
    struct jpeg_error_mgr errors; /* first: libjpeg knows only this part */
    jmp_buf escape;
    const char *path;
    char reason[JMSG_LENGTH_MAX];
    struct jpeg_decompress_struct jpeg;
    cg_shape shape;
    uint8_t *rows;
    cg_status status;
} decoding;

static void on_error(j_common_ptr jpeg) {
    decoding *d = (decoding *)jpeg->err;
    jpeg->err->format_message(jpeg, d->reason);
    longjmp(d->escape, 1);
}

/* A file that is cut short is filled up with grey and warned of: for us it is damaged. */
static void on_message(j_common_ptr jpeg, int level) {
    int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) {
        on_error(jpeg);
    }
}

/* False after a longjmp, and with d->status where our own code failed. */
static bool read_rows(decoding *d, const uint8_t *bytes, size_t size) {
    if (setjmp(d->escape)) {
        return false;
    }
    jpeg_create_decompress(&d->jpeg);
    jpeg_mem_src(&d->jpeg, bytes, (unsigned long)size);
    jpeg_read_header(&d->jpeg, TRUE);
    d->jpeg.out_color_space = d->jpeg.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&d->jpeg);
    d->shape = CG_SHAPE(d->jpeg.output_components, d->jpeg.output_height, d->jpeg.output_width);
    d->status = cg_image_rows_create(d->path, &d->shape, &d->rows);
    if (d->status != CG_OK) {
        return false;
    }
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW row = d->rows + (size_t)d->jpeg.output_scanline * (size_t)(d->shape.dim[2] * d->shape.dim[0]);
        jpeg_read_scanlines(&d->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
    return true;
}

cg_status cg_jpeg_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) {
    decoding d = {.path = path};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    if (read_rows(&d, bytes, size)) {
        d.status = cg_image_from_rows(d.rows, &d.shape, image);
    } else if (d.status == CG_OK) {
        d.status = cg_fail(CG_ERR_FORMAT, "%s: damaged JPEG: %s", path, d.reason);
    }
    jpeg_destroy_decompress(&d.jpeg);
    cg_free(d.rows);
    return d.status;
}

#define TEXT(value) #value
#define TEXT_OF(macro) TEXT(macro)

const char *cg_jpeg_library(void) {
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " TEXT_OF(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " TEXT_OF(JPEG_LIB_VERSION);
#endif
}

#else

const char *cg_jpeg_library(void) {
    return "no libjpeg";
}

cg_status cg_jpeg_decode(const char *path, const uint8_t *bytes, size_t size, cg_image *image) {
    (void)bytes, (void)size, (void)image;
    return cg_fail(CG_ERR_UNSUPPORTED, "%s: clgrad was built without libjpeg and cannot read JPEG: %s", path,
                   "install libjpeg-dev and build again");
}

#endif
