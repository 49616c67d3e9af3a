/* Reads a safetensors header: 8 bytes of length, little-endian, then JSON. */
#include "tensor_list.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_LIMIT 100000000u

static char *read_header(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    unsigned char bytes[8];
    char *text = NULL;
    if (file && fread(bytes, 1, sizeof bytes, file) == sizeof bytes) {
        uint64_t size = 0;
        for (int i = 7; i >= 0; i--) {
            size = size << 8 | bytes[i];
        }
        text = size <= HEADER_LIMIT ? malloc(size + 1) : NULL;
        *length = (size_t)size;
    }
    if (text && fread(text, 1, *length, file) != *length) {
        free(text);
        text = NULL;
    }
    if (file) {
        fclose(file);
    }
    return text;
}

static void add_tensors(cJSON *header, cJSON *tensors) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, header) {
        if (strcmp(entry->string, "__metadata__") != 0) {
            cJSON *tensor = cJSON_CreateObject();
            cJSON_AddStringToObject(tensor, "name", entry->string);
            cJSON_AddItemToObject(tensor, "dtype", cJSON_Duplicate(cJSON_GetObjectItem(entry, "dtype"), 1));
            cJSON_AddItemToObject(tensor, "shape", cJSON_Duplicate(cJSON_GetObjectItem(entry, "shape"), 1));
            cJSON_AddItemToArray(tensors, tensor);
        }
    }
}

cg_status tensor_list(const char *path, cJSON *object) {
    size_t length = 0;
    char *text = read_header(path, &length);
    cJSON *header = text ? cJSON_ParseWithLength(text, length) : NULL;
    free(text);
    if (!header) {
        return cg_fail(CG_ERR_FORMAT, "%s: its header cannot be read", path);
    }
    add_tensors(header, cJSON_AddArrayToObject(object, "tensors"));
    cJSON_Delete(header);
    return CG_OK;
}

void print_tensors(const cJSON *object) {
    const cJSON *tensor;
    cJSON_ArrayForEach(tensor, cJSON_GetObjectItem(object, "tensors")) {
        char *shape = cJSON_PrintUnformatted(cJSON_GetObjectItem(tensor, "shape"));
        printf("%-32s %-6s %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(tensor, "name")),
               cJSON_GetStringValue(cJSON_GetObjectItem(tensor, "dtype")), shape ? shape : "");
        cJSON_free(shape);
    }
}
