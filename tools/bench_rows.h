/* The rows of clgrad bench: times become a JSON object and a line of a table, beside those of a file. */
#ifndef CLGRAD_TOOLS_BENCH_ROWS_H
#define CLGRAD_TOOLS_BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

typedef struct bench_times {
    double *ms;
    size_t count, capacity;
} bench_times;

/* False: memory is out. */
bool bench_times_add(bench_times *times, double ms);

/* Sorts the times and gives the one at that share, 0.5 the median; of an even number the upper one. */
double bench_times_at(bench_times *times, double share);
void bench_times_free(bench_times *times);

typedef struct bench_row {
    const char *name, *device, *pass;
    double n;
    double flops, bytes; /* of one call; 0: none, or not known */
    double least_ms;     /* what the device's limits allow; 0: not known */
} bench_row;

/* Where rows go: kept for JSON, or printed as they come. */
typedef struct bench_output {
    cJSON *rows;
    const cJSON *before; /* rows of an earlier run, or NULL */
    bool json, header;
} bench_output;

void bench_output_add(bench_output *output, const bench_row *row, bench_times *times);

#endif
