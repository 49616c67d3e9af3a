/* How the time of a training's step grows with its batch. */
#ifndef CLGRAD_TOOLS_BENCH_BATCHES_H
#define CLGRAD_TOOLS_BENCH_BATCHES_H

#include "bench_measure.h"

/* A step of mlp and of lenet at batches of 16 to 1024, a row each with n the batch; and, printed after them where the
 * output is no JSON, the line through them: what a step costs whatever its batch, and a row of it. */
cg_status bench_batches(bench_output *output, cg_device *device, const bench_options *options) CG_MUST_USE;

/* The line through times (ms) of steps at those batches whose largest error is the least that a line from 0 or more
 * rows before the first can have: a share of the time that the line has there. */
typedef struct bench_line {
    double constant, slope, error;
    double farthest; /* the batch of that error */
} bench_line;

bench_line bench_fit(const double *batches, const double *ms, size_t count);

#endif
