/* The training log: one JSON object a line, written out line by line, so that it can be followed while it grows. */
#ifndef CLGRAD_TOOLS_LOG_H
#define CLGRAD_TOOLS_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include <clgrad/train.h>

/* One line for an update, one for an epoch. False when it cannot be written. */
bool log_step(FILE *log, const cg_progress *progress);
bool log_epoch(FILE *log, const cg_progress *progress);

#endif
