/* Who wants to know when a backend builds a program: the thread's current watcher, asked through the host table. */
#ifndef CLGRAD_BUILD_WATCH_H
#define CLGRAD_BUILD_WATCH_H

#include <clgrad/backend.h>

typedef cg_status (*cg_build_watcher)(void *context, const char *what);

/* Who is told of a thread's builds. */
typedef struct cg_build_watch {
    cg_build_watcher watcher; /* its failure forbids the build; NULL: nobody is told */
    void *context;
} cg_build_watch;

/* Sets the thread's watch and returns the one before: to be told by the new one, and to be set again after it. */
cg_build_watch cg_build_watch_set(cg_build_watch watch);

/* cg_host's `building`. */
cg_status cg_building(const char *what);

#endif
