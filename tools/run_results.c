/* What the model takes for what: confusion matrix, figures of each class; of numbers the predicted against the true. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "html.h"
#include "picture.h"
#include "run_report.h"

#define TABLE_CLASSES 30 /* a matrix of more is a picture */
#define PAIRS 10
#define SHORT_NAME 3

/* Colour: how much of the row stands in the cell, its root, so that few of many can be seen. */
static void put_cell(FILE *stream, const run_report *report, int64_t row, int64_t column, int64_t support) {
    int64_t count = cg_confusion_count(cg_metrics_confusion(report->metrics), row, column);
    double share = support > 0 ? (double)count / (double)support : 0;
    if (count == 0) {
        fputs("<td class=\"none\">0</td>", stream);
        return;
    }
    double strength = row == column ? share : 0.15 + 0.85 * sqrt(share);
    fprintf(stream, "<td class=\"%s%s\" style=\"--v:%.3f\" title=\"", row == column ? "right" : "off",
            strength > 0.6 ? " strong" : "", strength);
    html_text(stream, run_class_name(report, row));
    fputs(" as ", stream);
    html_text(stream, run_class_name(report, column));
    fprintf(stream, ": %lld of %lld\">%lld</td>", (long long)count, (long long)support, (long long)count);
}

static bool any_outside(const cg_confusion *confusion) {
    int64_t classes = cg_confusion_classes(confusion), outside = 0;
    for (int64_t i = 0; i < classes; i++) {
        outside += cg_confusion_count(confusion, i, classes);
    }
    return outside > 0;
}

static bool long_names(const run_report *report, int64_t classes) {
    bool any = false;
    for (int64_t i = 0; i < classes; i++) {
        any = any || strlen(run_class_name(report, i)) > SHORT_NAME;
    }
    return any;
}

static void put_name(FILE *stream, const run_report *report, int64_t index, const char *scope) {
    fprintf(stream, "<th scope=\"%s\"><span title=\"", scope);
    html_text(stream, run_class_name(report, index));
    fputs("\">", stream);
    html_text(stream, run_class_name(report, index));
    fputs("</span></th>", stream);
}

static void matrix_table(FILE *stream, const run_report *report, const cg_confusion *confusion) {
    int64_t classes = cg_confusion_classes(confusion), columns = classes + any_outside(confusion);
    fprintf(stream,
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Confusion matrix\"><table "
            "class=\"matrix%s\" id=\"confusion\">\n<caption>Each row is a true class, each column what it was taken "
            "for.</caption>\n<thead><tr><td></td>",
            long_names(report, classes) ? " names" : "");
    for (int64_t i = 0; i < columns; i++) {
        put_name(stream, report, i, "col");
    }
    fputs("</tr></thead>\n<tbody>\n", stream);
    for (int64_t i = 0; i < classes; i++) {
        int64_t support = cg_confusion_class(confusion, i).support;
        fputs("<tr>", stream);
        put_name(stream, report, i, "row");
        for (int64_t j = 0; j < columns; j++) {
            put_cell(stream, report, i, j, support);
        }
        fputs("</tr>\n", stream);
    }
    fputs("</tbody></table></div>\n", stream);
}

/* Blue on the diagonal, red beside it, by its share of the row. */
static void matrix_picture(FILE *stream, const cg_confusion *confusion) {
    int64_t classes = cg_confusion_classes(confusion);
    picture made;
    if (!picture_create((int)classes, (int)classes, 4, &made)) {
        return;
    }
    for (int64_t i = 0; i < classes; i++) {
        int64_t support = cg_confusion_class(confusion, i).support;
        for (int64_t j = 0; j < classes && support > 0; j++) {
            static const unsigned char right[] = {47, 111, 222}, off[] = {214, 69, 69};
            unsigned char *pixel = made.pixels + 4 * (i * classes + j);
            double share = (double)cg_confusion_count(confusion, i, j) / (double)support;
            memcpy(pixel, i == j ? right : off, 3);
            pixel[3] = (unsigned char)lround(255 * sqrt(share));
        }
    }
    fputs("<img class=\"pixels matrix\" id=\"confusion\" src=\"", stream);
    (void)picture_write(stream, &made); /* without memory it is empty; the table of classes says the same */
    fprintf(stream,
            "\" alt=\"Confusion matrix of %lld classes\">\n<p class=\"soft small\">Each row is a true class, each "
            "column what it was taken for: blue where that is right, red where not.</p>\n",
            (long long)classes);
    picture_free(&made);
}

typedef struct pair {
    int64_t row, column, count;
} pair;

/* The PAIRS most frequent mistakes, most frequent first; returns how many there are. */
static size_t find_pairs(const cg_confusion *confusion, pair *pairs) {
    int64_t classes = cg_confusion_classes(confusion);
    size_t count = 0;
    for (int64_t place = 0; place < classes * (classes + 1); place++) {
        pair new = {.row = place / (classes + 1), .column = place % (classes + 1)};
        new.count = cg_confusion_count(confusion, new.row, new.column);
        size_t at = count;
        while (at > 0 && pairs[at - 1].count < new.count) {
            at--;
        }
        if (new.row != new.column &&new.count > 0 && at < PAIRS) {
            count += count < PAIRS;
            memmove(pairs + at + 1, pairs + at, (count - at - 1) * sizeof *pairs);
            pairs[at] = new;
        }
    }
    return count;
}

static void put_pairs(FILE *stream, const run_report *report, const cg_confusion *confusion) {
    pair pairs[PAIRS];
    size_t count = find_pairs(confusion, pairs);
    if (count == 0) {
        fputs("<p>No row was taken for another class.</p>\n", stream);
        return;
    }
    fputs("<h3>Most frequent mistakes</h3>\n<ol class=\"pairs\">\n", stream);
    for (size_t i = 0; i < count; i++) {
        int64_t support = cg_confusion_class(confusion, pairs[i].row).support;
        fputs("<li><b>", stream);
        html_text(stream, run_class_name(report, pairs[i].row));
        fputs("</b> <span class=\"soft\">taken for</span> <b class=\"bad\">", stream);
        html_text(stream, run_class_name(report, pairs[i].column));
        fprintf(stream, "</b> <span class=\"soft\">· %lld of %lld</span></li>\n", (long long)pairs[i].count,
                (long long)support);
    }
    fputs("</ol>\n", stream);
}

static void put_score(FILE *stream, double value) {
    fprintf(stream, "<td class=\"bar\" style=\"--v:%.4f\">%.4f</td>", value, value);
}

static void put_class(FILE *stream, const run_report *report, const cg_confusion *confusion, int64_t i) {
    const cg_class_scores scores = cg_confusion_class(confusion, i);
    fputs("<tr>", stream);
    put_name(stream, report, i, "row");
    put_score(stream, scores.precision);
    put_score(stream, scores.recall);
    put_score(stream, scores.f1);
    fputs("<td>", stream);
    html_count(stream, scores.support);
    fputs("</td><td>", stream);
    html_count(stream, report->class_rows[i]);
    fputs("</td></tr>\n", stream);
}

static void class_table(FILE *stream, const run_report *report, const cg_confusion *confusion) {
    const cg_class_scores macro = cg_confusion_macro(confusion);
    fputs("<div class=\"scroll tall\" role=\"region\" tabindex=\"0\" aria-label=\"Figures of each class\"><table "
          "class=\"numbers\" id=\"classes\">\n<thead><tr><th scope=\"col\">class</th><th scope=\"col\">precision</th>"
          "<th scope=\"col\">recall</th><th scope=\"col\">F1</th><th scope=\"col\">support</th>"
          "<th scope=\"col\">trained on</th></tr></thead>\n<tbody>\n",
          stream);
    for (int64_t i = 0; i < cg_confusion_classes(confusion); i++) {
        put_class(stream, report, confusion, i);
    }
    fprintf(stream, "</tbody>\n<tfoot><tr><th scope=\"row\">mean</th><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>",
            macro.precision, macro.recall, macro.f1);
    html_count(stream, macro.support);
    fputs("</td><td></td></tr></tfoot></table></div>\n", stream);
}

static void class_results(FILE *stream, const run_report *report, const cg_confusion *confusion) {
    int64_t k;
    double top = cg_metrics_top_k(report->metrics, &k);
    fputs("<div class=\"two\"><div>\n", stream);
    if (cg_confusion_classes(confusion) <= TABLE_CLASSES) {
        matrix_table(stream, report, confusion);
    } else {
        matrix_picture(stream, confusion);
    }
    put_pairs(stream, report, confusion);
    fputs("</div><div>\n", stream);
    class_table(stream, report, confusion);
    fputs("<p class=\"soft small\">Precision: share right of what was taken for the class. Recall: share of its rows "
          "that were found. F1: their harmonic mean. What divides by nothing is 0; the mean is over the classes that "
          "are there or were predicted.",
          stream);
    if (cg_confusion_classes(confusion) > k) {
        fprintf(stream, " The right class is among the %lld likeliest for ", (long long)k);
        html_percent(stream, top);
        fputs(" of the rows.", stream);
    }
    fputs("</p></div></div>\n", stream);
}

/* Predicted against true, and the line on which both are the same. */
static void scatter(FILE *stream, const run_report *report) {
    const float *expected, *predicted;
    size_t count = (size_t)cg_metrics_points(report->metrics, &expected, &predicted);
    double x[RUN_POINTS], y[RUN_POINTS], ends[2] = {INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        x[i] = (double)expected[i];
        y[i] = (double)predicted[i];
        ends[0] = fmin(ends[0], x[i]);
        ends[1] = fmax(ends[1], x[i]);
    }
    const cg_number_scores scores = cg_metrics_numbers(report->metrics);
    char text[256];
    snprintf(text, sizeof text, "Predicted against true values of %zu rows: mean absolute error %.4g, R² %.4f.", count,
             scores.mae, scores.r2);
    const chart drawn = {
        .title = "Predicted and true",
        .x_label = "true",
        .y_label = "predicted",
        .alternative = text,
        .linear = true,
        .n_series = 2,
        .series = {{"no error", 4, CHART_FAINT, ends, ends, 2}, {"rows", 1, CHART_POINTS, x, y, count}}};
    fputs("<div class=\"charts\">\n", stream);
    chart_write(stream, &drawn);
    fprintf(stream,
            "<table class=\"facts\" id=\"numbers\">\n<tr><th scope=\"row\">mean absolute error</th><td>%.6g</td>"
            "</tr>\n<tr><th scope=\"row\">mean squared error</th><td>%.6g</td></tr>\n<tr><th "
            "scope=\"row\">R²</th><td>%.6g</td></tr>\n</table></div>\n",
            scores.mae, scores.mse, scores.r2);
    if (cg_data_describe(report->training->data)->targets > 1) {
        fputs("<p class=\"soft small\">The chart is of the first target; the figures are means over all.</p>\n",
              stream);
    }
}

void run_results(FILE *stream, const run_report *report) {
    if (!report->metrics || cg_metrics_rows(report->metrics) == 0) {
        return;
    }
    const cg_confusion *confusion = cg_metrics_confusion(report->metrics);
    fprintf(stream, "<section id=\"results\"><h2>%s</h2>\n<p class=\"soft\">",
            confusion ? "What it takes for what" : "How far off it is");
    html_count(stream, cg_metrics_rows(report->metrics));
    fprintf(stream, " %s, after ", run_report_rows(report));
    html_count(stream, report->measured);
    fputs(" updates.</p>\n", stream);
    if (confusion) {
        class_results(stream, report, confusion);
    } else {
        scatter(stream, report);
    }
    fputs("</section>\n", stream);
}
