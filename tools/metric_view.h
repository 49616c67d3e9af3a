/* Metrics of a split as the commands show them. */
#ifndef CLGRAD_TOOLS_METRIC_VIEW_H
#define CLGRAD_TOOLS_METRIC_VIEW_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include <clgrad/metrics.h>

/* Metrics of that data; *metrics is NULL where it has more classes than a matrix may have. */
cg_status metric_view_create(const cg_data *data, const cg_metrics_options *options, cg_metrics **metrics) CG_MUST_USE;

/* Adds "precision", "recall", "f1" (macro averages), "top_k" where there are more classes than k, "per_class", and up
 * to 100 classes "confusion" (a row for each class, a column for each prediction); or "mae", "mse" and "r2". NULL adds
 * nothing. */
void metric_view_json(cJSON *object, const cg_metrics *metrics, const cg_data *data);

/* ", F1 0.9712" or ", MAE 0.1, R2 0.98"; nothing for NULL or no rows. */
void metric_view_line(FILE *stream, const cg_metrics *metrics);

/* The averages, and a row for each class; of more than 40 classes those with the lowest F1. Nothing for numbers. */
void metric_view_table(FILE *stream, const cg_metrics *metrics, const cg_data *data);

#endif
