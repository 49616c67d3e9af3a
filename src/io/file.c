/*
 * Reading and writing whole files. A write goes to a temporary file beside the target, is flushed to the disk and
 * renamed, so that neither a full disk nor a lost machine leaves half a file under the name.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

#define TEMPORARY_NAMES 1000

static cg_status read_failed(const char *path, const char *reason) {
    cg_fail(CG_ERR_FILE, "cannot read %s: %s", path, reason);
    return CG_ERR_FILE;
}

static cg_status write_failed(const char *path, const char *reason) {
    cg_fail(CG_ERR_FILE, "cannot write %s: %s", path, reason);
    return CG_ERR_FILE;
}

static cg_status regular_size(const char *path, int descriptor, size_t limit, size_t *size) {
    struct stat facts;
    if (fstat(descriptor, &facts) != 0) {
        return read_failed(path, strerror(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return read_failed(path, S_ISDIR(facts.st_mode) ? "it is a folder" : "it is not a regular file");
    }
    if ((uintmax_t)facts.st_size > limit) {
        return cg_fail(CG_ERR_FORMAT, "%s has %jd bytes, at most %zu are allowed", path, (intmax_t)facts.st_size,
                       limit);
    }
    *size = (size_t)facts.st_size;
    return CG_OK;
}

static cg_status read_all(const char *path, int descriptor, char *bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(descriptor, bytes + done, size - done);
        if (got < 0 && errno != EINTR) {
            return read_failed(path, strerror(errno));
        }
        if (got == 0) {
            return read_failed(path, "it became shorter while it was read");
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return CG_OK;
}

cg_status cg_file_read(const char *path, size_t limit, char **bytes, size_t *size) {
    *bytes = NULL;
    *size = 0;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a pipe must not wait for a writer */
    if (descriptor < 0) {
        return read_failed(path, strerror(errno));
    }
    char *memory = NULL;
    size_t length = 0;
    cg_status status = regular_size(path, descriptor, limit < SIZE_MAX ? limit : SIZE_MAX - 1, &length);
    if (status == CG_OK) {
        memory = cg_alloc(length + 1);
        status = memory == NULL ? CG_ERR_MEMORY : read_all(path, descriptor, memory, length);
    }
    close(descriptor);
    if (status != CG_OK) {
        cg_free(memory);
        return status;
    }
    memory[length] = '\0';
    *bytes = memory;
    *size = length;
    return CG_OK;
}

/* The path behind symbolic links, so that a link stays one. A link to nothing is refused. */
static cg_status target_path(const char *path, char **target) {
    struct stat facts;
    if (lstat(path, &facts) != 0 || !S_ISLNK(facts.st_mode)) {
        *target = cg_strdup(path);
    } else {
        char *real = realpath(path, NULL);
        if (real == NULL) {
            return write_failed(path, strerror(errno));
        }
        *target = cg_strdup(real);
        free(real);
    }
    return *target != NULL ? CG_OK : CG_ERR_MEMORY;
}

/* Opens the first free name "PATH.PID-N.tmp". */
static cg_status open_temporary(cg_file_writer *writer, mode_t mode) {
    size_t size = strlen(writer->path) + 48;
    writer->temporary = cg_alloc(size);
    if (writer->temporary == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int n = 0; n < TEMPORARY_NAMES; n++) {
        snprintf(writer->temporary, size, "%s.%ld-%d.tmp", writer->path, (long)getpid(), n);
        writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (writer->descriptor >= 0 || errno != EEXIST) {
            break;
        }
    }
    return writer->descriptor >= 0 ? CG_OK : write_failed(writer->path, strerror(errno));
}

static void forget(cg_file_writer *writer) {
    cg_free(writer->temporary);
    cg_free(writer->path);
    *writer = (cg_file_writer){.descriptor = -1};
}

cg_status cg_file_begin(const char *path, cg_file_writer *writer) {
    *writer = (cg_file_writer){.descriptor = -1};
    CG_TRY(target_path(path, &writer->path));
    struct stat old;
    bool exists = stat(path, &old) == 0;
    cg_status status = CG_OK;
    if (exists && !S_ISREG(old.st_mode)) {
        status = write_failed(path, S_ISDIR(old.st_mode) ? "it is a folder" : "it is not a regular file");
    } else {
        status = open_temporary(writer, 0666);
    }
    if (status != CG_OK) {
        forget(writer);
        return status;
    }
    if (exists) {
        (void)!fchmod(writer->descriptor, old.st_mode & 0777); /* a courtesy: the content does not depend on it */
    }
    return CG_OK;
}

cg_status cg_file_append(cg_file_writer *writer, const void *bytes, size_t size) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = write(writer->descriptor, from, size);
        if (written < 0 && errno != EINTR) {
            return write_failed(writer->path, strerror(errno));
        }
        from += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return CG_OK;
}

/* Makes the rename itself last. The new file is in place by now, so a file system that cannot do this is no error. */
static void sync_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        slash[slash == path ? 1 : 0] = '\0';
    }
    int folder = open(slash != NULL ? path : ".", O_RDONLY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder);
        close(folder);
    }
}

static cg_status flush_and_close(cg_file_writer *writer) {
    int failure = 0;
    if (fsync(writer->descriptor) != 0 && errno != EINVAL && errno != ENOTSUP) { /* not every file system can */
        failure = errno;
    }
    if (close(writer->descriptor) != 0 && failure == 0) {
        failure = errno;
    }
    writer->descriptor = -1;
    return failure == 0 ? CG_OK : write_failed(writer->path, strerror(failure));
}

cg_status cg_file_finish(cg_file_writer *writer) {
    cg_status status = flush_and_close(writer);
    if (status == CG_OK && rename(writer->temporary, writer->path) != 0) {
        status = write_failed(writer->path, strerror(errno));
    }
    if (status != CG_OK) {
        cg_file_abandon(writer);
        return status;
    }
    sync_folder(writer->path);
    forget(writer);
    return CG_OK;
}

void cg_file_abandon(cg_file_writer *writer) {
    if (writer->descriptor >= 0) {
        close(writer->descriptor);
    }
    unlink(writer->temporary);
    forget(writer);
}

cg_status cg_file_write(const char *path, const void *bytes, size_t size) {
    cg_file_writer writer;
    CG_TRY(cg_file_begin(path, &writer));
    cg_status status = cg_file_append(&writer, bytes, size);
    if (status != CG_OK) {
        cg_file_abandon(&writer);
        return status;
    }
    return cg_file_finish(&writer);
}
