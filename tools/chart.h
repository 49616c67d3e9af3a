/* Charts of a page, as SVG that its style sheet colours. */
#ifndef CLGRAD_TOOLS_CHART_H
#define CLGRAD_TOOLS_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_SERIES 4

typedef enum chart_mark { CHART_LINE, CHART_FAINT, CHART_DOTS, CHART_POINTS } chart_mark; /* dots stand on a line */

/* Values that are no number are left out, and the line is broken there. */
typedef struct chart_series {
    const char *name;
    int colour; /* 1 to 4 */
    chart_mark mark;
    const double *x, *y;
    size_t count;
} chart_series;

typedef struct chart {
    const char *title, *x_label, *y_label;
    const double *x_first;   /* where the x axis begins at the latest; NULL: with the values */
    const char *alternative; /* what it shows, in words */
    bool percent;            /* y are shares */
    bool linear;             /* whatever they are */
    chart_series series[CHART_SERIES];
    size_t n_series;
} chart;

/* A figure with title, legend and chart. Positive y of which the largest is over 30 times the smallest stand on a
 * logarithmic scale. Nothing where no series has a value. */
void chart_write(FILE *stream, const chart *drawn);

#endif
