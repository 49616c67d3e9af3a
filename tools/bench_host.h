/* What this processor can do at most: multiply-adds and memory traffic of so many threads. */
#ifndef CLGRAD_TOOLS_BENCH_HOST_H
#define CLGRAD_TOOLS_BENCH_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Independent chains of fused multiply-adds in the widest vectors that the processor has, found out at run time. Gives
 * the seconds that `rounds` take and the flops of all threads together. False: threads cannot be had. */
bool host_fma(unsigned threads, long rounds, double *seconds, double *flops);

/* c = a + 3 b over three arrays of `n` floats in all, `rounds` times, each thread its own part: seconds of all. */
typedef struct host_triad host_triad;
host_triad *host_triad_create(unsigned threads, size_t n);
void host_triad_destroy(host_triad *triad);
bool host_triad_run(host_triad *triad, long rounds, double *seconds);

#endif
