/* Opening safetensors files: every promise of the format is checked here, before anybody uses a tensor. */
#include "safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "file.h"

#define LENGTH_BYTES 8
#define LARGEST_EXACT 9007199254740992.0 /* 2^53: JSON numbers are read as doubles */

struct cg_safetensors {
    char *path;
    char *owned; /* the file's bytes when cg_safetensors_open read them */
    cJSON *header;
    const cJSON *metadata;
    const char *data;
    size_t data_size;
    cg_stored *tensors;
    size_t count;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {{"?", 0},
#define X(name, size) {#name, size},
              CG_STORED_MAP(X)
#undef X
};

size_t cg_stored_dtype_size(cg_stored_dtype dtype) {
    return dtypes[dtype].size;
}

const char *cg_stored_dtype_name(cg_stored_dtype dtype) {
    return dtypes[dtype].name;
}

static cg_stored_dtype find_dtype(const char *name) {
    for (size_t i = 1; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            return (cg_stored_dtype)i;
        }
    }
    return CG_STORED_OTHER;
}

static bool read_count(const cJSON *item, size_t *value) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > LARGEST_EXACT) {
        return false;
    }
    *value = (size_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

static cg_status read_shape(const cg_safetensors *file, const cJSON *list, cg_stored *tensor) {
    int rank = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (rank < 0 || rank > CG_MAX_RANK) {
        return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": shape must be a list of at most %d sizes", file->path,
                       tensor->name, CG_MAX_RANK);
    }
    tensor->shape.rank = rank;
    int i = 0;
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        size_t size;
        if (!read_count(item, &size)) {
            return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": size %d of its shape is no count", file->path,
                           tensor->name, i);
        }
        tensor->shape.dim[i++] = (int64_t)size;
    }
    return CG_OK;
}

/* The bytes that shape and dtype ask for; false when no size_t holds them. */
static bool expected_bytes(const cg_stored *tensor, size_t *bytes) {
    size_t product = tensor->dtype == CG_STORED_OTHER ? 1 : dtypes[tensor->dtype].size;
    for (int i = 0; i < tensor->shape.rank; i++) {
        size_t size = (size_t)tensor->shape.dim[i];
        if (size > 0 && product > SIZE_MAX / 2 / size) {
            return false;
        }
        product *= size;
    }
    *bytes = product;
    return true;
}

static cg_status read_offsets(const cg_safetensors *file, const cJSON *list, cg_stored *tensor) {
    size_t begin, end, bytes = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 || !read_count(list->child, &begin) ||
        !read_count(list->child->next, &end)) {
        return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": data_offsets must be two counts", file->path, tensor->name);
    }
    if (begin > end || end > file->data_size) {
        return cg_fail(CG_ERR_FORMAT,
                       "%s: tensor \"%s\": its data is at %zu to %zu, but the file has %zu bytes of data", file->path,
                       tensor->name, begin, end, file->data_size);
    }
    if (!expected_bytes(tensor, &bytes)) {
        return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": shape %s is too large", file->path, tensor->name,
                       cg_shape_print(&tensor->shape, CG_SHAPE_TEXT));
    }
    if (tensor->dtype != CG_STORED_OTHER && bytes != end - begin) {
        return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": %s %s is %zu bytes, its data_offsets give %zu", file->path,
                       tensor->name, tensor->dtype_name, cg_shape_print(&tensor->shape, CG_SHAPE_TEXT), bytes,
                       end - begin);
    }
    tensor->data = file->data + begin;
    tensor->bytes = end - begin;
    return CG_OK;
}

static cg_status read_tensor(const cg_safetensors *file, const cJSON *item, cg_stored *tensor) {
    tensor->name = item->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    bool complete = cJSON_IsObject(item) && cJSON_IsString(dtype) && shape != NULL && offsets != NULL;
    if (!complete || cJSON_GetArraySize(item) != 3) { /* three members, all found: none is there twice */
        return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\" must have dtype, shape and data_offsets and nothing else",
                       file->path, tensor->name);
    }
    tensor->dtype_name = dtype->valuestring;
    tensor->dtype = find_dtype(tensor->dtype_name);
    CG_TRY(read_shape(file, shape, tensor));
    return read_offsets(file, offsets, tensor);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const cg_stored *)a)->name, ((const cg_stored *)b)->name);
}

static int by_place(const void *a, const void *b) {
    const cg_stored *first = a, *second = b;
    const char *x = first->data, *y = second->data;
    if (x != y) {
        return x < y ? -1 : 1;
    }
    return (first->bytes > second->bytes) - (first->bytes < second->bytes);
}

static cg_status check_places(cg_safetensors *file) {
    qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    size_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        const cg_stored *tensor = &file->tensors[i];
        size_t begin = (size_t)((const char *)tensor->data - file->data);
        if (begin != end) {
            return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\": its data begins at %zu, the one before ends at %zu (%s)",
                           file->path, tensor->name, begin, end, begin < end ? "they overlap" : "there is a hole");
        }
        end += tensor->bytes;
    }
    if (end != file->data_size) {
        return cg_fail(CG_ERR_FORMAT, "%s: the tensors have %zu bytes of data, the file has %zu", file->path, end,
                       file->data_size);
    }
    return CG_OK;
}

static cg_status check_names(cg_safetensors *file) {
    qsort(file->tensors, file->count, sizeof *file->tensors, by_name);
    for (size_t i = 1; i < file->count; i++) {
        if (by_name(&file->tensors[i - 1], &file->tensors[i]) == 0) {
            return cg_fail(CG_ERR_FORMAT, "%s: tensor \"%s\" is there twice", file->path, file->tensors[i].name);
        }
    }
    return CG_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static cg_status check_metadata_keys(const cg_safetensors *file, size_t count) {
    const char **keys = cg_alloc(count * sizeof *keys);
    if (keys == NULL) {
        return CG_ERR_MEMORY;
    }
    size_t n = 0;
    for (const cJSON *item = file->metadata->child; item != NULL; item = item->next) {
        keys[n++] = item->string;
    }
    qsort(keys, n, sizeof *keys, by_text);
    cg_status status = CG_OK;
    for (size_t i = 1; i < n && status == CG_OK; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            status = cg_fail(CG_ERR_FORMAT, "%s: metadata \"%s\" is there twice", file->path, keys[i]);
        }
    }
    cg_free(keys);
    return status;
}

static cg_status read_metadata(cg_safetensors *file, const cJSON *item) {
    if (!cJSON_IsObject(item) || file->metadata != NULL) {
        return cg_fail(CG_ERR_FORMAT, "%s: __metadata__ %s", file->path,
                       file->metadata != NULL ? "is there twice" : "must be an object");
    }
    file->metadata = item;
    size_t count = 0;
    for (const cJSON *text = item->child; text != NULL; text = text->next) {
        if (!cJSON_IsString(text)) {
            return cg_fail(CG_ERR_FORMAT, "%s: metadata \"%s\" must be a string", file->path, text->string);
        }
        count++;
    }
    return check_metadata_keys(file, count);
}

static cg_status read_entries(cg_safetensors *file) {
    size_t members = (size_t)cJSON_GetArraySize(file->header);
    file->tensors = cg_alloc_zero(members, sizeof *file->tensors);
    if (file->tensors == NULL) {
        return CG_ERR_MEMORY;
    }
    for (const cJSON *item = file->header->child; item != NULL; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            CG_TRY(read_metadata(file, item));
        } else {
            CG_TRY(read_tensor(file, item, &file->tensors[file->count++]));
        }
    }
    CG_TRY(check_places(file));
    return check_names(file);
}

/* What the JSON parser lets pass: bytes that are no UTF-8, control characters, which it takes for white space, and an
 * escaped 0, which would cut a name. */
static cg_status check_header_text(const char *path, const char *text, size_t length) {
    if (length == 0 || text[0] != '{') {
        return cg_fail(CG_ERR_FORMAT, "%s: the header must begin with {", path);
    }
    if (!cg_utf8_valid(text, length)) {
        return cg_fail(CG_ERR_FORMAT, "%s: the header is not UTF-8", path);
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool escaped_zero = c == '\\' && length - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0;
        if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || escaped_zero) {
            return cg_fail(CG_ERR_FORMAT, "%s: the header has a control character at byte %zu", path, i);
        }
    }
    return CG_OK;
}

static cg_status parse_header(cg_safetensors *file, const char *text, size_t length) {
    CG_TRY(check_header_text(file->path, text, length));
    const char *end = NULL;
    file->header = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!cJSON_IsObject(file->header)) {
        size_t at = end != NULL ? (size_t)(end - text) : 0;
        return cg_fail(CG_ERR_FORMAT, "%s: the header is no JSON object: parsing stopped at byte %zu", file->path, at);
    }
    for (const char *rest = end; rest < text + length; rest++) {
        if (strchr(" \n\r\t", *rest) == NULL) {
            return cg_fail(CG_ERR_FORMAT, "%s: the header goes on after its object at byte %zu", file->path,
                           (size_t)(rest - text));
        }
    }
    return CG_OK;
}

static uint64_t read_length(const unsigned char *bytes) {
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    return length;
}

static cg_status parse(cg_safetensors *file, const char *bytes, size_t size) {
    if (size < LENGTH_BYTES) {
        return cg_fail(CG_ERR_FORMAT, "%s is no safetensors file: %zu bytes", file->path, size);
    }
    uint64_t length = read_length((const unsigned char *)bytes);
    if (length > CG_SAFETENSORS_HEADER_LIMIT || length > size - LENGTH_BYTES) {
        return cg_fail(CG_ERR_FORMAT,
                       "%s is no safetensors file, or it is cut short: a header of %llu bytes in a file of %zu "
                       "(at most %u are allowed)",
                       file->path, (unsigned long long)length, size, CG_SAFETENSORS_HEADER_LIMIT);
    }
    file->data = bytes + LENGTH_BYTES + length;
    file->data_size = size - LENGTH_BYTES - (size_t)length;
    CG_TRY(parse_header(file, bytes + LENGTH_BYTES, (size_t)length));
    return read_entries(file);
}

cg_status cg_safetensors_parse(const char *path, const void *bytes, size_t size, cg_safetensors **file) {
    *file = NULL;
    cg_safetensors *opened = cg_alloc_zero(1, sizeof *opened);
    if (opened == NULL) {
        return CG_ERR_MEMORY;
    }
    opened->path = cg_strdup(path);
    cg_status status = opened->path != NULL ? parse(opened, bytes, size) : CG_ERR_MEMORY;
    if (status != CG_OK) {
        cg_safetensors_close(opened);
        return status;
    }
    *file = opened;
    return CG_OK;
}

cg_status cg_safetensors_open(const char *path, cg_safetensors **file) {
    *file = NULL;
    char *bytes;
    size_t size;
    CG_TRY(cg_file_read(path, SIZE_MAX, &bytes, &size));
    cg_status status = cg_safetensors_parse(path, bytes, size, file);
    if (status != CG_OK) {
        cg_free(bytes);
        return status;
    }
    (*file)->owned = bytes;
    return CG_OK;
}

void cg_safetensors_close(cg_safetensors *file) {
    if (file != NULL) {
        cJSON_Delete(file->header);
        cg_free(file->tensors);
        cg_free(file->owned);
        cg_free(file->path);
        cg_free(file);
    }
}

size_t cg_safetensors_count(const cg_safetensors *file) {
    return file->count;
}

const cg_stored *cg_safetensors_tensor(const cg_safetensors *file, size_t index) {
    return index < file->count ? &file->tensors[index] : NULL;
}

const cg_stored *cg_safetensors_find(const cg_safetensors *file, const char *name) {
    cg_stored wanted = {.name = name};
    return bsearch(&wanted, file->tensors, file->count, sizeof *file->tensors, by_name);
}

const char *cg_safetensors_metadata(const cg_safetensors *file, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file->metadata, key));
}

size_t cg_safetensors_metadata_count(const cg_safetensors *file) {
    return (size_t)cJSON_GetArraySize(file->metadata);
}

cg_stored_text cg_safetensors_metadata_at(const cg_safetensors *file, size_t index) {
    const cJSON *item = cJSON_GetArrayItem(file->metadata, (int)index);
    return item != NULL ? (cg_stored_text){item->string, item->valuestring} : (cg_stored_text){NULL, NULL};
}
