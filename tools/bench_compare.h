/* Rows beside those of an earlier run, out of a file that --json wrote. */
#ifndef CLGRAD_TOOLS_BENCH_COMPARE_H
#define CLGRAD_TOOLS_BENCH_COMPARE_H

#include <cjson/cJSON.h>

/* Reads the rows of a file. EXIT_GOOD, or the exit status after a line on stderr said what is wrong with it. Release
 * *rows with cJSON_Delete. */
int bench_compare_read(const char *path, cJSON **rows);

/* Whether the file has a row of the device; when not, a line on stderr says which devices it has rows of. */
int bench_compare_check(const char *path, const cJSON *before, const char *device);

/* Adds to a row "before_ms", the other run's median, "ratio", how many times faster this one is, and "change": faster,
 * slower, same or new. Beyond noise is a change where each median lies outside the other's minimum to p90. */
void bench_compare_add(cJSON *row, const cJSON *before);

/* Prints what was added, after the row. */
void bench_compare_print(const cJSON *row);

#endif
