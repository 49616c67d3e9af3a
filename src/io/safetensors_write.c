/* Writing safetensors files: the header's text, then the data, through the atomic writer of file.c. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "file.h"
#include "safetensors.h"
#include "text.h"

static cg_status append_string(cg_text *header, const char *text) {
    if (!cg_utf8_valid(text, strlen(text))) {
        return cg_fail(CG_ERR_ARGUMENT, "a name or text for a safetensors file must be UTF-8: \"%s\"", text);
    }
    cg_text_append(header, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            cg_text_append(header, "\\%c", *c);
        } else if ((unsigned char)*c < ' ') {
            cg_text_append(header, "\\u%04x", (unsigned)*c);
        } else {
            cg_text_append_bytes(header, c, 1);
        }
    }
    cg_text_append(header, "\"");
    return CG_OK;
}

static cg_status append_metadata(cg_text *header, const cg_stored_text *texts, size_t count) {
    cg_text_append(header, "\"__metadata__\":{");
    for (size_t i = 0; i < count; i++) {
        cg_text_append(header, i > 0 ? "," : "");
        CG_TRY(append_string(header, texts[i].key));
        cg_text_append(header, ":");
        CG_TRY(append_string(header, texts[i].value));
    }
    cg_text_append(header, "}");
    return CG_OK;
}

static cg_status append_tensor(cg_text *header, const cg_stored *tensor, size_t begin) {
    CG_TRY(append_string(header, tensor->name));
    cg_text_append(header, ":{\"dtype\":\"%s\",\"shape\":[", cg_stored_dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->shape.rank; i++) {
        cg_text_append(header, "%s%lld", i > 0 ? "," : "", (long long)tensor->shape.dim[i]);
    }
    cg_text_append(header, "],\"data_offsets\":[%zu,%zu]}", begin, begin + tensor->bytes);
    return CG_OK;
}

static cg_status build_header(cg_text *header, const cg_stored *sorted, size_t count, const cg_stored_text *texts,
                              size_t text_count) {
    cg_text_append(header, "{");
    if (text_count > 0) {
        CG_TRY(append_metadata(header, texts, text_count));
    }
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        cg_text_append(header, i > 0 || text_count > 0 ? "," : "");
        CG_TRY(append_tensor(header, &sorted[i], begin));
        begin += sorted[i].bytes;
    }
    cg_text_append(header, "}");
    while (header->length % 8 != 0 && !header->failed) {
        cg_text_append(header, " ");
    }
    if (header->failed) {
        return CG_ERR_MEMORY;
    }
    return header->length <= CG_SAFETENSORS_HEADER_LIMIT
               ? CG_OK
               : cg_fail(CG_ERR_ARGUMENT, "a safetensors header of %zu bytes is too long", header->length);
}

/* Large elements first, so that every tensor is aligned; then by name. */
static int by_size_and_name(const void *a, const void *b) {
    const cg_stored *first = a, *second = b;
    size_t x = cg_stored_dtype_size(first->dtype), y = cg_stored_dtype_size(second->dtype);
    return x != y ? (x < y ? 1 : -1) : strcmp(first->name, second->name);
}

static cg_status append_all(cg_file_writer *writer, const cg_text *header, const cg_stored *sorted, size_t count) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    }
    CG_TRY(cg_file_append(writer, length, sizeof length));
    CG_TRY(cg_file_append(writer, header->bytes, header->length));
    for (size_t i = 0; i < count; i++) {
        CG_TRY(cg_file_append(writer, sorted[i].data, sorted[i].bytes));
    }
    return CG_OK;
}

static cg_status write_file(const char *path, const cg_text *header, const cg_stored *sorted, size_t count) {
    cg_file_writer writer;
    CG_TRY(cg_file_begin(path, &writer));
    cg_status status = append_all(&writer, header, sorted, count);
    if (status != CG_OK) {
        cg_file_abandon(&writer);
        return status;
    }
    return cg_file_finish(&writer);
}

cg_status cg_safetensors_write(const char *path, const cg_stored *tensors, size_t count, const cg_stored_text *texts,
                               size_t text_count) {
    cg_stored *sorted = cg_alloc(count * sizeof *sorted);
    if (sorted == NULL) {
        return CG_ERR_MEMORY;
    }
    if (count > 0) {
        memcpy(sorted, tensors, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_size_and_name);
    }
    cg_text header = {0};
    cg_status status = build_header(&header, sorted, count, texts, text_count);
    if (status == CG_OK) {
        status = write_file(path, &header, sorted, count);
    }
    cg_text_free(&header);
    cg_free(sorted);
    return status;
}
