/* Who wants to know when a backend builds a program: the thread's current watcher, asked through the host table. */
#ifndef CLGRAD_BUILD_WATCH_H
#define CLGRAD_BUILD_WATCH_H

#include <clgrad/backend.h>

typedef cg_status (*cg_build_watcher)(void *context, const char *what);

/* From now on this thread's builds are told to `watcher`, whose failure forbids them; NULL: nobody. */
void cg_build_watch(cg_build_watcher watcher, void *context);

/* cg_host's `building`. */
cg_status cg_building(const char *what);

#endif
