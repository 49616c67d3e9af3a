/* Curves in columns, and the reader of the log. */
#include "run_history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* Makes room for one more in each of the columns. */
static bool grow(double **const *columns, size_t n_columns, size_t count, size_t *capacity) {
    if (count < *capacity) {
        return true;
    }
    size_t larger = *capacity > 0 ? 2 * *capacity : 64;
    for (size_t i = 0; i < n_columns; i++) {
        double *column = realloc(*columns[i], larger * sizeof *column);
        if (!column) {
            return false;
        }
        *columns[i] = column;
    }
    *capacity = larger;
    return true;
}

bool run_history_step(run_history *history, double step, double loss, double lr) {
    history_steps *s = &history->steps;
    double **const columns[] = {&s->step, &s->loss, &s->lr};
    while (s->count > 0 && s->step[s->count - 1] >= step) {
        s->count--;
    }
    if (!grow(columns, sizeof columns / sizeof *columns, s->count, &s->capacity)) {
        return false;
    }
    s->step[s->count] = step;
    s->loss[s->count] = loss;
    s->lr[s->count++] = lr;
    return true;
}

/* A row of its own, all but the epoch unknown; SIZE_MAX where memory is out. */
static size_t add_epoch(history_epochs *e, double epoch) {
    double **const columns[] = {&e->epoch, &e->train_loss, &e->valid_loss, &e->train_accuracy, &e->valid_accuracy,
                                &e->f1,    &e->mae,        &e->r2,         &e->seconds};
    size_t n_columns = sizeof columns / sizeof *columns;
    while (e->count > 0 && e->epoch[e->count - 1] >= epoch) {
        e->count--;
    }
    if (!grow(columns, n_columns, e->count, &e->capacity)) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < n_columns; i++) {
        (*columns[i])[e->count] = NAN;
    }
    e->epoch[e->count] = epoch;
    return e->count++;
}

bool run_history_epoch(run_history *history, const cg_progress *progress, const cg_metrics *metrics) {
    history_epochs *e = &history->epochs;
    size_t i = add_epoch(e, (double)progress->epoch);
    if (i == SIZE_MAX) {
        return false;
    }
    e->train_loss[i] = progress->train_loss;
    e->valid_loss[i] = progress->has_valid ? progress->valid_loss : NAN;
    e->valid_accuracy[i] = progress->has_valid ? progress->valid_accuracy : NAN;
    e->train_accuracy[i] = progress->accuracy;
    e->seconds[i] = progress->train_seconds;
    if (metrics && progress->has_valid) {
        const cg_confusion *confusion = cg_metrics_confusion(metrics);
        const cg_number_scores numbers = cg_metrics_numbers(metrics);
        e->f1[i] = confusion ? cg_confusion_macro(confusion).f1 : NAN;
        e->mae[i] = numbers.mae;
        e->r2[i] = numbers.r2;
    }
    return true;
}

static double number_at(const cJSON *line, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(line, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static bool read_epoch(run_history *history, const cJSON *line, double epoch) {
    history_epochs *e = &history->epochs;
    size_t i = add_epoch(e, epoch);
    if (i == SIZE_MAX) {
        return false;
    }
    e->train_loss[i] = number_at(line, "train_loss");
    e->valid_loss[i] = number_at(line, "valid_loss");
    e->valid_accuracy[i] = number_at(line, "valid_accuracy");
    e->mae[i] = number_at(line, "valid_mae");
    e->r2[i] = number_at(line, "valid_r2");
    e->seconds[i] = number_at(line, "train_seconds");
    return true;
}

static bool read_line(run_history *history, const cJSON *line, double last_step, double last_epoch) {
    double step = number_at(line, "step"), epoch = number_at(line, "epoch");
    if (step >= 1 && step <= last_step) {
        return run_history_step(history, step, number_at(line, "loss"), number_at(line, "lr"));
    }
    if (isnan(step) && cJSON_HasObjectItem(line, "train_loss") && epoch >= 1 && epoch <= last_epoch) {
        return read_epoch(history, line, epoch);
    }
    return true;
}

bool run_history_read(run_history *history, const char *path, double last_step, double last_epoch) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    bool good = true;
    while (file && good && getline(&text, &size, file) >= 0) {
        cJSON *line = cJSON_Parse(text);
        good = !line || read_line(history, line, last_step, last_epoch);
        cJSON_Delete(line);
    }
    free(text);
    if (file) {
        fclose(file);
    }
    return good;
}

void run_history_free(run_history *history) {
    history_steps *s = &history->steps;
    history_epochs *e = &history->epochs;
    double *const columns[] = {s->step,           s->loss,           s->lr, e->epoch, e->train_loss, e->valid_loss,
                               e->train_accuracy, e->valid_accuracy, e->f1, e->mae,   e->r2,         e->seconds};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        free(columns[i]);
    }
    *history = (run_history){0};
}
