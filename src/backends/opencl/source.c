/*
 * The text of a kernel file: its #include "..." lines are replaced by the files that they name (all of them are built
 * into the program), with #line directives, so that a compiler's messages name the right file and line.
 */
#include "ocl.h"

#include <stdio.h>
#include <string.h>

extern const cg_embedded ocl_files[];

/* Text that is measured first and written then: `bytes` is NULL the first time. */
typedef struct output {
    char *bytes;
    size_t length;
} output;

static void append(output *out, const char *text, size_t length) {
    if (out->bytes != NULL) {
        memcpy(out->bytes + out->length, text, length);
    }
    out->length += length;
}

static void append_line_directive(output *out, int line, const char *file) {
    char text[128];
    int length = snprintf(text, sizeof text, "#line %d \"%s\"\n", line, file);
    append(out, text, (size_t)length);
}

static const cg_embedded *find(const char *name, size_t length) {
    for (const cg_embedded *file = ocl_files; file->name != NULL; file++) {
        if (strlen(file->name) == length && memcmp(file->name, name, length) == 0) {
            return file;
        }
    }
    return NULL;
}

/* elementwise.def is text that kernels include, not a program. */
const char *ocl_source_name(size_t index) {
    for (const cg_embedded *file = ocl_files; file->name != NULL; file++) {
        const char *end = strrchr(file->name, '.');
        if (end != NULL && strcmp(end, ".cl") == 0 && index-- == 0) {
            return file->name;
        }
    }
    return NULL;
}

/* The file that a line includes; NULL for any other line. */
static const cg_embedded *included(const char *line, const char *end) {
    static const char directive[] = "#include \"";
    size_t length = sizeof directive - 1;
    if ((size_t)(end - line) < length || memcmp(line, directive, length) != 0) {
        return NULL;
    }
    const char *quote = memchr(line + length, '"', (size_t)(end - line) - length);
    return quote != NULL ? find(line + length, (size_t)(quote - line) - length) : NULL;
}

#define DEEPEST 3

/* Writes a file and, for each line that includes one, that one: `depth` levels below the first. */
static void expand(output *out, const cg_embedded *file, int depth) {
    append_line_directive(out, 1, file->name);
    int number = 1;
    for (const char *line = file->text, *stop = line + file->size, *end; line < stop; line = end, number++) {
        const char *newline = memchr(line, '\n', (size_t)(stop - line));
        end = newline != NULL ? newline + 1 : stop;
        const cg_embedded *other = depth < DEEPEST ? included(line, end) : NULL;
        if (other == NULL) {
            append(out, line, (size_t)(end - line));
            continue;
        }
        expand(out, other, depth + 1);
        append_line_directive(out, number + 1, file->name);
    }
}

cg_status ocl_source(const cg_host *host, const char *file, char **text, size_t *length) {
    const cg_embedded *start = find(file, strlen(file));
    if (start == NULL) {
        return host->fail(CG_ERR_NAME, "kernel file %s is not part of this build", file);
    }
    output out = {0};
    expand(&out, start, 0);
    out.bytes = host->alloc(out.length + 1);
    if (out.bytes == NULL) {
        return CG_ERR_MEMORY;
    }
    out.length = 0;
    expand(&out, start, 0);
    out.bytes[out.length] = '\0';
    *text = out.bytes;
    *length = out.length;
    return CG_OK;
}

cg_status ocl_source_copy(const cg_host *host, const char *name, const char *source, char **text, size_t *length) {
    size_t room = strlen(source) + strlen(name) + sizeof "#line 1 \"\"\n";
    *text = host->alloc(room);
    if (*text == NULL) {
        return CG_ERR_MEMORY;
    }
    *length = (size_t)snprintf(*text, room, "#line 1 \"%s\"\n%s", name, source);
    return CG_OK;
}
