/*
 * Drivers that are installed and do not work. OpenCL's loader leaves out a driver that it cannot load, without a word:
 * here the files that name drivers are read again, and what was left out is tried once more, for the reason.
 */
#include "ocl.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Why the loader has not kept this library; NULL when it has. The text is valid until the next call. */
static const char *why_left_out(const char *library) {
    if (library[0] == '\0') {
        return "it names no library";
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

void ocl_check_drivers(const cg_host *host) {
    const char *vendors = getenv("OCL_ICD_VENDORS");
    vendors = vendors != NULL && vendors[0] != '\0' ? vendors : "/etc/OpenCL/vendors";
    struct stat about;
    if (stat(vendors, &about) == 0 && S_ISREG(about.st_mode) && is_icd(vendors)) {
        check_file(host, vendors);
        return;
    }
    DIR *folder = opendir(vendors);
    for (const struct dirent *entry = folder != NULL ? readdir(folder) : NULL; entry != NULL; entry = readdir(folder)) {
        char path[PATH_SIZE];
        int length = snprintf(path, sizeof path, "%s/%s", vendors, entry->d_name);
        if (is_icd(entry->d_name) && length > 0 && (size_t)length < sizeof path) {
            check_file(host, path);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}
