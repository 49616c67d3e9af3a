#include "build_watch.h"

static _Thread_local cg_build_watcher current;
static _Thread_local void *current_context;

void cg_build_watch(cg_build_watcher watcher, void *context) {
    current = watcher;
    current_context = context;
}

cg_status cg_building(const char *what) {
    return current != NULL ? current(current_context, what) : CG_OK;
}
