#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

static bool reserve(cg_text *text, size_t more) {
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = needed < 64 ? 64 : needed + needed / 2;
    char *larger = text->failed ? NULL : cg_realloc(text->bytes, capacity);
    if (larger == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = larger;
    text->capacity = capacity;
    return true;
}

void cg_text_append_bytes(cg_text *text, const char *bytes, size_t length) {
    if (!reserve(text, length)) {
        return;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void cg_text_append(cg_text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0 && reserve(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void cg_text_free(cg_text *text) {
    cg_free(text->bytes);
    *text = (cg_text){0};
}

const char *cg_text_get(const cg_text *text) {
    return text->bytes != NULL ? text->bytes : "";
}

size_t cg_text_copy(const cg_text *text, char *destination, size_t size) {
    if (size > 0) {
        snprintf(destination, size, "%s", cg_text_get(text));
    }
    return text->length;
}
