/* Eight heights a column. */
#include "sparkline.h"

#include <math.h>
#include <string.h>

#define LEVELS 8

/* Two neighbours become one. */
static void halve(sparkline *spark) {
    for (size_t i = 0; i < SPARK_COLUMNS / 2; i++) {
        spark->sums[i] = spark->sums[2 * i] + spark->sums[2 * i + 1];
        spark->counts[i] = spark->counts[2 * i] + spark->counts[2 * i + 1];
    }
    spark->columns = SPARK_COLUMNS / 2;
    spark->stretch *= 2;
}

void sparkline_add(sparkline *spark, double value) {
    if (!isfinite(value)) {
        return;
    }
    spark->stretch = spark->stretch > 0 ? spark->stretch : 1;
    if (spark->columns == SPARK_COLUMNS && spark->counts[SPARK_COLUMNS - 1] == spark->stretch) {
        halve(spark);
    }
    if (spark->columns == 0 || spark->counts[spark->columns - 1] == spark->stretch) {
        spark->sums[spark->columns] = 0;
        spark->counts[spark->columns++] = 0;
    }
    spark->sums[spark->columns - 1] += value;
    spark->counts[spark->columns - 1]++;
}

double sparkline_mean(const sparkline *spark, size_t i) {
    return spark->sums[i] / (double)spark->counts[i];
}

int sparkline_text(const sparkline *spark, bool utf8, char text[SPARK_SIZE]) {
    static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const shades[LEVELS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    double low = INFINITY, high = -INFINITY;
    text[0] = '\0';
    for (size_t i = 0; i < spark->columns; i++) {
        low = fmin(low, sparkline_mean(spark, i));
        high = fmax(high, sparkline_mean(spark, i));
    }
    for (size_t i = 0; i < spark->columns; i++) {
        double share = high > low ? (sparkline_mean(spark, i) - low) / (high - low) : 0;
        int level = (int)lround(share * (LEVELS - 1));
        strcat(text, utf8 ? blocks[level] : shades[level]);
    }
    return (int)spark->columns;
}
