/* Numbers that grow past the memory for data: into a file without a name, which the system pages. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"

#define FIRST 4096

/* A file that is gone with its descriptor. */
static cg_status make_file(cg_store *store) {
    const char *folder = getenv("TMPDIR");
    char path[1024];
    int length = snprintf(path, sizeof path, "%s/clgrad-XXXXXX", folder != NULL && *folder != '\0' ? folder : "/tmp");
    if (length < 0 || (size_t)length >= sizeof path) {
        return cg_fail(CG_ERR_FILE, "the name of the folder TMPDIR is too long");
    }
    store->descriptor = mkstemp(path);
    if (store->descriptor < 0) {
        return cg_fail(CG_ERR_FILE,
                       "the table is larger than the memory for data, and no file for it can be made in %s: %s", path,
                       strerror(errno));
    }
    unlink(path);
    store->in_file = true;
    return CG_OK;
}

static cg_status no_room(size_t bytes) {
    return cg_fail(CG_ERR_FILE, "the table is larger than the memory for data, and a file of %zu bytes for it %s: %s",
                   bytes, "(in TMPDIR, else /tmp) has no room", strerror(errno));
}

/* Space is taken at once: a full disk would be a crash when it is written to. */
static cg_status grow_file(cg_store *store, size_t capacity) {
    size_t bytes = capacity * sizeof *store->values;
    int failure = posix_fallocate(store->descriptor, 0, (off_t)bytes);
    errno = failure;
    void *mapped =
        failure == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, store->descriptor, 0) : MAP_FAILED;
    if (mapped == MAP_FAILED) {
        return no_room(bytes);
    }
    if (store->mapped > 0) {
        munmap(store->values, store->mapped);
    } else if (store->count > 0) {
        memcpy(mapped, store->values, store->count * sizeof *store->values);
        cg_free(store->values);
    }
    store->values = mapped;
    store->mapped = bytes;
    store->capacity = capacity;
    return CG_OK;
}

static cg_status grow(cg_store *store) {
    size_t capacity = store->capacity > 0 ? store->capacity + store->capacity / 2 : FIRST;
    if (store->in_file || capacity > (size_t)store->memory / sizeof *store->values) {
        CG_TRY(store->in_file ? CG_OK : make_file(store));
        return grow_file(store, capacity);
    }
    double *larger = cg_realloc(store->values, capacity * sizeof *larger);
    if (larger == NULL) {
        return CG_ERR_MEMORY;
    }
    store->values = larger;
    store->capacity = capacity;
    return CG_OK;
}

cg_status cg_store_add(cg_store *store, double value) {
    if (store->count == store->capacity) {
        CG_TRY(grow(store));
    }
    store->values[store->count++] = value;
    return CG_OK;
}

void cg_store_give(cg_store *store, cg_samples *samples) {
    samples->values = store->values;
    samples->memory = store->values;
    samples->mapped = store->mapped;
    store->values = NULL;
    store->mapped = 0;
}

void cg_store_free(cg_store *store) {
    if (store->mapped > 0) {
        munmap(store->values, store->mapped);
    } else {
        cg_free(store->values);
    }
    if (store->in_file) {
        close(store->descriptor); /* a mapping that was given away stays */
    }
    *store = (cg_store){0};
}
