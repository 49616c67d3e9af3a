/*
 * The safetensors format: u64 little-endian length of a JSON header, the header {name: {dtype, shape, data_offsets}},
 * the data. Everything the format promises is checked when a file is opened, so that a reader can trust every entry:
 * the data areas follow each other from 0 without overlap or hole, each as long as shape and dtype say, to the file's
 * last byte. Little-endian machines only, as the bytes are used in place.
 */
#ifndef CLGRAD_SAFETENSORS_H
#define CLGRAD_SAFETENSORS_H

#include <clgrad/types.h>

#define CG_SAFETENSORS_HEADER_LIMIT 100000000u

/* X(name in the file and here, bytes of an element) */
#define CG_STORED_MAP(X)                                                                                               \
    X(F64, 8) X(F32, 4) X(F16, 2) X(BF16, 2) X(I64, 8) X(I32, 4) X(I16, 2) X(I8, 1) X(U8, 1) X(BOOL, 1)

/* CG_STORED_OTHER: a dtype that this library does not know. Such a tensor may be in a file; it cannot be read. */
typedef enum cg_stored_dtype {
    CG_STORED_OTHER = 0,
#define X(name, size) CG_STORED_##name,
    CG_STORED_MAP(X)
#undef X
} cg_stored_dtype;

/* One tensor in a file. `data` may be unaligned: read it with the functions below or with memcpy. */
typedef struct cg_stored {
    const char *name;
    cg_stored_dtype dtype;
    const char *dtype_name; /* as in the file; not used when writing */
    cg_shape shape;
    const void *data;
    size_t bytes;
} cg_stored;

typedef struct cg_stored_text {
    const char *key, *value;
} cg_stored_text;

typedef struct cg_safetensors cg_safetensors;

/* Opens a file, or bytes that the caller keeps until close (`path` is for messages). Errors: CG_ERR_FILE, CG_ERR_FORMAT
 * (names the file and the tensor). */
cg_status cg_safetensors_open(const char *path, cg_safetensors **file) CG_MUST_USE;
cg_status cg_safetensors_parse(const char *path, const void *bytes, size_t size, cg_safetensors **file) CG_MUST_USE;
void cg_safetensors_close(cg_safetensors *file);

/* Tensors in the order of their names. Everything belongs to the file. */
size_t cg_safetensors_count(const cg_safetensors *file);
const cg_stored *cg_safetensors_tensor(const cg_safetensors *file, size_t index);
const cg_stored *cg_safetensors_find(const cg_safetensors *file, const char *name);

/* The metadata: the value of a key, NULL when it is not there; and all of it in the order of the file. */
const char *cg_safetensors_metadata(const cg_safetensors *file, const char *key);
size_t cg_safetensors_metadata_count(const cg_safetensors *file);
cg_stored_text cg_safetensors_metadata_at(const cg_safetensors *file, size_t index);

size_t cg_stored_dtype_size(cg_stored_dtype dtype);
const char *cg_stored_dtype_name(cg_stored_dtype dtype);

/* Whether the values are floating-point numbers: f64, f32, f16, bf16. */
bool cg_stored_is_real(cg_stored_dtype dtype);

/* All elements with conversion, rounded to nearest; integers for _i64, which are I64, I32, I16, I8, U8 and BOOL, for
 * the others these too. CG_ERR_DTYPE for a dtype that does not fit. */
cg_status cg_stored_read_f32(const cg_stored *tensor, float *values) CG_MUST_USE;
cg_status cg_stored_read_f64(const cg_stored *tensor, double *values) CG_MUST_USE;
cg_status cg_stored_read_i64(const cg_stored *tensor, int64_t *values) CG_MUST_USE;

/* Writes a file in one step (see file.h). The same tensors and texts give the same bytes: tensors are ordered by the
 * size of their elements, then by name; texts stay in their order. Names and texts must be UTF-8. */
cg_status cg_safetensors_write(const char *path, const cg_stored *tensors, size_t count, const cg_stored_text *texts,
                               size_t text_count) CG_MUST_USE;

/* Whether the bytes are valid UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
bool cg_utf8_valid(const char *bytes, size_t length);

#endif
