#define _XOPEN_SOURCE 700 /* mkstemp */
#include "standard_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cg_status copy(FILE *to) {
    char bytes[1 << 16];
    size_t count, total = 0;
    while ((count = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        total += count;
        if (fwrite(bytes, 1, count, to) != count) {
            return cg_fail(CG_ERR_FILE, "standard input cannot be kept: %s", strerror(errno));
        }
    }
    if (ferror(stdin)) {
        return cg_fail(CG_ERR_FILE, "standard input cannot be read: %s", strerror(errno));
    }
    return total > 0 ? CG_OK : cg_fail(CG_ERR_FILE, "standard input is empty: an image or an array is needed");
}

cg_status standard_input_keep(char path[STANDARD_INPUT_SIZE]) {
    const char *folder = getenv("TMPDIR");
    int length = snprintf(path, STANDARD_INPUT_SIZE, "%s/clgrad-XXXXXX", folder && *folder ? folder : "/tmp");
    if (length < 0 || length >= STANDARD_INPUT_SIZE) {
        path[0] = '\0';
        return cg_fail(CG_ERR_FILE, "no file for standard input: the name of the folder TMPDIR is too long");
    }
    int descriptor = mkstemp(path);
    if (descriptor < 0) {
        path[0] = '\0';
        return cg_fail(CG_ERR_FILE, "no file for standard input in %s: %s", folder && *folder ? folder : "/tmp",
                       strerror(errno));
    }
    FILE *to = fdopen(descriptor, "wb");
    cg_status status = to ? copy(to) : cg_fail(CG_ERR_FILE, "standard input cannot be kept: %s", strerror(errno));
    if ((to ? fclose(to) : close(descriptor)) != 0 && status == CG_OK) {
        status = cg_fail(CG_ERR_FILE, "standard input cannot be kept: %s", strerror(errno));
    }
    if (status != CG_OK) {
        unlink(path);
        path[0] = '\0';
    }
    return status;
}
