/* Library status to exit status. */
#include "exit_status.h"

#include <stdio.h>

const char exit_status_help[] =
    "Exit status: 0 good; 1 the answer is wrong (training met NaN, a check failed); 2 usage (flags, model, optimizer "
    "or\n"
    "device syntax); 3 device (missing, refused, out of memory, an op that may not fall back); 4 data or file, also\n"
    "shapes that do not fit the data; 130 interrupted.\n";

int exit_status_of(cg_status status) {
    switch (status) {
    case CG_OK:
        return EXIT_GOOD;
    case CG_ERR_ARGUMENT:
    case CG_ERR_SYNTAX:
    case CG_ERR_NAME:
        return EXIT_USAGE;
    case CG_ERR_DEVICE:
    case CG_ERR_DEVICE_MEMORY:
    case CG_ERR_MEMORY:
    case CG_ERR_UNSUPPORTED:
    case CG_ERR_FALLBACK:
        return EXIT_DEVICE;
    case CG_ERR_SHAPE:
    case CG_ERR_DTYPE:
    case CG_ERR_INDEX:
    case CG_ERR_FILE:
    case CG_ERR_FORMAT:
        return EXIT_DATA;
    case CG_ERR_INTERRUPTED:
        return EXIT_INTERRUPTED;
    case CG_ERR_NAN:
    case CG_ERR_STATE:
    case CG_ERR_WRONG:
        break;
    }
    return EXIT_WRONG;
}

int report_failure(cg_status status) {
    const char *message = cg_error_message();
    fprintf(stderr, "clgrad: %s\n", *message ? message : cg_status_text(status));
    return exit_status_of(status);
}
