/* The folder of what backends keep for the next time, and how it is kept small. */
#ifndef CLGRAD_CACHE_FOLDER_H
#define CLGRAD_CACHE_FOLDER_H

#include <clgrad/device.h>

/* Removes files, those unused for longest first, until the rest takes 256 MB (CLGRAD_CACHE_LIMIT, in bytes). Nothing
 * here fails: several processes may do it at once, and what cannot be removed stays. */
void cg_cache_trim(void);

/* cg_host's `compiling`. */
void cg_compiling(const char *what);

#endif
