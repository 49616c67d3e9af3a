/* The .npz format: a ZIP archive of .npy files, stored or deflated. Its central directory is at the end. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "alloc.h"
#include "array.h"
#include "file.h"

#define END_SIZE 22
#define ENTRY_SIZE 46
#define LOCAL_SIZE 30
#define LONGEST_COMMENT 65535

/* A file of the archive, as the directory describes it. */
typedef struct entry {
    uint32_t method, crc, packed, size, offset;
    char name[280]; /* for messages: the archive's, then its own */
} entry;

static uint32_t little(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        value |= (uint32_t)bytes[i] << (8 * i);
    }
    return value;
}

static cg_status damaged(const char *path, const char *what) {
    return cg_fail(CG_ERR_FORMAT, "%s: damaged archive: %s", path, what);
}

cg_status cg_npz_open(const char *path, cg_npz *npz) {
    *npz = (cg_npz){.path = path};
    return cg_file_read(path, UINT32_MAX, &npz->bytes, &npz->size);
}

void cg_npz_close(cg_npz *npz) {
    cg_free(npz->bytes);
    *npz = (cg_npz){0};
}

/* The end of the directory, looked for from the end of the file: a comment may follow it. */
static cg_status find_end(const cg_npz *npz, const uint8_t **end) {
    const uint8_t *bytes = (const uint8_t *)npz->bytes;
    for (size_t back = END_SIZE; back <= npz->size && back <= END_SIZE + LONGEST_COMMENT; back++) {
        *end = bytes + npz->size - back;
        if (memcmp(*end, "PK\5\6", 4) == 0) {
            return CG_OK;
        }
    }
    return cg_fail(CG_ERR_FORMAT, "%s: not an archive that NumPy saved, or cut short", npz->path);
}

/* Reads the entry at *at, which goes on behind it, and its name. */
static cg_status read_entry(const cg_npz *npz, size_t *at, entry *e, const char **name, size_t *length) {
    const uint8_t *bytes = (const uint8_t *)npz->bytes + *at;
    if (npz->size < ENTRY_SIZE || *at > npz->size - ENTRY_SIZE || memcmp(bytes, "PK\1\2", 4) != 0) {
        return damaged(npz->path, "an entry of its directory is missing");
    }
    *e = (entry){.method = little(bytes + 10, 2),
                 .crc = little(bytes + 16, 4),
                 .packed = little(bytes + 20, 4),
                 .size = little(bytes + 24, 4),
                 .offset = little(bytes + 42, 4)};
    *name = (const char *)bytes + ENTRY_SIZE;
    *length = little(bytes + 28, 2);
    size_t whole = ENTRY_SIZE + *length + little(bytes + 30, 2) + little(bytes + 32, 2);
    if (whole > npz->size - *at) {
        return damaged(npz->path, "its directory is cut short");
    }
    *at += whole;
    return CG_OK;
}

/* Where the entry's bytes begin: its local header has a name and extras of its own. */
static cg_status find_bytes(const cg_npz *npz, const entry *e, const uint8_t **bytes) {
    if (e->packed == UINT32_MAX || e->size == UINT32_MAX || e->offset == UINT32_MAX) {
        return cg_fail(CG_ERR_FORMAT, "%s: larger than 4 GiB (zip64): save x and y as two .npy files", e->name);
    }
    const uint8_t *local = (const uint8_t *)npz->bytes + e->offset;
    if (npz->size < LOCAL_SIZE || e->offset > npz->size - LOCAL_SIZE || memcmp(local, "PK\3\4", 4) != 0) {
        return damaged(e->name, "it is not where the directory says");
    }
    size_t begin = e->offset + LOCAL_SIZE + little(local + 26, 2) + little(local + 28, 2);
    if (begin > npz->size || e->packed > npz->size - begin) {
        return damaged(e->name, "it is cut short");
    }
    *bytes = (const uint8_t *)npz->bytes + begin;
    return CG_OK;
}

static cg_status inflate_bytes(const entry *e, const uint8_t *packed, uint8_t *to) {
    z_stream stream = {.next_in = (Bytef *)packed, .avail_in = e->packed, .next_out = to, .avail_out = e->size};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
        return cg_fail(CG_ERR_MEMORY, "%s: zlib found no memory", e->name);
    }
    int result = inflate(&stream, Z_FINISH);
    bool whole = result == Z_STREAM_END && stream.total_out == e->size;
    inflateEnd(&stream);
    return whole ? CG_OK : damaged(e->name, "it does not unpack");
}

static cg_status unpack(const entry *e, const uint8_t *bytes, uint8_t *to) {
    if (e->method == 8) {
        CG_TRY(inflate_bytes(e, bytes, to));
    } else if (e->method == 0 && e->packed == e->size) {
        memcpy(to, bytes, e->size);
    } else {
        return cg_fail(CG_ERR_FORMAT, "%s: packed by method %u: stored and deflated files are read", e->name,
                       e->method);
    }
    return crc32(0, to, e->size) == e->crc ? CG_OK : damaged(e->name, "its check sum is wrong");
}

static cg_status read_array(const cg_npz *npz, const entry *e, cg_array *array) {
    const uint8_t *bytes = NULL;
    CG_TRY(find_bytes(npz, e, &bytes));
    array->memory = cg_alloc((size_t)e->size + 1);
    if (array->memory == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = unpack(e, bytes, array->memory);
    if (status == CG_OK) {
        status = cg_npy_parse(e->name, array->memory, e->size, array);
    }
    if (status != CG_OK) {
        cg_array_free(array);
    }
    return status;
}

cg_status cg_npz_find(const cg_npz *npz, const char *name, cg_array *array, bool *found) {
    const uint8_t *end = NULL;
    *array = (cg_array){0};
    *found = false;
    CG_TRY(find_end(npz, &end));
    size_t at = little(end + 16, 4), length = 0, wanted = strlen(name);
    for (uint32_t left = little(end + 10, 2); left > 0; left--) {
        entry e;
        const char *file = NULL;
        CG_TRY(read_entry(npz, &at, &e, &file, &length));
        if (length == wanted + 4 && memcmp(file, name, wanted) == 0 && memcmp(file + wanted, ".npy", 4) == 0) {
            *found = true;
            snprintf(e.name, sizeof e.name, "%.200s, array %.60s", npz->path, name);
            return read_array(npz, &e, array);
        }
    }
    return CG_OK;
}
