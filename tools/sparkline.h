/* A curve on one line of text. */
#ifndef CLGRAD_TOOLS_SPARKLINE_H
#define CLGRAD_TOOLS_SPARKLINE_H

#include <stdbool.h>
#include <stddef.h>

#define SPARK_COLUMNS 16
#define SPARK_SIZE (3 * SPARK_COLUMNS + 1) /* bytes of its text */

/* Means over stretches of equal length, which doubles when there is no column left. Zero-initialised: empty. */
typedef struct sparkline {
    double sums[SPARK_COLUMNS];
    size_t counts[SPARK_COLUMNS];
    size_t columns, stretch; /* in use, values in each */
} sparkline;

/* A value that is no number is left out. */
void sparkline_add(sparkline *spark, double value);

/* The mean of a column. */
double sparkline_mean(const sparkline *spark, size_t column);

/* A column for each stretch, from the lowest mean to the highest: blocks, or in ASCII darkness. Returns the columns. */
int sparkline_text(const sparkline *spark, bool utf8, char text[SPARK_SIZE]);

#endif
