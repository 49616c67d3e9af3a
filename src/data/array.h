/* NumPy's arrays: .npy files, and the .npz archives of them. Private to this folder. */
#ifndef CLGRAD_ARRAY_H
#define CLGRAD_ARRAY_H

#include <clgrad/tensor.h>

/* An array in memory or in a mapped file. Zero-initialised is empty. */
typedef struct cg_array {
    cg_dtype dtype;
    cg_shape shape;
    const void *values; /* inside `memory`; need not be aligned */
    void *memory;
    size_t mapped; /* bytes of the mapping that `memory` is; 0: it is of the heap */
} cg_array;

/* Reads a file; one larger than `memory` bytes is mapped. Errors name the path: CG_ERR_FILE, CG_ERR_FORMAT. */
cg_status cg_npy_open(const char *path, int64_t memory, cg_array *array) CG_MUST_USE;
void cg_array_free(cg_array *array);

/* Makes sense of the bytes of a .npy file, which array->memory holds; `name` is for messages. */
cg_status cg_npy_parse(const char *name, const uint8_t *bytes, size_t size, cg_array *array) CG_MUST_USE;

/* An archive, whole in memory. */
typedef struct cg_npz {
    const char *path;
    char *bytes;
    size_t size;
} cg_npz;

cg_status cg_npz_open(const char *path, cg_npz *npz) CG_MUST_USE;
void cg_npz_close(cg_npz *npz);

/* Unpacks an array by its name without ".npy"; *found is false when there is none. */
cg_status cg_npz_find(const cg_npz *npz, const char *name, cg_array *array, bool *found) CG_MUST_USE;

#endif
