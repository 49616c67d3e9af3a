/* What a backend is given: error text, log, memory, a cache folder. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "build_watch.h"
#include "registry.h"

static pthread_once_t folder_once = PTHREAD_ONCE_INIT;
static char folder[1024];

static void host_log(const char *format, ...) {
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

/* mkdir -p; the last part only for its owner. */
static bool make_folder(char *path) {
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* CLGRAD_CACHE_DIR, else clgrad in XDG_CACHE_HOME, else ~/.cache/clgrad. */
static void find_folder(void) {
    const char *own = getenv("CLGRAD_CACHE_DIR"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own != NULL && own[0] != '\0') {
        snprintf(folder, sizeof folder, "%s", own);
    } else if (cache != NULL && cache[0] == '/') {
        snprintf(folder, sizeof folder, "%s/clgrad", cache);
    } else if (home != NULL && home[0] == '/') {
        snprintf(folder, sizeof folder, "%s/.cache/clgrad", home);
    }
    if (folder[0] != '\0' && !make_folder(folder)) {
        host_log("no cache: %s: %s", folder, strerror(errno));
        folder[0] = '\0';
    }
}

static const char *cache_folder(void) {
    pthread_once(&folder_once, find_folder);
    return folder[0] != '\0' ? folder : NULL;
}

static const cg_host host = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof host,
    .fail = cg_fail,
    .log = host_log,
    .alloc = cg_alloc,
    .free = cg_free,
    .cache_folder = cache_folder,
    .building = cg_building,
};

const cg_host *cg_host_table(void) {
    return &host;
}
