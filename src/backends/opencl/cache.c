/*
 * Compiled programs on disk, one file each, named by a hash of all that the program depends on. The whole of that
 * stands in the file, too, so a collision of hashes is seen, and a checksum shows damage: a file that does not fit is
 * as good as none. Nothing here fails: without a cache programs are compiled again.
 */
#include "ocl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "cgocl-1";

#define KEY_PARTS 3
#define LARGEST_FILE ((size_t)256 << 20)

typedef struct hash {
    uint64_t low, high;
} hash;

typedef struct header {
    char magic[8];
    uint64_t key_bytes[KEY_PARTS];
    uint64_t binary_bytes;
    hash checksum; /* of key and binary */
} header;

/* The finalizer of MurmurHash3: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

static hash hash_bytes(hash h, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        h.low = (h.low ^ at[i]) * 0x100000001b3u;
        h.high = (h.high + at[i]) * 0x9e3779b97f4a7c15u;
        h.high ^= h.high >> 29;
    }
    return (hash){mix(h.low + h.high), mix(h.high ^ bytes)};
}

static hash hash_key(const ocl_cache_key *key) {
    hash h = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
    for (int i = 0; i < KEY_PARTS; i++) {
        h = hash_bytes(h, key->parts[i], strlen(key->parts[i]));
    }
    return h;
}

/* False when there is no cache folder or its name is too long. */
static bool path_of(const cg_host *host, const ocl_cache_key *key, char *path, size_t size) {
    const char *folder = host->cache_folder();
    hash h = hash_key(key);
    int length = folder == NULL ? -1
                                : snprintf(path, size, "%s/opencl-%016llx%016llx.bin", folder,
                                           (unsigned long long)h.high, (unsigned long long)h.low);
    return length > 0 && (size_t)length < size;
}

static header header_of(const ocl_cache_key *key, const unsigned char *binary, size_t bytes) {
    header h = {.binary_bytes = bytes};
    memcpy(h.magic, magic, sizeof magic);
    for (int i = 0; i < KEY_PARTS; i++) {
        h.key_bytes[i] = strlen(key->parts[i]);
    }
    h.checksum = hash_bytes(hash_key(key), binary, bytes);
    return h;
}

/* The next bytes of the file are these. */
static bool matches(FILE *file, const char *expected, size_t bytes) {
    char part[4096];
    while (bytes > 0) {
        size_t step = bytes < sizeof part ? bytes : sizeof part;
        if (fread(part, 1, step, file) != step || memcmp(part, expected, step) != 0) {
            return false;
        }
        expected += step;
        bytes -= step;
    }
    return true;
}

/* The binary behind a header and a key that fit; NULL otherwise. */
static unsigned char *read_binary(const cg_host *host, FILE *file, const ocl_cache_key *key, size_t *bytes) {
    header found;
    if (fread(&found, sizeof found, 1, file) != 1 || found.binary_bytes == 0 || found.binary_bytes > LARGEST_FILE) {
        return NULL;
    }
    for (int i = 0; i < KEY_PARTS; i++) {
        if (found.key_bytes[i] != strlen(key->parts[i]) || !matches(file, key->parts[i], found.key_bytes[i])) {
            return NULL;
        }
    }
    unsigned char *binary = host->alloc(found.binary_bytes);
    if (binary == NULL || fread(binary, 1, found.binary_bytes, file) != found.binary_bytes) {
        host->free(binary);
        return NULL;
    }
    header expected = header_of(key, binary, found.binary_bytes);
    if (memcmp(&expected, &found, sizeof found) != 0) {
        host->free(binary);
        return NULL;
    }
    *bytes = found.binary_bytes;
    return binary;
}

unsigned char *ocl_cache_load(const cg_host *host, const ocl_cache_key *key, size_t *bytes) {
    char path[1024];
    FILE *file = path_of(host, key, path, sizeof path) ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        return NULL;
    }
    unsigned char *binary = read_binary(host, file, key, bytes);
    if (binary != NULL) {
        futimens(fileno(file), NULL); /* used now: what was not for longest goes first */
    }
    fclose(file);
    return binary;
}

static bool write_file(FILE *file, const ocl_cache_key *key, const unsigned char *binary, size_t bytes) {
    header h = header_of(key, binary, bytes);
    bool good = fwrite(&h, sizeof h, 1, file) == 1;
    for (int i = 0; i < KEY_PARTS; i++) {
        good = good && fwrite(key->parts[i], 1, h.key_bytes[i], file) == h.key_bytes[i];
    }
    return good && fwrite(binary, 1, bytes, file) == bytes;
}

bool ocl_cache_save(const cg_host *host, const ocl_cache_key *key, const unsigned char *binary, size_t bytes) {
    char path[1024], temporary[1040];
    if (!path_of(host, key, path, sizeof path)) {
        return false;
    }
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int descriptor = mkstemp(temporary);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
    if (file == NULL) {
        if (descriptor >= 0) {
            close(descriptor);
            unlink(temporary);
        }
        return false;
    }
    bool good = write_file(file, key, binary, bytes);
    if (fclose(file) != 0 || !good || rename(temporary, path) != 0) {
        unlink(temporary);
        return false;
    }
    host->cache_added();
    return true;
}
