/* The decorators, one file each. */
#ifndef CLGRAD_DECORATORS_H
#define CLGRAD_DECORATORS_H

#include "decorator.h"

extern const cg_decorator cg_decorator_check; /* check.c: every op against the reference in double */
extern const cg_decorator cg_decorator_trace; /* trace.c: when each op ran, for how long */
extern const cg_decorator cg_decorator_fault; /* fault.c: what fails, on purpose */

#endif
