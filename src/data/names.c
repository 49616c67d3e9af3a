/* Lists of texts: names of classes, entries of a folder. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "samples.h"

cg_status cg_names_add(cg_names *names, const char *bytes, size_t length) {
    if (!CG_GROW(names->item, names->count, names->capacity)) {
        return CG_ERR_MEMORY;
    }
    char *copy = cg_alloc(length + 1);
    if (copy == NULL) {
        return CG_ERR_MEMORY;
    }
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    names->item[names->count++] = copy;
    return CG_OK;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void cg_names_sort(cg_names *names) {
    if (names->count > 1) {
        qsort(names->item, names->count, sizeof *names->item, compare);
    }
}

void cg_names_free(cg_names *names) {
    for (size_t i = 0; i < names->count; i++) {
        cg_free(names->item[i]);
    }
    cg_free(names->item);
    *names = (cg_names){0};
}

static cg_status read_entries(const char *folder, DIR *stream, cg_names *entries) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            return errno == 0 ? CG_OK : cg_fail(CG_ERR_FILE, "cannot read folder %s: %s", folder, strerror(errno));
        }
        if (entry->d_name[0] != '.') {
            CG_TRY(cg_names_add(entries, entry->d_name, strlen(entry->d_name)));
        }
    }
}

cg_status cg_folder_list(const char *folder, cg_names *entries) {
    DIR *stream = opendir(folder);
    if (stream == NULL) {
        return cg_fail(CG_ERR_FILE, "cannot read folder %s: %s", folder, strerror(errno));
    }
    cg_status status = read_entries(folder, stream, entries);
    closedir(stream);
    cg_names_sort(entries);
    return status;
}
