/* Built-in backends, plug-ins found and loaded once, and what was wrong with those that were not. */
#include "registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "builtin.h"
#include "library.h"
#include "shared_object.h"

#define MAX_BACKENDS 32
#define MAX_PROBLEMS 32
#define PATH_SIZE 1024

/* What a table must reach to: all that came after is optional, and absent from a plug-in of older headers. */
#define SMALLEST_TABLE (offsetof(cg_backend, wait) + sizeof((cg_backend *)0)->wait)

static pthread_once_t builtin_once = PTHREAD_ONCE_INIT, load_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t problems_lock = PTHREAD_MUTEX_INITIALIZER, backends_lock = PTHREAD_MUTEX_INITIALIZER;
static const cg_backend *backends[MAX_BACKENDS]; /* grows only: who has read the count may read so many */
static atomic_size_t n_backends;
static cg_backend tables[MAX_BACKENDS]; /* plug-ins' tables, as long as this version's */
static cg_backend_problem problems[MAX_PROBLEMS];
static size_t n_problems;

/* What is too long is cut. */
static void copy_cut(char *to, size_t size, const char *from) {
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

void cg_backend_problem_add(const char *backend, const char *reason) {
    pthread_mutex_lock(&problems_lock);
    size_t i = 0;
    while (i < n_problems && strcmp(problems[i].backend, backend) != 0) {
        i++;
    }
    if (i < MAX_PROBLEMS) {
        copy_cut(problems[i].backend, sizeof problems[i].backend, backend);
        copy_cut(problems[i].reason, sizeof problems[i].reason, reason);
        n_problems = i == n_problems ? i + 1 : n_problems;
    }
    pthread_mutex_unlock(&problems_lock);
}

size_t cg_backend_problems(cg_backend_problem *out, size_t capacity) {
    pthread_mutex_lock(&problems_lock);
    size_t count = n_problems;
    for (size_t i = 0; i < count && i < capacity; i++) {
        out[i] = problems[i];
    }
    pthread_mutex_unlock(&problems_lock);
    return count;
}

const char *cg_backend_problem_of(const char *backend, char *reason, size_t size) {
    reason[0] = '\0';
    pthread_mutex_lock(&problems_lock);
    for (size_t i = 0; i < n_problems; i++) {
        if (strcmp(problems[i].backend, backend) == 0) {
            copy_cut(reason, size, problems[i].reason);
        }
    }
    pthread_mutex_unlock(&problems_lock);
    return reason;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static const cg_backend *find(const char *name) {
    size_t count = n_backends;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            return backends[i];
        }
    }
    return NULL;
}

static bool is_builtin(const char *name) {
    bool builtin = strcmp(name, "auto") == 0;
    for (size_t i = 0; cg_builtin_backends[i] != NULL; i++) {
        builtin = builtin || strcmp(cg_builtin_backends[i]->name, name) == 0;
    }
    return builtin;
}

/* The part of a device string in front of ':' and ','. */
static bool is_name(const char *name) {
    return name != NULL && name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

/* The first required function that is missing; NULL when all are there. */
static const char *missing_function(const cg_backend *table) {
    const struct {
        bool there;
        const char *name;
    } required[] = {
        {table->list != NULL, "list"},
        {table->open != NULL, "open"},
        {table->close != NULL, "close"},
        {table->buffer_create != NULL, "buffer_create"},
        {table->buffer_destroy != NULL, "buffer_destroy"},
        {table->write != NULL, "write"},
        {table->read != NULL, "read"},
        {table->supports != NULL, "supports"},
        {table->run != NULL, "run"},
        {table->wait != NULL, "wait"},
    };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!required[i].there) {
            return required[i].name;
        }
    }
    return NULL;
}

/* Of another ABI nothing but the first two fields is known to be where it is looked for. */
static cg_status check_table(const cg_backend *table) {
    if (table == NULL) {
        const char *reason = cg_error_message();
        return cg_fail(CG_ERR_DEVICE, "it refused this clgrad, whose backend ABI is %u%s%s", CG_BACKEND_ABI,
                       reason[0] != '\0' ? ": " : "", reason);
    }
    if (table->abi != CG_BACKEND_ABI) {
        return cg_fail(CG_ERR_DEVICE, "its backend ABI is %u, this clgrad needs %u: rebuild it against these headers",
                       table->abi, CG_BACKEND_ABI);
    }
    if (table->size < SMALLEST_TABLE) {
        return cg_fail(CG_ERR_DEVICE, "its table has %u bytes, at least %zu are needed: its size field is wrong",
                       table->size, SMALLEST_TABLE);
    }
    if (!is_name(table->name)) {
        return cg_fail(CG_ERR_DEVICE, "its name is %s: small letters, digits, _ and - are needed",
                       table->name == NULL ? "missing" : table->name);
    }
    if (is_builtin(table->name)) {
        return cg_fail(CG_ERR_DEVICE, "its name, %s, is a built-in one", table->name);
    }
    const char *missing = missing_function(table);
    return missing == NULL ? CG_OK : cg_fail(CG_ERR_DEVICE, "its function %s is NULL, which is required", missing);
}

/* A table may be shorter than this version's, or longer: what is missing is NULL, what is too much is not looked at. */
static cg_status accept(const cg_backend *table) {
    CG_TRY(check_table(table));
    if (find(table->name) != NULL) { /* the first of a name wins, in the order of the search */
        return CG_OK;
    }
    size_t place = n_backends;
    if (place == MAX_BACKENDS) {
        return cg_fail(CG_ERR_DEVICE, "%d backends are loaded already", MAX_BACKENDS);
    }
    memcpy(&tables[place], table, table->size < sizeof *table ? table->size : sizeof *table);
    backends[place] = &tables[place];
    n_backends = place + 1;
    return CG_OK;
}

/* Fails with the reason alone. */
static cg_status load_file(const char *file) {
    char refusal[256];
    if (!cg_shared_object_is_whole(file, refusal, sizeof refusal)) {
        return cg_fail(CG_ERR_DEVICE, "%s", refusal);
    }
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        return cg_fail(CG_ERR_DEVICE, "%s", reason != NULL ? reason : "it cannot be loaded");
    }
    cg_backend_entry entry;
    *(void **)&entry = dlsym(library, "clgrad_backend");
    if (entry == NULL) {
        dlclose(library);
        return cg_fail(CG_ERR_DEVICE, "it has no function clgrad_backend: not a backend of clgrad's");
    }
    cg_fail(CG_OK, "%s", ""); /* so that a message which the entry leaves is its own */
    return accept(entry(cg_host_table()));
}

/* A plug-in that was found, not asked for: what is wrong with it is kept for whoever looks. */
static void try_file(const char *file) {
    if (load_file(file) != CG_OK) {
        cg_backend_problem_add(base_name(file), cg_error_message());
    }
}

static int is_plugin(const struct dirent *entry) {
    const char *end = strrchr(entry->d_name, '.');
    return end != NULL && strcmp(end, ".so") == 0;
}

static void load_folder(const char *folder) {
    struct dirent **files;
    int count = scandir(folder, &files, is_plugin, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_SIZE];
        int length = snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);
        if (length > 0 && (size_t)length < sizeof path) {
            try_file(path);
        } else {
            cg_backend_problem_add(files[i]->d_name, "the path to it is too long");
        }
        free(files[i]);
    }
    if (count >= 0) {
        free(files);
    }
}

/* CLGRAD_BACKEND_PATH: folders and files, separated by colons. */
static void load_path(const char *path) {
    while (*path != '\0') {
        size_t length = strcspn(path, ":");
        char entry[PATH_SIZE];
        snprintf(entry, sizeof entry, "%.*s", (int)length, path);
        struct stat about;
        if (length > 0 && stat(entry, &about) != 0) {
            cg_backend_problem_add(entry, "no such file or folder (CLGRAD_BACKEND_PATH)");
        } else if (length > 0) {
            (S_ISDIR(about.st_mode) ? load_folder : try_file)(entry);
        }
        path += length + (path[length] == ':');
    }
}

static void add_builtin(void) {
    size_t count = 0;
    while (cg_builtin_backends[count] != NULL) {
        backends[count] = cg_builtin_backends[count];
        count++;
    }
    n_backends = count;
}

static void load(void) {
    pthread_once(&builtin_once, add_builtin);
    pthread_mutex_lock(&backends_lock);
    const char *path = getenv("CLGRAD_BACKEND_PATH");
    if (path != NULL) {
        load_path(path);
    }
    char folder[PATH_SIZE];
    if (cg_library_path("clgrad-backends", folder, sizeof folder)) {
        load_folder(folder);
    }
    pthread_mutex_unlock(&backends_lock);
}

cg_status cg_backend_load(const char *file) {
    pthread_once(&builtin_once, add_builtin);
    char path[PATH_SIZE]; /* a name without a slash would be looked for where libraries are */
    int length = snprintf(path, sizeof path, "%s%s", strchr(file, '/') != NULL ? "" : "./", file);
    if (length < 0 || (size_t)length >= sizeof path) {
        return cg_fail(CG_ERR_DEVICE, "the plug-in's path is longer than %d bytes", PATH_SIZE - 1);
    }
    pthread_mutex_lock(&backends_lock);
    cg_status status = load_file(path);
    pthread_mutex_unlock(&backends_lock);
    return status == CG_OK ? CG_OK : cg_fail_context(status, "plug-in %s: ", file);
}

size_t cg_backends(const cg_backend *const **out) {
    pthread_once(&load_once, load);
    *out = backends;
    return n_backends;
}

const cg_backend *cg_backend_find(const char *name) {
    pthread_once(&builtin_once, add_builtin);
    const cg_backend *backend = find(name); /* a built-in one does not need the plug-ins */
    if (backend == NULL) {
        pthread_once(&load_once, load);
        backend = find(name);
    }
    return backend;
}

size_t cg_backend_devices(const cg_backend *backend, cg_device_info **infos) {
    *infos = NULL;
    size_t count = 0;
    cg_status status = backend->list(cg_host_table(), NULL, 0, &count);
    if (status == CG_OK && count > 0) {
        *infos = cg_alloc_zero(count, sizeof **infos);
        size_t again = 0;
        status = *infos == NULL ? CG_ERR_MEMORY : backend->list(cg_host_table(), *infos, count, &again);
        count = again < count ? again : count;
    }
    if (status != CG_OK) {
        cg_backend_problem_add(backend->name, cg_error_message());
        cg_free(*infos);
        *infos = NULL;
        return 0;
    }
    if (count == 0) {
        cg_backend_problem_add(backend->name, "it finds no device: is a driver installed?");
    }
    return count;
}
