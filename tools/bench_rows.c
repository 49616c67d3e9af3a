#include "bench_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_compare.h"

bool bench_times_add(bench_times *times, double ms) {
    if (times->count == times->capacity) {
        size_t capacity = times->capacity ? 2 * times->capacity : 64;
        double *grown = realloc(times->ms, capacity * sizeof *grown);
        if (!grown) {
            return false;
        }
        times->ms = grown;
        times->capacity = capacity;
    }
    times->ms[times->count++] = ms;
    return true;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_times_at(bench_times *times, double share) {
    qsort(times->ms, times->count, sizeof *times->ms, by_size);
    return times->ms[(size_t)((double)times->count * share)];
}

void bench_times_free(bench_times *times) {
    free(times->ms);
    *times = (bench_times){0};
}

/* A number that is 0 is not known. */
static void add_known(cJSON *row, const char *key, double value) {
    if (value > 0) {
        cJSON_AddNumberToObject(row, key, value);
    } else {
        cJSON_AddNullToObject(row, key);
    }
}

static cJSON *row_json(const bench_row *row, bench_times *times) {
    double median = bench_times_at(times, 0.5);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", row->name);
    cJSON_AddStringToObject(object, "device", row->device);
    cJSON_AddStringToObject(object, "pass", row->pass);
    cJSON_AddNumberToObject(object, "n", row->n);
    cJSON_AddNumberToObject(object, "min_ms", bench_times_at(times, 0));
    cJSON_AddNumberToObject(object, "median_ms", median);
    cJSON_AddNumberToObject(object, "p90_ms", bench_times_at(times, 0.9));
    add_known(object, "gflops", row->flops / median / 1e6);
    add_known(object, "gbs", row->bytes / median / 1e6);
    add_known(object, "flops", row->flops);
    add_known(object, "bytes", row->bytes);
    add_known(object, "share", row->least_ms / median);
    add_known(object, "images_per_s", strcmp(row->pass, "train") == 0 ? row->n / median * 1e3 : 0);
    cJSON_AddNumberToObject(object, "calls", (double)times->count);
    return object;
}

static void print_header(bool compared) {
    printf("%-15s %-25s %-12s %7s %11s %11s %11s %8s %7s %6s %9s%s\n", "name", "device", "pass", "n", "min ms",
           "median ms", "p90 ms", "GFLOP/s", "GB/s", "share", "images/s", compared ? "   before ms  times" : "");
}

static void print_known(const cJSON *row, const char *key, double factor, int width, int digits, const char *unit) {
    const cJSON *value = cJSON_GetObjectItem(row, key);
    if (cJSON_IsNumber(value)) {
        printf(" %*.*f%s", width - (int)strlen(unit), digits, cJSON_GetNumberValue(value) * factor, unit);
    } else {
        printf(" %*s", width, "-");
    }
}

static const char *text(const cJSON *row, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(row, key));
}

static void print_row(const cJSON *row) {
    printf("%-15s %-25s %-12s %7.0f", text(row, "name"), text(row, "device"), text(row, "pass"),
           cJSON_GetNumberValue(cJSON_GetObjectItem(row, "n")));
    print_known(row, "min_ms", 1, 11, 6, "");
    print_known(row, "median_ms", 1, 11, 6, "");
    print_known(row, "p90_ms", 1, 11, 6, "");
    print_known(row, "gflops", 1, 8, 1, "");
    print_known(row, "gbs", 1, 7, 1, "");
    print_known(row, "share", 100, 6, 0, "%");
    print_known(row, "images_per_s", 1, 9, 0, "");
}

void bench_output_add(bench_output *output, const bench_row *row, bench_times *times) {
    cJSON *object = row_json(row, times);
    if (output->before) {
        bench_compare_add(object, output->before);
    }
    cJSON_AddItemToArray(output->rows, object);
    if (output->json) {
        return;
    }
    if (!output->header) {
        print_header(output->before);
        output->header = true;
    }
    print_row(object);
    if (output->before) {
        bench_compare_print(object);
    }
    putchar('\n');
    fflush(stdout);
}
