/* Files that are there whole or not at all. */
#ifndef CLGRAD_TOOLS_WHOLE_FILE_H
#define CLGRAD_TOOLS_WHOLE_FILE_H

#include <stddef.h>

#include <clgrad/status.h>

/* Finds out before a long training that its result could not be saved: CG_ERR_FILE for a path that is something else
 * than a file, or whose folder is missing or may not be written to. */
cg_status whole_file_check(const char *path) CG_MUST_USE;

/* Writes to a temporary file beside it, flushed to the disk and renamed. CG_ERR_FILE with the reason leaves what was
 * there before. */
cg_status whole_file_write(const char *path, const char *bytes, size_t size) CG_MUST_USE;

#endif
