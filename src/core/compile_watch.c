/* Who is told that a device compiles. */
#include "cache_folder.h"

static _Thread_local cg_compile_watcher current;
static _Thread_local void *current_context;

void cg_compile_watch(cg_compile_watcher watcher, void *context) {
    current = watcher;
    current_context = context;
}

void cg_compiling(const char *what) {
    if (current != NULL) {
        current(current_context, what);
    }
}
