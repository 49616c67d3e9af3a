/* Text that grows. Zero-initialised is empty; an append that fails for memory leaves `failed` set and is checked once
 * at the end. */
#ifndef CLGRAD_TEXT_H
#define CLGRAD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <clgrad/status.h>

typedef struct cg_text {
    char *bytes; /* ended by 0 once anything was appended */
    size_t length, capacity;
    bool failed;
} cg_text;

void cg_text_append(cg_text *text, const char *format, ...) CG_PRINTF(2, 3);
void cg_text_append_bytes(cg_text *text, const char *bytes, size_t length);
void cg_text_free(cg_text *text);

/* The text so far, "" when there is none. */
const char *cg_text_get(const cg_text *text);

/* Copies at most size - 1 bytes into `destination` and ends it; returns the full length. For functions that print as
 * snprintf does. */
size_t cg_text_copy(const cg_text *text, char *destination, size_t size);

#endif
