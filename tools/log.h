/* The training log: one JSON object a line, written out line by line, so that it can be followed while it grows. */
#ifndef CLGRAD_TOOLS_LOG_H
#define CLGRAD_TOOLS_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include <clgrad/metrics.h>

#include "activation_view.h"

/* One line for an update, one for an epoch, with the errors of numbers and what there is of activations; metrics may be
 * NULL. False when it cannot be written. */
bool log_step(FILE *log, const cg_progress *progress);
bool log_epoch(FILE *log, const cg_progress *progress, const cg_metrics *metrics, const activation_view *activations);

#endif
