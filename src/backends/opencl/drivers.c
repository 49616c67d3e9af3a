/*
 * Drivers that are installed and do not work. OpenCL's loader leaves out a driver that it cannot load, without a word:
 * here the files that name drivers are read again, and what was left out is tried once more, for the reason.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "ocl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared_object.h"

#define PATH_SIZE 1024

/* The first line of a file, without spaces around it; "" when it cannot be read. */
static void first_line(const char *path, char *line, size_t size) {
    line[0] = '\0';
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    if (fgets(line, (int)size, file) == NULL) {
        line[0] = '\0';
    }
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    size_t start = strspn(line, " \t"), length = strlen(line);
    while (length > start && strchr(" \t", line[length - 1]) != NULL) {
        length--;
    }
    memmove(line, line + start, length - start);
    line[length - start] = '\0';
}

/* A library named by its path, that is no whole shared object. */
static bool is_cut_short(const char *library) {
    char reason[128];
    return strchr(library, '/') != NULL && access(library, R_OK) == 0 &&
           !cg_shared_object_is_whole(library, reason, sizeof reason) && strstr(reason, "cut short") != NULL;
}

/* Why the loader has not kept this library; NULL when it has. The text is valid until the next call. */
static const char *why_left_out(const char *library) {
    if (library[0] == '\0') {
        return "it names no library";
    }
    if (is_cut_short(library)) {
        return "its library is cut short";
    }
    void *kept = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    void *handle = kept != NULL ? kept : dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return dlerror();
    }
    bool driver = dlsym(handle, "clGetExtensionFunctionAddress") != NULL;
    dlclose(handle);
    if (!driver) {
        return "its library is no OpenCL driver";
    }
    return kept != NULL ? NULL : "its library can be loaded, but gives no platform";
}

static void check_file(const cg_host *host, const char *path) {
    char line[PATH_SIZE], what[64];
    first_line(path, line, sizeof line);
    const char *reason = why_left_out(line), *slash = strrchr(path, '/');
    if (reason != NULL) {
        snprintf(what, sizeof what, "opencl: %s", slash != NULL ? slash + 1 : path);
        host->problem(what, reason);
    }
}

static bool is_icd(const char *name) {
    const char *end = strrchr(name, '.');
    return end != NULL && strcmp(end, ".icd") == 0;
}

static const char *vendors_folder(void) {
    const char *vendors = getenv("OCL_ICD_VENDORS");
    return vendors != NULL && vendors[0] != '\0' ? vendors : "/etc/OpenCL/vendors";
}

typedef void (*file_fn)(void *context, const char *path, const char *name);

static void for_each_file(const char *vendors, file_fn function, void *context) {
    DIR *folder = opendir(vendors);
    for (const struct dirent *entry = folder != NULL ? readdir(folder) : NULL; entry != NULL; entry = readdir(folder)) {
        char path[PATH_SIZE];
        int length = snprintf(path, sizeof path, "%s/%s", vendors, entry->d_name);
        if (is_icd(entry->d_name) && length > 0 && (size_t)length < sizeof path) {
            function(context, path, entry->d_name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static void check_one(void *context, const char *path, const char *name) {
    (void)name;
    check_file(context, path);
}

void ocl_check_drivers(const cg_host *host) {
    const char *vendors = vendors_folder();
    struct stat about;
    if (stat(vendors, &about) == 0 && S_ISREG(about.st_mode) && is_icd(vendors)) {
        check_file(host, vendors);
    } else {
        for_each_file(vendors, check_one, (void *)host);
    }
}

static void count_cut(void *context, const char *path, const char *name) {
    char line[PATH_SIZE];
    (void)name;
    first_line(path, line, sizeof line);
    *(size_t *)context += is_cut_short(line);
}

/* A link to a whole driver's file, in the folder that is the context. */
static void link_whole(void *context, const char *path, const char *name) {
    char line[PATH_SIZE], whole[PATH_MAX], link[PATH_SIZE];
    first_line(path, line, sizeof line);
    int length = snprintf(link, sizeof link, "%s/%s", (const char *)context, name);
    if (!is_cut_short(line) && realpath(path, whole) != NULL && length > 0 && (size_t)length < sizeof link &&
        symlink(whole, link) != 0) {
        return; /* this driver is missing, then */
    }
}

static void unlink_one(void *context, const char *path, const char *name) {
    (void)context, (void)name;
    unlink(path);
}

/* The loader reads its folder once: it is shown one without the drivers that would end the process. */
static void start_without_cut(void) {
    char folder[] = "/tmp/clgrad-drivers-XXXXXX", before[PATH_SIZE];
    const char *vendors = vendors_folder(), *variable = getenv("OCL_ICD_VENDORS");
    size_t cut = 0;
    for_each_file(vendors, count_cut, &cut);
    if (cut == 0 || strlen(vendors) >= sizeof before || mkdtemp(folder) == NULL) {
        return;
    }
    memcpy(before, vendors, strlen(vendors) + 1);
    for_each_file(before, link_whole, folder);
    setenv("OCL_ICD_VENDORS", folder, 1);
    cl_uint count;
    clGetPlatformIDs(0, NULL, &count);
    if (variable != NULL) {
        setenv("OCL_ICD_VENDORS", before, 1);
    } else {
        unsetenv("OCL_ICD_VENDORS");
    }
    for_each_file(folder, unlink_one, NULL);
    rmdir(folder);
}

void ocl_start_loader(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_without_cut);
}
