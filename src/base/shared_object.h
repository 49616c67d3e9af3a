/* Shared objects as files: what can be known before the system's loader is let at one. */
#ifndef CLGRAD_SHARED_OBJECT_H
#define CLGRAD_SHARED_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the file is a shared object that is all there; `reason` says what it is instead, without its name. The loader
 * maps a file that was cut short as if it were whole, and the process dies when it reads behind the end. */
bool cg_shared_object_is_whole(const char *path, char *reason, size_t size);

#endif
