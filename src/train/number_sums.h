/* Sums over pairs of expected and predicted numbers, that MAE, MSE and R2 are made of. */
#ifndef CLGRAD_NUMBER_SUMS_H
#define CLGRAD_NUMBER_SUMS_H

#include <clgrad/metrics.h>

/* Of one target. Mean and squared distances are Welford's, which lose nothing to a mean that is far from 0. */
typedef struct cg_number_sums {
    int64_t rows;
    double absolute, squared; /* of errors */
    double mean, distances;   /* of what was expected */
} cg_number_sums;

/* Adds n rows: sums [targets], expected and predicted [n, targets]. */
void cg_number_sums_add(cg_number_sums *sums, int64_t targets, const float *expected, const float *predicted,
                        int64_t n);

/* The means over the targets. */
cg_number_scores cg_number_sums_scores(const cg_number_sums *sums, int64_t targets);

#endif
