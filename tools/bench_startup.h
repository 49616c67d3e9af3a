/* How long a process takes from its start to the first result of a device. */
#ifndef CLGRAD_TOOLS_BENCH_STARTUP_H
#define CLGRAD_TOOLS_BENCH_STARTUP_H

#include <stdbool.h>

#include <clgrad/device.h>

/* Processes of their own, so that each loads drivers and plug-ins anew; the calling one may have loaded no driver. */
typedef struct startup startup;

/* Opens the device (NULL: the default) once in a process, which fills its cache of kernels, and describes it. When that
 * fails, *self is NULL, a line on stderr says why, and the exit status is returned. Close with startup_close. */
int startup_open(const char *device, startup **self);
void startup_close(startup *self);
const cg_device_info *startup_describe(const startup *self);

/* Milliseconds of a process that opens the device, runs one small op, reads its result and closes; of one that opens a
 * context and a queue by the driver's calls alone. Negative: it failed. */
double startup_clgrad(startup *self);
double startup_bare(startup *self);

#endif
