/* One work on one device, ready to be called again and again. */
#ifndef CLGRAD_TOOLS_BENCH_RUNNER_H
#define CLGRAD_TOOLS_BENCH_RUNNER_H

#include "bench_works.h"

typedef struct bench_runner bench_runner;

/* Makes tensors, module and optimizer. On failure *runner is NULL. Close with bench_runner_close; NULL does nothing. */
cg_status bench_runner_open(const bench_work *work, cg_device *device, bench_runner **runner) CG_MUST_USE;
void bench_runner_close(bench_runner *runner);

/* Does the pass once, a training its steps, waits for the device, and gives the seconds; of a training those of an
 * epoch at this pace. What has to be there before is made first, outside the clock. */
cg_status bench_runner_call(bench_runner *runner, bench_pass pass, double *seconds) CG_MUST_USE;

/* What `seconds` of a call stand for: images of an epoch; parameters of a step; else the first dimension. */
int64_t bench_runner_n(const bench_runner *runner);

/* Floating point operations of matrix products and convolutions, a multiply-add counted as two; 0: there are none. */
double bench_runner_flops(const bench_runner *runner, bench_pass pass);

/* The least that must be moved: each input, parameter, output and gradient once, nothing for what lies between; 0 for a
 * training. */
double bench_runner_bytes(const bench_runner *runner, bench_pass pass);

#endif
