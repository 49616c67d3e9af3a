/* What clgrad costs besides the work: an op, and a start; on OpenCL beside the driver's calls alone. */
#ifndef CLGRAD_TOOLS_BENCH_OVERHEAD_H
#define CLGRAD_TOOLS_BENCH_OVERHEAD_H

#include <clgrad/device.h>

#include "bench_rows.h"

/* Adds the rows "overhead": one small op, recorded and dispatched. */
cg_status bench_overhead(bench_output *output, cg_device *device) CG_MUST_USE;

/* Adds the rows "startup": a process from its start to the first result. No driver may have been loaded by this one.
 * EXIT_GOOD, or the exit status after a line on stderr. */
int bench_startup(bench_output *output, const char *device);

#endif
