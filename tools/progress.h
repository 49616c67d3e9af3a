/*
 * What a training shows. On a terminal one live line, with a sparkline of the loss, drawn again a few times a second,
 * and one table row for each epoch; elsewhere the rows alone.
 */
#ifndef CLGRAD_TOOLS_PROGRESS_H
#define CLGRAD_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include <clgrad/train.h>

#include "sparkline.h"

typedef struct progress_view {
    FILE *stream;
    bool quiet, live, utf8;
    bool drawn, header; /* the live line stands there; the table's head was printed */
    double last_draw;
    int64_t epoch; /* of which `begin` and `begin_samples` are */
    double begin;
    int64_t begin_samples, begin_step;
    sparkline losses; /* of all updates */
} progress_view;

void progress_open(progress_view *view, FILE *stream, bool quiet);

/* After each update whose loss is known. */
void progress_loss(progress_view *view, const cg_progress *progress);

/* After each batch. */
void progress_batch(progress_view *view, const cg_progress *progress);

/* After each epoch: its row. */
void progress_epoch(progress_view *view, const cg_progress *progress);

/* At the end: on a terminal the curve of the loss, which a narrow one has no room for before. */
void progress_end(progress_view *view);

/* Removes the live line: before anything else is printed. */
void progress_clear(progress_view *view);

#endif
