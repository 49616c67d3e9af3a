/* Calling a work until enough is known of its times. */
#ifndef CLGRAD_TOOLS_BENCH_MEASURE_H
#define CLGRAD_TOOLS_BENCH_MEASURE_H

#include "bench_limits.h"
#include "bench_rows.h"
#include "bench_runner.h"

/* Calls for `seconds` of the clock, at least `repeats` times, and adds the times. */
cg_status bench_measure_calls(bench_runner *runner, bench_pass pass, int64_t repeats, double seconds,
                              bench_times *times) CG_MUST_USE;

typedef struct bench_options {
    int64_t repeats;
    double seconds;
} bench_options;

/* Measures every pass of a work and adds the rows. */
cg_status bench_measure_work(const bench_work *work, cg_device *device, const bench_limits *limits,
                             const bench_options *options, bench_output *output) CG_MUST_USE;

#endif
