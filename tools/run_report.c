/* Gathers what the page of a training shows. */
#include "run_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "layer_table.h"
#include "metric_view.h"
#include "saved_model.h"
#include "whole_file.h"

#define ROWS_AT_ONCE 4096

static cg_status out_of_memory(void) {
    return cg_fail(CG_ERR_MEMORY, "out of memory");
}

/* How many training rows each class has. */
static cg_status count_classes(run_report *report) {
    const cg_data *data = report->training->data;
    const cg_data_info *info = cg_data_describe(data);
    int64_t rows[ROWS_AT_ONCE], classes[ROWS_AT_ONCE], all = info->rows[CG_SPLIT_TRAIN];
    report->class_rows = info->classes > 0 ? calloc((size_t)info->classes, sizeof *report->class_rows) : NULL;
    if (!report->class_rows) {
        return info->classes > 0 ? out_of_memory() : CG_OK;
    }
    for (int64_t done = 0; done < all; done += ROWS_AT_ONCE) {
        int64_t n = all - done < ROWS_AT_ONCE ? all - done : ROWS_AT_ONCE;
        for (int64_t i = 0; i < n; i++) {
            rows[i] = done + i;
        }
        CG_TRY(cg_data_rows(data, CG_SPLIT_TRAIN, rows, n, NULL, classes));
        for (int64_t i = 0; i < n; i++) {
            report->class_rows[classes[i]]++;
        }
    }
    return CG_OK;
}

/* A resumed run: what its log says of the epochs before. */
static cg_status read_log(run_report *report) {
    const training *t = report->training;
    int64_t epoch, position;
    cg_trainer_position(t->trainer, &epoch, &position);
    report->history.first_own = (double)epoch + 1;
    bool wanted = t->options.resume && t->options.log;
    double updates = (double)cg_trainer_updates(t->trainer);
    return !wanted || run_history_read(&report->history, t->options.log, updates, (double)epoch) ? CG_OK
                                                                                                 : out_of_memory();
}

cg_status run_metrics_open(const training *t, cg_metrics **metrics) {
    const cg_metrics_options options = {.worst = RUN_WORST, .points = RUN_POINTS};
    CG_TRY(metric_view_create(t->data, &options, metrics));
    bool listens = *metrics && cg_data_describe(t->data)->rows[CG_SPLIT_VALID] > 0;
    return listens ? cg_metrics_attach(*metrics, t->trainer) : CG_OK;
}

cg_status run_report_open(run_report *report, const training *t, cg_metrics *metrics, int argc, char **argv) {
    *report = (run_report){.path = t->options.report, .training = t, .metrics = metrics, .argc = argc, .argv = argv};
    if (!report->path) {
        return CG_OK;
    }
    snprintf(report->state, sizeof report->state, "not begun");
    report->layers = cJSON_CreateObject();
    CG_TRY(report->layers ? CG_OK : out_of_memory());
    CG_TRY(layer_table(t->model, t->device, &cg_data_describe(t->data)->sample, report->layers));
    CG_TRY(count_classes(report));
    return read_log(report);
}

void run_report_close(run_report *report) {
    run_history_free(&report->history);
    cJSON_Delete(report->layers);
    free(report->class_rows);
}

bool run_report_sampled(const run_report *report) {
    return cg_data_describe(report->training->data)->rows[CG_SPLIT_VALID] == 0;
}

const char *run_report_rows(const run_report *report) {
    return run_report_sampled(report) ? "training rows, a sample: there is no validation" : "validation rows";
}

const char *run_class_name(const run_report *report, int64_t index) {
    const char *name = cg_data_class_name(report->training->data, index);
    return name ? name : "none of them";
}

cg_status run_report_step(run_report *report, const cg_progress *progress) {
    if (!report->path) {
        return CG_OK;
    }
    return run_history_step(&report->history, (double)progress->step, progress->loss, progress->lr) ? CG_OK
                                                                                                    : out_of_memory();
}

static cg_status write_page(const run_report *report) {
    char *page = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&page, &size);
    bool written = stream && run_page(stream, report);
    if (stream && fclose(stream) != 0) {
        written = false;
    }
    cg_status status = written ? whole_file_write(report->path, page, size) : out_of_memory();
    free(page);
    return status;
}

/* Not the end of a training that goes well otherwise: it is tried again. */
static void write_or_warn(run_report *report) {
    if (write_page(report) != CG_OK && !report->warned) {
        fprintf(stderr, "clgrad: %s; the training goes on\n", cg_error_message());
        report->warned = true;
    }
}

/* Once in a run, and none of the training's time. */
static cg_status time_ops(run_report *report) {
    if (report->n_ops > 0) {
        return CG_OK;
    }
    size_t count;
    CG_TRY(cg_trainer_time_ops(report->training->trainer, report->ops, RUN_OPS, &count));
    report->n_ops = count < RUN_OPS ? count : RUN_OPS;
    return CG_OK;
}

/* Figures of the rows that there are. */
static cg_status sample(const run_report *report) {
    return report->metrics && run_report_sampled(report)
               ? cg_metrics_sample(report->metrics, report->training->trainer, CG_SPLIT_TRAIN, RUN_SAMPLE)
               : CG_OK;
}

cg_status run_report_epoch(run_report *report, const cg_progress *progress) {
    if (!report->path) {
        return CG_OK;
    }
    CG_TRY(sample(report));
    report->measured = cg_trainer_updates(report->training->trainer);
    CG_TRY(run_history_epoch(&report->history, progress, report->metrics) ? CG_OK : out_of_memory());
    CG_TRY(time_ops(report));
    if (progress->epochs > 0) {
        snprintf(report->state, sizeof report->state, "running: %lld of %lld epochs are done",
                 (long long)progress->epoch, (long long)progress->epochs);
    } else {
        snprintf(report->state, sizeof report->state, "running: %lld of %lld updates are done",
                 (long long)progress->step, (long long)progress->steps);
    }
    write_or_warn(report);
    return CG_OK;
}

/* Where it ended inside an epoch the figures are of the one before: once more. */
static cg_status measure_again(run_report *report) {
    const training *t = report->training;
    int64_t updates = cg_trainer_updates(t->trainer);
    if (!report->metrics || (report->measured == updates && updates > 0)) {
        return CG_OK;
    }
    cg_evaluation ignored;
    report->measured = updates;
    return run_report_sampled(report)
               ? sample(report)
               : cg_metrics_evaluate_training(report->metrics, t->trainer, CG_SPLIT_VALID, &ignored);
}

cg_status run_report_finish(run_report *report, cg_split split, const cg_evaluation *result) {
    if (!report->path) {
        return CG_OK;
    }
    report->split = split;
    report->result = *result;
    CG_TRY(measure_again(report));
    CG_TRY(time_ops(report));
    const training *t = report->training;
    int64_t updates = cg_trainer_updates(t->trainer), planned = cg_trainer_planned(t->trainer);
    if (cg_trainer_out_of_patience(t->trainer)) {
        snprintf(report->state, sizeof report->state, "ended early: the validation loss had not fallen for %lld epochs",
                 (long long)t->chosen.patience);
    } else if (updates < planned) {
        snprintf(report->state, sizeof report->state, "stopped after %lld of %lld updates", (long long)updates,
                 (long long)planned);
    } else {
        snprintf(report->state, sizeof report->state, "finished");
    }
    return write_page(report);
}

cg_status run_report_stop(run_report *report, const char *why) {
    if (!report->path) {
        return CG_OK;
    }
    snprintf(report->state, sizeof report->state, "%s", why);
    return write_page(report);
}
