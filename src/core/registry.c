/* Built-in backends, plug-ins found and loaded once, and what was wrong with those that were not. */
#define _GNU_SOURCE /* dladdr */
#include "registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "builtin.h"

#define MAX_BACKENDS 32
#define MAX_PROBLEMS 32
#define PATH_SIZE 1024

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t problems_lock = PTHREAD_MUTEX_INITIALIZER;
static const cg_backend *backends[MAX_BACKENDS];
static size_t n_backends;
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

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool known(const char *name) {
    for (size_t i = 0; i < n_backends; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes a plug-in's table into the list, or says why not. */
static void accept(const char *file, const cg_backend *backend) {
    char reason[256] = "";
    if (backend == NULL) {
        snprintf(reason, sizeof reason, "it refused this version of clgrad (backend ABI %u)", CG_BACKEND_ABI);
    } else if (backend->abi != CG_BACKEND_ABI) {
        snprintf(reason, sizeof reason, "its backend ABI is %u, this clgrad needs %u: rebuild it", backend->abi,
                 CG_BACKEND_ABI);
    } else if (backend->size < sizeof *backend) {
        snprintf(reason, sizeof reason, "its table has %u bytes, not %zu: rebuild it", backend->size, sizeof *backend);
    } else if (n_backends == MAX_BACKENDS) {
        snprintf(reason, sizeof reason, "%d backends are loaded already", MAX_BACKENDS);
    } else if (!known(backend->name)) { /* the first of a name wins, in the order of the search */
        backends[n_backends++] = backend;
    }
    if (reason[0] != '\0') {
        cg_backend_problem_add(base_name(file), reason);
    }
}

static void load_file(const char *file) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        cg_backend_problem_add(base_name(file), reason != NULL ? reason : "it cannot be loaded");
        return;
    }
    cg_backend_entry entry;
    *(void **)&entry = dlsym(library, "clgrad_backend");
    if (entry == NULL) {
        cg_backend_problem_add(base_name(file), "it has no function clgrad_backend: not a backend of clgrad's");
        dlclose(library);
        return;
    }
    accept(file, entry(cg_host_table()));
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
            load_file(path);
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
            (S_ISDIR(about.st_mode) ? load_folder : load_file)(entry);
        }
        path += length + (path[length] == ':');
    }
}

static void load(void) {
    for (size_t i = 0; cg_builtin_backends[i] != NULL; i++) {
        backends[n_backends++] = cg_builtin_backends[i];
    }
    const char *path = getenv("CLGRAD_BACKEND_PATH");
    if (path != NULL) {
        load_path(path);
    }
    Dl_info library;
    if (dladdr((void *)&problems, &library) != 0 && library.dli_fname != NULL) {
        char folder[PATH_SIZE];
        int length = (int)(base_name(library.dli_fname) - library.dli_fname);
        snprintf(folder, sizeof folder, "%.*sclgrad-backends", length, library.dli_fname);
        load_folder(folder);
    }
}

size_t cg_backends(const cg_backend *const **out) {
    pthread_once(&load_once, load);
    *out = backends;
    return n_backends;
}

const cg_backend *cg_backend_find(const char *name) {
    for (size_t i = 0; cg_builtin_backends[i] != NULL; i++) { /* without loading a plug-in */
        if (strcmp(cg_builtin_backends[i]->name, name) == 0) {
            return cg_builtin_backends[i];
        }
    }
    const cg_backend *const *all;
    size_t count = cg_backends(&all);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
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
