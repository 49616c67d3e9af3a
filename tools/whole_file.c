/* Files that are there whole or not at all, as the library's checkpoints are. */
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

cg_status whole_file_check(const char *path) {
    struct stat facts;
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode)) {
        return cg_fail(CG_ERR_FILE, "cannot write %s: it is %s", path,
                       S_ISDIR(facts.st_mode) ? "a folder" : "not a regular file");
    }
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    char *folder = calloc(length + 2, 1);
    if (!folder) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    memcpy(folder, slash ? path : ".", slash ? length : 1);
    cg_status status = CG_OK;
    if (access(folder, W_OK | X_OK) != 0) {
        status = cg_fail(CG_ERR_FILE, "cannot write %s: its folder %s: %s", path, folder, strerror(errno));
    }
    free(folder);
    return status;
}

static bool write_all(int descriptor, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t written = write(descriptor, bytes, size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP; /* not every file system can */
}

cg_status whole_file_write(const char *path, const char *bytes, size_t size) {
    size_t length = strlen(path) + 32;
    char *temporary = malloc(length);
    if (!temporary) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    snprintf(temporary, length, "%s.%ld.tmp", path, (long)getpid());
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = descriptor >= 0 && write_all(descriptor, bytes, size);
    int failure = good ? 0 : errno;
    if (descriptor >= 0 && close(descriptor) != 0 && good) {
        failure = errno;
    }
    if (failure == 0 && rename(temporary, path) != 0) {
        failure = errno;
    }
    if (failure != 0 && descriptor >= 0) {
        unlink(temporary);
    }
    free(temporary);
    return failure == 0 ? CG_OK : cg_fail(CG_ERR_FILE, "cannot write %s: %s", path, strerror(failure));
}
