/* What the files of normalization on the cpu share. */
#ifndef CLGRAD_CPU_NORMALIZE_H
#define CLGRAD_CPU_NORMALIZE_H

#include <stdint.h>

/* The weights that a run meets: one for all of it, or a vector of them (NULL: one). */
typedef struct cpu_run_weights {
    float one;
    const float *vector;
} cpu_run_weights;

/* The sums of g = dy weight and of g (x - mean) rstd over a run of n neighbours. */
typedef struct cpu_run_sum {
    float g, along;
} cpu_run_sum;

cpu_run_sum cpu_run_sums(const float *x, const float *dy, float mean, float rstd, cpu_run_weights w, int64_t n);

#endif
