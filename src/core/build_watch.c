#include "build_watch.h"

static _Thread_local cg_build_watch current;

cg_build_watch cg_build_watch_set(cg_build_watch watch) {
    cg_build_watch before = current;
    current = watch;
    return before;
}

cg_status cg_building(const char *what) {
    return current.watcher != NULL ? current.watcher(current.context, what) : CG_OK;
}
