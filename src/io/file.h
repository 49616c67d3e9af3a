/* Whole files: reading one, and writing one so that the old file is whole until the new one is. */
#ifndef CLGRAD_FILE_H
#define CLGRAD_FILE_H

#include <stddef.h>

#include <clgrad/status.h>

/* Reads a regular file of at most `limit` bytes. The caller frees `bytes` (cg_free); a 0 that `size` does not count
 * follows them. CG_ERR_FILE names the path and the reason, CG_ERR_FORMAT a file that is too large. */
cg_status cg_file_read(const char *path, size_t limit, char **bytes, size_t *size) CG_MUST_USE;

/* A file being written: the bytes go to a temporary file in the same folder until cg_file_finish renames it. */
typedef struct cg_file_writer {
    char *path;      /* where the file will be, symbolic links followed */
    char *temporary; /* where it is now */
    int descriptor;
} cg_file_writer;

/* Begins a file. Every cg_file_begin that succeeds is followed by cg_file_finish or cg_file_abandon. An existing path
 * that is not a regular file is refused: renaming would replace a device or a pipe. */
cg_status cg_file_begin(const char *path, cg_file_writer *writer) CG_MUST_USE;
cg_status cg_file_append(cg_file_writer *writer, const void *bytes, size_t size) CG_MUST_USE;

/* Flushes to the disk and renames. When it fails the temporary file is gone and the old file stays. */
cg_status cg_file_finish(cg_file_writer *writer) CG_MUST_USE;

/* Removes the temporary file; the old file stays. Leaves the error message alone. */
void cg_file_abandon(cg_file_writer *writer);

/* All of it in one call. */
cg_status cg_file_write(const char *path, const void *bytes, size_t size) CG_MUST_USE;

#endif
