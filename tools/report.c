/* JSON output, and the summary of fallbacks. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exit_status.h"

#define MAX_FALLBACKS 64

int report_json(cJSON *json) {
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (!text) {
        fputs("clgrad: out of memory\n", stderr);
        return EXIT_DEVICE;
    }
    puts(text);
    cJSON_free(text);
    return EXIT_GOOD;
}

void report_number(cJSON *object, const char *key, double value) {
    if (isfinite(value)) {
        cJSON_AddNumberToObject(object, key, value);
    } else {
        cJSON_AddNullToObject(object, key);
    }
}

static size_t read_fallbacks(const cg_device *device, cg_fallback_info *rows) {
    size_t count = cg_device_fallbacks(device, rows, MAX_FALLBACKS);
    return count < MAX_FALLBACKS ? count : MAX_FALLBACKS;
}

void report_fallbacks_json(cJSON *object, const cg_device *device) {
    cg_fallback_info rows[MAX_FALLBACKS];
    size_t count = read_fallbacks(device, rows);
    cJSON *array = cJSON_AddArrayToObject(object, "fallbacks");
    for (size_t i = 0; i < count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "op", rows[i].op);
        cJSON_AddNumberToObject(row, "count", (double)rows[i].count);
        cJSON_AddNumberToObject(row, "bytes", (double)rows[i].bytes);
        cJSON_AddStringToObject(row, "reason", rows[i].reason);
        cJSON_AddItemToArray(array, row);
    }
}

const char *report_bytes(uint64_t bytes, char *text, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

cg_status open_device(const char *string, const char *fallback, cg_device **device) {
    char first = fallback ? *fallback : 'w';
    CG_TRY(cg_device_open(string, device));
    cg_device_set_fallback(*device, first == 'a'   ? CG_FALLBACK_ALLOW
                                    : first == 'w' ? CG_FALLBACK_WARN
                                                   : CG_FALLBACK_ERROR);
    return CG_OK;
}

cg_status set_precision(cg_device *device, const char *precision) {
    static const cg_dtype dtypes[] = {CG_F16, CG_BF16};
    for (size_t i = 0; precision != NULL && i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(precision, cg_dtype_name(dtypes[i])) == 0) {
            return cg_device_set_precision(device, dtypes[i]);
        }
    }
    return CG_OK;
}

void close_device(cg_device *device) {
    if (device) {
        fputs(cg_device_report(device), stderr);
    }
    cg_device_close(device);
}

void report_fallbacks(const cg_device *device, const char *fallback) {
    cg_fallback_info rows[MAX_FALLBACKS];
    size_t count = read_fallbacks(device, rows);
    if (count == 0 || (fallback && *fallback == 'a')) {
        return;
    }
    fprintf(stderr, "clgrad: these ops ran on the CPU instead of %s:\n", cg_device_describe(device)->string);
    for (size_t i = 0; i < count; i++) {
        char bytes[32];
        fprintf(stderr, "  %-20s %llu times, %s moved: %s\n", rows[i].op, (unsigned long long)rows[i].count,
                report_bytes(rows[i].bytes, bytes, sizeof bytes), rows[i].reason);
    }
}

void report_notes(const cg_data *data) {
    const char *notes = cg_data_describe(data)->notes;
    if (notes) {
        fprintf(stderr, "clgrad: %s\n", notes);
    }
}
