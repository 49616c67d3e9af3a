/*
 * clgrad train --report: one page about a training that needs nothing but itself. What is to be shown is gathered here
 * while the training runs; run_page.c, run_figures.c and run_images.c write it.
 */
#ifndef CLGRAD_TOOLS_RUN_REPORT_H
#define CLGRAD_TOOLS_RUN_REPORT_H

#include <cjson/cJSON.h>

#include "run_history.h"
#include "training.h"

#define RUN_OPS 64
#define RUN_WORST 24
#define RUN_POINTS 400
#define RUN_SAMPLE 2000 /* training rows that are looked at where there is no validation */

typedef struct run_report {
    const char *path; /* NULL: none is wanted, and every function does nothing */
    const training *training;
    int argc; /* the flags as they were given */
    char **argv;
    cg_metrics *metrics; /* borrowed; NULL: more classes than there are matrices of */
    int64_t measured;    /* updates before that; 0: not yet */
    run_history history;
    cg_op_time ops[RUN_OPS];
    size_t n_ops;
    cJSON *layers;
    int64_t *class_rows;  /* training rows of each class; NULL for numbers */
    char state[512];      /* how far it is, or how it ended */
    cg_split split;       /* of `result` */
    cg_evaluation result; /* n 0: none yet */
    bool warned;          /* that a page could not be written */
} run_report;

/* Metrics of a training's data, with what a page shows, which listen to its validation. */
cg_status run_metrics_open(const training *t, cg_metrics **metrics) CG_MUST_USE;

/* Begins a page, with these metrics, and reads the log of a run that is resumed. run_report_close afterwards in any
 * case. */
cg_status run_report_open(run_report *report, const training *t, cg_metrics *metrics, int argc,
                          char **argv) CG_MUST_USE;
void run_report_close(run_report *report);

cg_status run_report_step(run_report *report, const cg_progress *progress) CG_MUST_USE;

/* Gathers and writes. A page that cannot be written is said once on stderr, and does not stop the training. */
cg_status run_report_epoch(run_report *report, const cg_progress *progress) CG_MUST_USE;

/* The last page of a training that went well, with its result. */
cg_status run_report_finish(run_report *report, cg_split split, const cg_evaluation *result) CG_MUST_USE;

/* The last page of one that did not, and why. */
cg_status run_report_stop(run_report *report, const char *why) CG_MUST_USE;

/* Whether figures are of a sample of training rows: there is no validation. */
bool run_report_sampled(const run_report *report);

/* "validation rows" or "training rows, a sample": what figures are of. */
const char *run_report_rows(const run_report *report);

/* The name of a class, or "none of them". */
const char *run_class_name(const run_report *report, int64_t index);

/* The page's parts; false where memory is out. */
bool run_page(FILE *stream, const run_report *report);
void run_curves(FILE *stream, const run_report *report);
void run_results(FILE *stream, const run_report *report);
bool run_worst(FILE *stream, const run_report *report);
bool run_filters(FILE *stream, const run_report *report);

#endif
