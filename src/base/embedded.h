/* Files that the build puts into the program: tables ended by a row of zeros, made by tools/embed.cmake. */
#ifndef CLGRAD_EMBEDDED_H
#define CLGRAD_EMBEDDED_H

#include <stddef.h>

typedef struct cg_embedded {
    const char *name; /* the file's name without its folder */
    const char *text; /* ended by a 0 that `size` does not count */
    size_t size;
} cg_embedded;

#endif
