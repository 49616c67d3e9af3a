/* How long a process takes from its start to the first result of a device, and to the end of a training's first step.
 */
#ifndef CLGRAD_TOOLS_BENCH_STARTUP_H
#define CLGRAD_TOOLS_BENCH_STARTUP_H

#include <stdbool.h>

#include <clgrad/device.h>

/* Processes of their own, so that each loads drivers and plug-ins anew; the calling one may have loaded no driver. */
typedef struct startup startup;

/* Opens the device (NULL: the default) in two processes, which fill its cache of kernels, and describes it. When that
 * fails, *self is NULL, a line on stderr says why, and the exit status is returned. Close with startup_close. */
int startup_open(const char *device, startup **self);
void startup_close(startup *self);
const cg_device_info *startup_describe(const startup *self);

/* Milliseconds of a process that opens the device, runs one small op, reads its result and closes; of one that makes
 * the network of `clgrad bench mlp`, runs the first step of its training and reads the loss; of one that opens a
 * context and a queue by the driver's calls alone. Negative: it failed. */
double startup_first_result(startup *self);
double startup_first_step(startup *self);
double startup_bare(startup *self);

#endif
