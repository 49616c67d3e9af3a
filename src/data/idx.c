/*
 * The IDX format of MNIST: magic number (0, 0, type 8, number of dimensions), the dimensions as big-endian u32, the
 * bytes. Files may be gzip-packed. Sizes in a header are not believed: memory grows with what is read.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "alloc.h"
#include "samples.h"

#define MAGIC_BYTES 0x0800u /* type 8: unsigned bytes; the number of dimensions is added */
#define FIRST_CHUNK ((size_t)16 << 20)

typedef struct idx_file {
    const char *path;
    gzFile stream;
    int rank;
    int64_t dim[4];
    size_t size; /* product of the dimensions */
} idx_file;

/* zlib's reason for a read that failed, or the system's. */
static cg_status read_failed(const idx_file *file) {
    int code;
    const char *reason = gzerror(file->stream, &code);
    if (code == Z_ERRNO) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", file->path, strerror(errno));
    }
    size_t length = strlen(file->path); /* zlib puts the path in front */
    const char *behind = strncmp(reason, file->path, length) == 0 ? reason + length : ": ";
    return cg_fail(CG_ERR_FORMAT, "%s: the gzip data is damaged or cut short%s", file->path, behind);
}

/* Reads up to `size` bytes; *got is less at the end of the file. */
static cg_status read_some(const idx_file *file, uint8_t *bytes, size_t size, size_t *got) {
    *got = 0;
    while (*got < size) {
        size_t part = size - *got < FIRST_CHUNK ? size - *got : FIRST_CHUNK;
        int n = gzread(file->stream, bytes + *got, (unsigned)part);
        if (n < 0) {
            return read_failed(file);
        }
        if (n == 0) {
            break;
        }
        *got += (size_t)n;
    }
    int code;
    gzerror(file->stream, &code);
    return code == Z_OK || code == Z_STREAM_END ? CG_OK : read_failed(file); /* a packed file that is cut short */
}

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static cg_status read_words(const idx_file *file, uint32_t *words, int count) {
    uint8_t bytes[16];
    size_t got;
    CG_TRY(read_some(file, bytes, (size_t)count * 4, &got));
    if (got < (size_t)count * 4) {
        return cg_fail(CG_ERR_FORMAT, "%s: it ends inside its header", file->path);
    }
    for (int i = 0; i < count; i++) {
        words[i] = big_endian(bytes + 4 * i);
    }
    return CG_OK;
}

static cg_status read_dimensions(idx_file *file) {
    uint32_t words[4] = {0};
    CG_TRY(read_words(file, words, file->rank));
    file->size = 1;
    for (int i = 0; i < file->rank; i++) {
        if (words[i] == 0) {
            return cg_fail(CG_ERR_FORMAT, "%s: dimension %d of %d is 0", file->path, i, file->rank);
        }
        if (file->size > SIZE_MAX / 4 / words[i]) {
            return cg_fail(CG_ERR_FORMAT, "%s: dimension %d of %d is %u: too large", file->path, i, file->rank,
                           words[i]);
        }
        file->dim[i] = words[i];
        file->size *= words[i];
    }
    return CG_OK;
}

/* Images have three dimensions, or four with channels; classes have one. */
static cg_status read_header(idx_file *file, bool images) {
    uint32_t magic = 0;
    CG_TRY(read_words(file, &magic, 1));
    bool right = images ? magic == MAGIC_BYTES + 3 || magic == MAGIC_BYTES + 4 : magic == MAGIC_BYTES + 1;
    if (!right) {
        return cg_fail(CG_ERR_FORMAT, "%s: magic number 0x%08x, a file of %s begins with 0x%08x", file->path, magic,
                       images ? "images" : "classes", MAGIC_BYTES + (images ? 3 : 1));
    }
    file->rank = (int)(magic - MAGIC_BYTES);
    return read_dimensions(file);
}

/* Reads the bytes after the header and makes sure that nothing follows. Memory never exceeds twice what was read. */
static cg_status read_body(const idx_file *file, uint8_t **bytes) {
    size_t done = 0, capacity = 0, got = 0;
    while (done < file->size) {
        capacity = capacity == 0 ? FIRST_CHUNK : 2 * capacity;
        capacity = capacity < file->size ? capacity : file->size;
        uint8_t *larger = cg_realloc(*bytes, capacity);
        if (larger == NULL) {
            return CG_ERR_MEMORY;
        }
        *bytes = larger;
        CG_TRY(read_some(file, larger + done, capacity - done, &got));
        done += got;
        if (done < capacity) {
            return cg_fail(CG_ERR_FORMAT, "%s: it has %zu bytes after its header, which promises %zu", file->path, done,
                           file->size);
        }
    }
    uint8_t more;
    CG_TRY(read_some(file, &more, 1, &got));
    if (got > 0) {
        return cg_fail(CG_ERR_FORMAT, "%s: it goes on after the %zu bytes that its header promises", file->path,
                       file->size);
    }
    return CG_OK;
}

static cg_status read_file(idx_file *file, bool images, uint8_t **bytes) {
    *bytes = NULL;
    struct stat facts;
    if (stat(file->path, &facts) != 0) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", file->path, strerror(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: it is not a regular file", file->path);
    }
    errno = 0;
    file->stream = gzopen(file->path, "rb"); /* reads files that are not packed as they are */
    if (file->stream == NULL) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", file->path, strerror(errno != 0 ? errno : ENOMEM));
    }
    cg_status status = read_header(file, images);
    if (status == CG_OK) {
        status = read_body(file, bytes);
    }
    gzclose_r(file->stream);
    if (status != CG_OK) {
        cg_free(*bytes);
        *bytes = NULL;
    }
    return status;
}

cg_status cg_idx_read_images(const char *path, cg_samples *samples) {
    idx_file file = {.path = path};
    uint8_t *bytes;
    CG_TRY(read_file(&file, true, &bytes));
    samples->values = bytes;
    samples->dtype = CG_U8;
    samples->count = file.dim[0];
    samples->shape = CG_SHAPE(file.rank == 4 ? file.dim[1] : 1, file.dim[file.rank - 2], file.dim[file.rank - 1]);
    return CG_OK;
}

cg_status cg_idx_read_classes(const char *path, int64_t **classes, int64_t *count) {
    idx_file file = {.path = path};
    uint8_t *bytes;
    *classes = NULL;
    CG_TRY(read_file(&file, false, &bytes));
    *count = file.dim[0];
    *classes = cg_alloc((size_t)*count * sizeof **classes);
    for (int64_t i = 0; *classes != NULL && i < *count; i++) {
        (*classes)[i] = bytes[i];
    }
    cg_free(bytes);
    return *classes != NULL ? CG_OK : CG_ERR_MEMORY;
}
