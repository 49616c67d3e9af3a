/* All devices in one array. */
#ifndef CLGRAD_TOOLS_DEVICE_LIST_H
#define CLGRAD_TOOLS_DEVICE_LIST_H

#include <stdio.h>

#include <clgrad/device.h>

/* Lists every device of every backend; the caller frees the array. */
cg_status device_list(cg_device_info **infos, size_t *count) CG_MUST_USE;

/* The backends that cannot be used, one line each. */
void print_backend_problems(FILE *stream);

#endif
