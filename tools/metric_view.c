/* Metrics in JSON, on a line, and as a table. */
#include "metric_view.h"

#include <math.h>
#include <stdlib.h>

#include "report.h"

#define MATRIX_CLASSES 100
#define TABLE_CLASSES 40

cg_status metric_view_create(const cg_data *data, const cg_metrics_options *options, cg_metrics **metrics) {
    *metrics = NULL;
    return cg_data_describe(data)->classes > CG_CONFUSION_CLASSES ? CG_OK : cg_metrics_create(data, options, metrics);
}

static void add_scores(cJSON *object, const cg_class_scores *scores) {
    report_number(object, "precision", scores->precision);
    report_number(object, "recall", scores->recall);
    report_number(object, "f1", scores->f1);
}

static void add_classes(cJSON *object, const cg_confusion *confusion, const cg_data *data) {
    cJSON *array = cJSON_AddArrayToObject(object, "per_class");
    for (int64_t i = 0; i < cg_confusion_classes(confusion); i++) {
        const cg_class_scores scores = cg_confusion_class(confusion, i);
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "class", cg_data_class_name(data, i));
        add_scores(row, &scores);
        cJSON_AddNumberToObject(row, "support", (double)scores.support);
        cJSON_AddItemToArray(array, row);
    }
}

static void add_matrix(cJSON *object, const cg_confusion *confusion) {
    int64_t classes = cg_confusion_classes(confusion);
    cJSON *rows = cJSON_AddArrayToObject(object, "confusion");
    for (int64_t i = 0; i < classes; i++) {
        cJSON *row = cJSON_CreateArray();
        for (int64_t j = 0; j < classes; j++) {
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)cg_confusion_count(confusion, i, j)));
        }
        cJSON_AddItemToArray(rows, row);
    }
}

void metric_view_json(cJSON *object, const cg_metrics *metrics, const cg_data *data) {
    const cg_confusion *confusion = metrics ? cg_metrics_confusion(metrics) : NULL;
    if (!metrics) {
        return;
    }
    if (!confusion) {
        const cg_number_scores numbers = cg_metrics_numbers(metrics);
        report_number(object, "mae", numbers.mae);
        report_number(object, "mse", numbers.mse);
        report_number(object, "r2", numbers.r2);
        return;
    }
    const cg_class_scores macro = cg_confusion_macro(confusion);
    int64_t k;
    double top = cg_metrics_top_k(metrics, &k);
    add_scores(object, &macro);
    if (cg_confusion_classes(confusion) > k) {
        cJSON *item = cJSON_AddObjectToObject(object, "top_k");
        cJSON_AddNumberToObject(item, "k", (double)k);
        report_number(item, "accuracy", top);
    }
    add_classes(object, confusion, data);
    if (cg_confusion_classes(confusion) <= MATRIX_CLASSES) {
        add_matrix(object, confusion);
    }
}

void metric_view_line(FILE *stream, const cg_metrics *metrics) {
    if (!metrics || cg_metrics_rows(metrics) == 0) {
        return;
    }
    if (cg_metrics_confusion(metrics)) {
        fprintf(stream, ", F1 %.4f", cg_confusion_macro(cg_metrics_confusion(metrics)).f1);
        return;
    }
    const cg_number_scores numbers = cg_metrics_numbers(metrics);
    fprintf(stream, ", MAE %.4g", numbers.mae);
    if (!isnan(numbers.r2)) {
        fprintf(stream, ", R2 %.4f", numbers.r2);
    }
}

typedef struct scored {
    int64_t index;
    cg_class_scores scores;
} scored;

static int by_f1(const void *a, const void *b) {
    const scored *x = a, *y = b;
    return x->scores.f1 != y->scores.f1 ? (x->scores.f1 < y->scores.f1 ? -1 : 1)
           : x->index < y->index        ? -1
                                        : x->index > y->index;
}

static void print_rows(FILE *stream, const scored *rows, int64_t count, const cg_data *data) {
    for (int64_t i = 0; i < count; i++) {
        const cg_class_scores *s = &rows[i].scores;
        fprintf(stream, "%-20.60s %10.4f %10.4f %10.4f %8lld\n", cg_data_class_name(data, rows[i].index), s->precision,
                s->recall, s->f1, (long long)s->support);
    }
}

void metric_view_table(FILE *stream, const cg_metrics *metrics, const cg_data *data) {
    const cg_confusion *confusion = metrics ? cg_metrics_confusion(metrics) : NULL;
    int64_t classes = confusion ? cg_confusion_classes(confusion) : 0, k;
    scored *rows = confusion ? calloc((size_t)classes, sizeof *rows) : NULL;
    if (!rows) {
        return;
    }
    for (int64_t i = 0; i < classes; i++) {
        rows[i] = (scored){i, cg_confusion_class(confusion, i)};
    }
    fprintf(stream, "\n%-20s %10s %10s %10s %8s\n", "class", "precision", "recall", "F1", "rows");
    if (classes > TABLE_CLASSES) {
        qsort(rows, (size_t)classes, sizeof *rows, by_f1);
    }
    print_rows(stream, rows, classes < TABLE_CLASSES ? classes : TABLE_CLASSES, data);
    if (classes > TABLE_CLASSES) {
        fprintf(stream, "... and %lld classes with a higher F1; --json has them all\n",
                (long long)(classes - TABLE_CLASSES));
    }
    const cg_class_scores macro = cg_confusion_macro(confusion);
    fprintf(stream, "%-20s %10.4f %10.4f %10.4f %8lld\n", "mean of classes", macro.precision, macro.recall, macro.f1,
            (long long)macro.support);
    double top = cg_metrics_top_k(metrics, &k);
    if (classes > k) {
        fprintf(stream, "right class among the %lld likeliest: %.2f %%\n", (long long)k, 100 * top);
    }
    free(rows);
}
