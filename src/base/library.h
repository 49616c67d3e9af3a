/* Where the library itself is: what belongs to it is found beside it, wherever the installation was moved to. */
#ifndef CLGRAD_LIBRARY_H
#define CLGRAD_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the path of `relative`, which is seen from the library's folder. False when the folder is unknown or the path
 * too long. */
bool cg_library_path(const char *relative, char *path, size_t size);

#endif
