/* The decorators, one file each. */
#ifndef CLGRAD_DECORATORS_H
#define CLGRAD_DECORATORS_H

#include "decorator.h"

extern const cg_decorator cg_decorator_check; /* check.c: every op against the reference in double */
extern const cg_decorator cg_decorator_trace; /* trace.c: when each op ran, for how long */
extern const cg_decorator cg_decorator_fault; /* fault.c: what fails, on purpose */

/* What check: saw of the ops of one kind. */
typedef struct cg_checked {
    const char *op;
    uint64_t times, wrong;
    double worst; /* share of what is allowed */
} cg_checked;

/* Up to `capacity` kinds that a device inside check: met, and how many there are. `handle`: check's. */
size_t cg_check_seen(const void *handle, cg_checked *kinds, size_t capacity);

#endif
