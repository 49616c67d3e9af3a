/* The curves of a training: what each update and each epoch was told, by this run or by the log of those before it. */
#ifndef CLGRAD_TOOLS_RUN_HISTORY_H
#define CLGRAD_TOOLS_RUN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include <clgrad/metrics.h>

/* Columns of equal length. */
typedef struct history_steps {
    size_t count, capacity;
    double *step, *loss, *lr;
} history_steps;

typedef struct history_epochs {
    size_t count, capacity;
    double *epoch, *train_loss, *valid_loss, *train_accuracy, *valid_accuracy, *f1, *mae, *r2, *seconds;
} history_epochs;

typedef struct run_history {
    history_steps steps;
    history_epochs epochs;
    double first_own; /* the first epoch that this run began; those before it are of the log */
} run_history;

/* A zero-initialised one is empty. False, here and below, where memory is out. */
bool run_history_step(run_history *history, double step, double loss, double lr);
bool run_history_epoch(run_history *history, const cg_progress *progress, const cg_metrics *metrics);

/* Reads the lines of a log up to this update and epoch; lines that are none of a training's are passed over, and an
 * update that stands there again, from a run that was resumed, takes the place of the first. A file that cannot be read
 * leaves the history empty. */
bool run_history_read(run_history *history, const char *path, double last_step, double last_epoch);

void run_history_free(run_history *history);

#endif
