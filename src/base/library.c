#define _GNU_SOURCE /* dladdr */
#include "library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char anchor; /* any address of the library's */

bool cg_library_path(const char *relative, char *path, size_t size) {
    Dl_info library;
    if (dladdr(&anchor, &library) == 0 || library.dli_fname == NULL) {
        return false;
    }
    const char *slash = strrchr(library.dli_fname, '/');
    int folder = slash != NULL ? (int)(slash + 1 - library.dli_fname) : 0;
    int length = snprintf(path, size, "%.*s%s", folder, library.dli_fname, relative);
    return length > 0 && (size_t)length < size;
}
