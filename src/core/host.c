/* What a backend is given: error text, log, memory, a cache folder. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "build_watch.h"
#include "cache_folder.h"
#include "registry.h"

void cg_host_log(const char *format, ...) {
    const char *wanted = getenv("CLGRAD_LOG");
    if (wanted == NULL || strcmp(wanted, "0") == 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fputs("clgrad: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static void problem(const char *what, const char *reason) {
    cg_backend_problem_add(what, reason);
}

static const cg_host host = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof host,
    .fail = cg_fail,
    .log = cg_host_log,
    .alloc = cg_alloc,
    .free = cg_free,
    .cache_folder = cg_cache_folder,
    .building = cg_building,
    .cache_added = cg_cache_trim,
    .compiling = cg_compiling,
    .problem = problem,
};

const cg_host *cg_host_table(void) {
    return &host;
}
