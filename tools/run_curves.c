/* The curves of a page. */
#include <math.h>
#include <stdlib.h>

#include "chart.h"
#include "html.h"
#include "run_report.h"

#define STEP_POINTS 240 /* more updates are put together, by their mean */

/* Updates in an epoch: the last one may be of fewer batches. */
static double updates_per_epoch(const training *t) {
    const cg_train_options *o = &t->chosen;
    int64_t rows = cg_data_describe(t->data)->rows[CG_SPLIT_TRAIN];
    int64_t batches = (rows + o->batch - 1) / o->batch, group = o->accumulate > 1 ? o->accumulate : 1;
    int64_t updates = (batches + group - 1) / group;
    return (double)updates;
}

typedef struct thinned {
    size_t count;
    double x[STEP_POINTS], loss[STEP_POINTS], lr[STEP_POINTS];
} thinned;

/* Neighbouring updates become one point, in the middle of them; the rate is the last one's. */
static void thin(const run_report *report, thinned *to) {
    const history_steps *s = &report->history.steps;
    double per_epoch = updates_per_epoch(report->training);
    size_t side = (s->count + STEP_POINTS - 1) / STEP_POINTS;
    to->count = 0;
    for (size_t begin = 0; begin < s->count; begin += side) {
        size_t end = begin + side < s->count ? begin + side : s->count;
        double loss = 0, step = 0;
        for (size_t i = begin; i < end; i++) {
            loss += s->loss[i] / (double)(end - begin);
            step += s->step[i] / (double)(end - begin);
        }
        to->x[to->count] = step / per_epoch;
        to->loss[to->count] = loss;
        to->lr[to->count++] = s->lr[end - 1];
    }
}

/* The place of the lowest value, or the highest; SIZE_MAX: there is none. */
static size_t extreme(const double *values, size_t count, bool highest) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) &&
            (best == SIZE_MAX || (highest ? values[i] > values[best] : values[i] < values[best]))) {
            best = i;
        }
    }
    return best;
}

/* "Validation loss over 10 epochs: 0.1302 at the end, 0.1280 at its lowest, after epoch 8." */
static void describe(char *text, size_t size, const char *what, const history_epochs *e, const double *values,
                     bool highest) {
    size_t best = extreme(values, e->count, highest);
    if (best == SIZE_MAX) {
        snprintf(text, size, "%s: no epoch is done.", what);
        return;
    }
    snprintf(text, size, "%s over %zu epochs: %.4g after the last, %.4g at its %s, after epoch %.0f.", what, e->count,
             values[e->count - 1], values[best], highest ? "highest" : "lowest", e->epoch[best]);
}

static void loss_curve(FILE *stream, const history_epochs *e, const thinned *steps) {
    char text[256];
    bool valid = extreme(e->valid_loss, e->count, false) != SIZE_MAX;
    describe(text, sizeof text, valid ? "Validation loss" : "Training loss", e, valid ? e->valid_loss : e->train_loss,
             false);
    const chart drawn = {.title = "Loss",
                         .x_label = "epoch",
                         .y_label = "loss",
                         .alternative = text,
                         .n_series = 3,
                         .series = {{"updates", 1, CHART_FAINT, steps->x, steps->loss, steps->count},
                                    {"training", 1, CHART_DOTS, e->epoch, e->train_loss, e->count},
                                    {"validation", 2, CHART_DOTS, e->epoch, e->valid_loss, valid ? e->count : 0}}};
    chart_write(stream, &drawn);
}

static void accuracy_curve(FILE *stream, const history_epochs *e, const double *x_first) {
    char text[256];
    bool running = extreme(e->train_accuracy, e->count, true) != SIZE_MAX;
    bool valid = extreme(e->valid_accuracy, e->count, true) != SIZE_MAX;
    describe(text, sizeof text, valid ? "Validation accuracy" : "Accuracy in training", e,
             valid ? e->valid_accuracy : e->train_accuracy, true);
    const chart drawn = {
        .title = "Accuracy",
        .x_label = "epoch",
        .y_label = "accuracy",
        .alternative = text,
        .percent = true,
        .x_first = x_first,
        .n_series = 2,
        .series = {{"training, while it learns", 1, CHART_DOTS, e->epoch, e->train_accuracy, running ? e->count : 0},
                   {"validation", 2, CHART_DOTS, e->epoch, e->valid_accuracy, valid ? e->count : 0}}};
    chart_write(stream, &drawn);
}

static void epoch_curve(FILE *stream, const char *title, const char *label, const history_epochs *e,
                        const double *values, bool highest, const double *x_first) {
    char text[256];
    describe(text, sizeof text, title, e, values, highest);
    const chart drawn = {.title = title,
                         .x_label = "epoch",
                         .y_label = label,
                         .alternative = text,
                         .x_first = x_first,
                         .n_series = 1,
                         .series = {{"validation", 2, CHART_DOTS, e->epoch, values, e->count}}};
    chart_write(stream, &drawn);
}

static void rate_curve(FILE *stream, const thinned *steps) {
    char text[256];
    size_t low = extreme(steps->lr, steps->count, false), high = extreme(steps->lr, steps->count, true);
    if (low != SIZE_MAX) {
        snprintf(text, sizeof text, "Learning rate: from %.4g at first to %.4g at last, between %.4g and %.4g.",
                 steps->lr[0], steps->lr[steps->count - 1], steps->lr[low], steps->lr[high]);
        const chart drawn = {.title = "Learning rate",
                             .x_label = "epoch",
                             .y_label = "learning rate",
                             .alternative = text,
                             .n_series = 1,
                             .series = {{"learning rate", 3, CHART_LINE, steps->x, steps->lr, steps->count}}};
        chart_write(stream, &drawn);
    }
}

typedef struct column {
    const char *name;
    const double *values;
    bool percent;
} column;

static void epoch_row(FILE *stream, const history_epochs *e, size_t i, const column *columns, size_t n_columns) {
    fprintf(stream, "<tr><th scope=\"row\">%.0f</th>", e->epoch[i]);
    for (size_t j = 0; j < n_columns; j++) {
        if (extreme(columns[j].values, e->count, true) != SIZE_MAX) {
            fputs("<td>", stream);
            (columns[j].percent ? html_percent : html_number)(stream, columns[j].values[i]);
            fputs("</td>", stream);
        }
    }
    fputs("</tr>\n", stream);
}

/* The same in numbers; a column of which nothing is known is left out. */
static void epoch_table(FILE *stream, const history_epochs *e) {
    const column columns[] = {{"training loss", e->train_loss, false},
                              {"validation loss", e->valid_loss, false},
                              {"training accuracy", e->train_accuracy, true},
                              {"accuracy", e->valid_accuracy, true},
                              {"F1", e->f1, false},
                              {"MAE", e->mae, false},
                              {"R²", e->r2, false},
                              {"seconds", e->seconds, false}};
    size_t n_columns = sizeof columns / sizeof *columns;
    if (e->count == 0) {
        return;
    }
    fputs("<details><summary>Epoch by epoch</summary><div class=\"scroll\" role=\"region\" tabindex=\"0\" "
          "aria-label=\"Epoch by epoch\"><table class=\"numbers\" id=\"epochs\">\n<thead><tr><th "
          "scope=\"col\">epoch</th>",
          stream);
    for (size_t j = 0; j < n_columns; j++) {
        if (extreme(columns[j].values, e->count, true) != SIZE_MAX) {
            fprintf(stream, "<th scope=\"col\">%s</th>", columns[j].name);
        }
    }
    fputs("</tr></thead>\n<tbody>\n", stream);
    for (size_t i = 0; i < e->count; i++) {
        epoch_row(stream, e, i, columns, n_columns);
    }
    fputs("</tbody></table></div></details>\n", stream);
}

/* Where the curves begin when it is not with epoch 1. */
static void say_where_from(FILE *stream, const run_report *report) {
    const run_history *h = &report->history;
    const train_options *options = &report->training->options;
    if (!options->resume) {
        return;
    }
    fputs("<p class=\"soft\">Resumed from ", stream);
    html_text(stream, options->resume);
    fprintf(stream, " in epoch %.0f. ", h->first_own);
    if (h->steps.count > 0 && h->steps.step[0] == 1) {
        fputs("The curves before that are the log’s, ", stream);
        html_text(stream, options->log);
        fputs(".</p>\n", stream);
    } else {
        fputs("The curves begin there: no log of what came before is at hand.</p>\n", stream);
    }
}

void run_curves(FILE *stream, const run_report *report) {
    const history_epochs *e = &report->history.epochs;
    thinned *steps = malloc(sizeof *steps);
    if (!steps || report->history.steps.count == 0) {
        free(steps);
        return;
    }
    thin(report, steps);
    fputs("<section id=\"curves\"><h2>How it learnt</h2>\n", stream);
    say_where_from(stream, report);
    fputs("<div class=\"charts\">\n", stream);
    loss_curve(stream, e, steps);
    if (cg_data_describe(report->training->data)->classes > 0) {
        accuracy_curve(stream, e, steps->x);
    } else {
        epoch_curve(stream, "Mean absolute error", "MAE", e, e->mae, false, steps->x);
        epoch_curve(stream, "R²", "R²", e, e->r2, true, steps->x);
    }
    rate_curve(stream, steps);
    fputs("</div>\n", stream);
    epoch_table(stream, e);
    fputs("</section>\n", stream);
    free(steps);
}
