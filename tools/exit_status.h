/* The exit statuses, one meaning each, and how a library status becomes one. */
#ifndef CLGRAD_TOOLS_EXIT_STATUS_H
#define CLGRAD_TOOLS_EXIT_STATUS_H

#include <clgrad/status.h>

enum {
    EXIT_GOOD = 0,
    EXIT_WRONG = 1,  /* the answer is 'wrong': a check failed, training met NaN */
    EXIT_USAGE = 2,  /* flags, model, loss, optimizer or device syntax */
    EXIT_DEVICE = 3, /* missing, refused, out of memory, an op that may not fall back */
    EXIT_DATA = 4,   /* data or file, also shapes that do not fit the data */
    EXIT_INTERRUPTED = 130,
};

/* The paragraph about exit statuses that ends every --help. */
extern const char exit_status_help[];

int exit_status_of(cg_status status);

/* Prints "clgrad: MESSAGE", the last failure's, on stderr and returns its exit status. */
int report_failure(cg_status status);

#endif
