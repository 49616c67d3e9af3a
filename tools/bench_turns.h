/* clgrad bench as one side of a comparison: it measures when it is told to, and waits in between. */
#ifndef CLGRAD_TOOLS_BENCH_TURNS_H
#define CLGRAD_TOOLS_BENCH_TURNS_H

#include <clgrad/device.h>

/* Reads turns from standard input, "NAME PASS" a line, until it ends. For each, calls that work for `seconds`, at least
 * once, and answers with a line {"name", "device", "pass", "calls", "ms"}: the median. The first turn of a pass makes
 * one call more before, untimed. EXIT_GOOD, or the exit status after a line on stderr. */
int bench_turns(cg_device *device, double seconds);

#endif
