/* What evaluation tells of each batch. */
#ifndef CLGRAD_METRICS_PRIVATE_H
#define CLGRAD_METRICS_PRIVATE_H

#include <clgrad/metrics.h>

/* The data it was made for. */
const cg_data *cg_metrics_data(const cg_metrics *metrics);

/* Forgets the figures; `total` rows of a split are to come. */
void cg_metrics_begin(cg_metrics *metrics, cg_split split, int64_t total);

/* A batch: rows [n] of the split, output [n, at least one for each class or target], which is read. */
cg_status cg_metrics_add(cg_metrics *metrics, const int64_t *rows, int64_t n, cg_tensor *output) CG_MUST_USE;

/* The same for `n` rows from `first` on. */
cg_status cg_metrics_add_range(cg_metrics *metrics, int64_t first, int64_t n, cg_tensor *output) CG_MUST_USE;

#endif
