#include "cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "registry.h"

#define LIMIT ((uint64_t)256 << 20)
#define HASH_DIGITS 32
#define ABANDONED 3600 /* seconds after which a file that somebody began to write is nobody's */

static pthread_once_t folder_once = PTHREAD_ONCE_INIT;
static char folder[1024];

/* mkdir -p; the last part only for its owner. A link is not followed: what is loaded from the folder is run. */
static bool make_folder(char *path) {
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0777);
            *p = '/';
        }
    }
    struct stat about;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    errno = lstat(path, &about) != 0 ? errno : S_ISDIR(about.st_mode) ? 0 : S_ISLNK(about.st_mode) ? ELOOP : ENOTDIR;
    return errno == 0;
}

static void find_folder(void) {
    const char *own = getenv("CLGRAD_CACHE_DIR"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own != NULL && own[0] != '\0') {
        snprintf(folder, sizeof folder, "%s", own);
    } else if (cache != NULL && cache[0] == '/') {
        snprintf(folder, sizeof folder, "%s/clgrad", cache);
    } else if (home != NULL && home[0] == '/') {
        snprintf(folder, sizeof folder, "%s/.cache/clgrad", home);
    }
    for (size_t length = strlen(folder); length > 1 && folder[length - 1] == '/'; length--) {
        folder[length - 1] = '\0'; /* with it, a link would be followed */
    }
    if (folder[0] != '\0' && !make_folder(folder)) {
        cg_host_log("no cache: %s: %s", folder, strerror(errno));
        folder[0] = '\0';
    }
}

const char *cg_cache_folder(void) {
    pthread_once(&folder_once, find_folder);
    return folder[0] != '\0' ? folder : NULL;
}

/* NAME-HASH.bin, or such a file half written: NAME-HASH.bin.XXXXXX. */
static bool is_ours(const char *name, bool *half) {
    const char *dash = strrchr(name, '-');
    if (dash == NULL || dash == name || strspn(dash + 1, "0123456789abcdef") != HASH_DIGITS) {
        return false;
    }
    const char *end = dash + 1 + HASH_DIGITS;
    *half = strncmp(end, ".bin.", 5) == 0 && strlen(end) == 11;
    return *half || strcmp(end, ".bin") == 0;
}

typedef struct cache_file {
    char name[128];
    uint64_t bytes;
    struct timespec used;
    bool half;
} cache_file;

typedef struct cache_list {
    cache_file *files;
    size_t count, capacity;
    int folder; /* -1: there is none */
} cache_list;

static void add_file(cache_list *list, const char *name) {
    cache_file file = {.bytes = 0};
    struct stat about;
    size_t length = strlen(name);
    if (!is_ours(name, &file.half) || length >= sizeof file.name ||
        fstatat(list->folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(about.st_mode) ||
        !CG_GROW(list->files, list->count, list->capacity)) {
        return;
    }
    memcpy(file.name, name, length + 1);
    file.bytes = (uint64_t)about.st_size;
    file.used = about.st_mtim;
    list->files[list->count++] = file;
}

static cache_list list_open(void) {
    cache_list list = {.folder = -1};
    const char *path = cg_cache_folder();
    DIR *stream = path != NULL ? opendir(path) : NULL;
    if (stream == NULL) {
        return list;
    }
    list.folder = dup(dirfd(stream));
    for (const struct dirent *entry = readdir(stream); entry != NULL && list.folder >= 0; entry = readdir(stream)) {
        add_file(&list, entry->d_name);
    }
    closedir(stream);
    return list;
}

static void list_close(cache_list *list) {
    cg_free(list->files);
    if (list->folder >= 0) {
        close(list->folder);
    }
}

static int by_age(const void *a, const void *b) {
    const struct timespec *x = &((const cache_file *)a)->used, *y = &((const cache_file *)b)->used;
    if (x->tv_sec != y->tv_sec) {
        return x->tv_sec < y->tv_sec ? -1 : 1;
    }
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static uint64_t limit(void) {
    const char *text = getenv("CLGRAD_CACHE_LIMIT");
    char *end;
    unsigned long long bytes = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && end != text && *end == '\0' ? bytes : LIMIT;
}

void cg_cache_trim(void) {
    cache_list list = list_open();
    uint64_t sum = 0, most = limit();
    time_t now = time(NULL);
    for (size_t i = 0; i < list.count; i++) {
        sum += list.files[i].bytes;
    }
    if (list.count > 0) {
        qsort(list.files, list.count, sizeof *list.files, by_age);
    }
    for (size_t i = 0; i < list.count; i++) {
        const cache_file *file = &list.files[i];
        bool abandoned = file->half && now - file->used.tv_sec > ABANDONED;
        if ((abandoned || (sum > most && !file->half)) && unlinkat(list.folder, file->name, 0) == 0) {
            sum -= file->bytes;
        }
    }
    list_close(&list);
}

cg_status cg_cache_clear(size_t *files, uint64_t *bytes) {
    cache_list list = list_open();
    cg_status status = CG_OK;
    size_t count = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < list.count && status == CG_OK; i++) {
        if (unlinkat(list.folder, list.files[i].name, 0) == 0) {
            sum += list.files[i].bytes;
            count++;
        } else if (errno != ENOENT) { /* another process was faster */
            status = cg_fail(CG_ERR_FILE, "%s/%s cannot be removed: %s", cg_cache_folder(), list.files[i].name,
                             strerror(errno));
        }
    }
    list_close(&list);
    if (files != NULL) {
        *files = count;
    }
    if (bytes != NULL) {
        *bytes = sum;
    }
    return status;
}
