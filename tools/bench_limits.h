/* What a device can do at most, measured without clgrad's kernels. */
#ifndef CLGRAD_TOOLS_BENCH_LIMITS_H
#define CLGRAD_TOOLS_BENCH_LIMITS_H

#include "bench_rows.h"

#include <clgrad/device.h>

/* Traffic of two sizes: what caches hold between calls, and what they do not. */
#define BENCH_SIZES 2

typedef struct bench_limits {
    double flops;                  /* a second; 0: not known */
    double bandwidth[BENCH_SIZES]; /* bytes a second by size; 0: not known */
    double launch;                 /* seconds of the smallest thing that is started and waited for */
} bench_limits;

/* Chains of multiply-adds and triads, on OpenCL by kernels of their own, on cpu and reference by vector code on as many
 * threads; of other devices, and of simulators, only the launch. Adds the rows "limits" to `output` unless it is NULL.
 */
cg_status bench_limits_measure(cg_device *device, bench_limits *limits, bench_output *output) CG_MUST_USE;

/* The least time that the limits allow for so much work; 0: not known. */
double bench_limits_least_ms(const bench_limits *limits, double flops, double bytes);

#endif
