/* clgrad train --find-lr: the curve of the loss over a growing learning rate, drawn with letters. */
#include "find_lr.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/find_lr.h>

#include "exit_status.h"
#include "report.h"

#define STEPS 100
#define ROWS 12
#define COLUMNS 60

typedef struct curve {
    cg_lr_point points[STEPS];
    size_t count;
    double suggestion;
} curve;

/* The smooth losses that the picture goes over: a burst at the end is cut, or nothing else would be seen. */
static void range(const curve *c, double *low, double *high) {
    *low = INFINITY;
    for (size_t i = 0; i < c->count; i++) {
        *low = fmin(*low, c->points[i].smooth);
    }
    *high = fmax(1.2 * c->points[0].smooth, *low);
    *high = *high > *low ? *high : *low + 1;
}

static int column_of(const curve *c, double lr) {
    double first = log(c->points[0].lr), last = log(c->points[c->count - 1].lr);
    return last > first ? (int)lround((log(lr) - first) / (last - first) * (COLUMNS - 1)) : 0;
}

static void plot(const curve *c, double low, double high, char cells[ROWS][COLUMNS + 1]) {
    for (int row = 0; row < ROWS; row++) {
        memset(cells[row], ' ', COLUMNS);
        cells[row][COLUMNS] = '\0';
    }
    int at = isnan(c->suggestion) ? -1 : column_of(c, c->suggestion);
    for (int row = 0; at >= 0 && row < ROWS; row++) {
        cells[row][at] = '|';
    }
    for (size_t i = 0; i < c->count; i++) {
        double share = (high - c->points[i].smooth) / (high - low);
        int row = (int)lround(fmin(fmax(share, 0), 1) * (ROWS - 1));
        cells[row][column_of(c, c->points[i].lr)] = '*';
    }
}

static void print_curve(const curve *c) {
    char cells[ROWS][COLUMNS + 1];
    double low, high;
    range(c, &low, &high);
    plot(c, low, high, cells);
    for (int row = 0; row < ROWS; row++) {
        printf("%9.4f %s\n", high - (high - low) * row / (ROWS - 1), cells[row]);
    }
    printf("%9s %-*.1e%.1e\n", "lr", COLUMNS - 7, c->points[0].lr, c->points[c->count - 1].lr);
}

static void print_result(const curve *c) {
    print_curve(c);
    if (isnan(c->suggestion)) {
        puts("\nno suggestion: the loss falls at none of these learning rates");
    } else {
        printf("\nsuggestion lr=%.2g, where the loss falls fastest (|)\n", c->suggestion);
    }
}

static int print_json(const curve *c) {
    cJSON *object = cJSON_CreateObject();
    report_number(object, "suggestion", c->suggestion);
    cJSON *points = cJSON_AddArrayToObject(object, "points");
    for (size_t i = 0; i < c->count; i++) {
        cJSON *point = cJSON_CreateObject();
        report_number(point, "lr", c->points[i].lr);
        report_number(point, "loss", c->points[i].loss);
        report_number(point, "smooth", c->points[i].smooth);
        cJSON_AddItemToArray(points, point);
    }
    return report_json(object);
}

static int show(const training *t, const curve *c) {
    int status = EXIT_GOOD;
    if (t->options.json) {
        status = print_json(c);
    } else {
        print_result(c);
    }
    return status == EXIT_GOOD && isnan(c->suggestion) ? EXIT_WRONG : status;
}

int find_lr(training *t) {
    curve c;
    const cg_find_lr_options find = {.steps = STEPS};
    cg_status status =
        cg_find_lr(t->model, t->loss, t->optimizer, t->data, &t->chosen, &find, c.points, &c.count, &c.suggestion);
    if (status != CG_OK) {
        return report_failure(status);
    }
    if (c.count == 0) {
        return report_failure(cg_fail(CG_ERR_NAN, "the loss is not a number before the first step"));
    }
    return show(t, &c);
}
