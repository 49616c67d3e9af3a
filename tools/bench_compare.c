#include "bench_compare.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_status.h"

/* Far more than any run writes: what is longer was not written by bench. */
#define MAX_BYTES (16 << 20)

static int refuse(const char *path, const char *reason) {
    fprintf(stderr, "clgrad bench: --compare %s: %s; it takes a file that clgrad bench --json wrote\n", path, reason);
    return EXIT_DATA;
}

static double number(const cJSON *row, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(row, key));
}

static const char *text(const cJSON *row, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(row, key));
}

/* A row has its three names, and times above 0 in their order. */
static bool is_row(const cJSON *row) {
    double min = number(row, "min_ms"), median = number(row, "median_ms"), p90 = number(row, "p90_ms");
    return text(row, "name") && text(row, "device") && text(row, "pass") && min > 0 && min <= median && median <= p90;
}

static int check_rows(const char *path, const cJSON *rows) {
    if (!cJSON_IsArray(rows)) {
        return refuse(path, rows ? "it is no array" : "it is not JSON, or cut short");
    }
    int index = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        index++;
        if (!is_row(row)) {
            char reason[96];
            snprintf(reason, sizeof reason, "element %d is no row with name, device, pass and times", index);
            return refuse(path, reason);
        }
    }
    return index > 0 ? EXIT_GOOD : refuse(path, "it has no rows");
}

static int read_text(const char *path, char *bytes, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return refuse(path, strerror(errno));
    }
    *length = fread(bytes, 1, MAX_BYTES, file);
    bool failed = ferror(file);
    fclose(file);
    if (failed) {
        return refuse(path, "it cannot be read");
    }
    return *length < MAX_BYTES ? EXIT_GOOD : refuse(path, "it is larger than 16 MB");
}

int bench_compare_read(const char *path, cJSON **rows) {
    *rows = NULL;
    char *bytes = malloc(MAX_BYTES);
    if (!bytes) {
        fputs("clgrad bench: out of memory\n", stderr);
        return EXIT_DEVICE;
    }
    size_t length;
    int result = read_text(path, bytes, &length);
    if (result == EXIT_GOOD) {
        *rows = cJSON_ParseWithLength(bytes, length);
        result = check_rows(path, *rows);
    }
    free(bytes);
    return result;
}

static bool is_first(const cJSON *rows, const cJSON *row) {
    const cJSON *other;
    cJSON_ArrayForEach(other, rows) {
        if (strcmp(text(other, "device"), text(row, "device")) == 0) {
            return other == row;
        }
    }
    return false;
}

int bench_compare_check(const char *path, const cJSON *before, const char *device) {
    const cJSON *row;
    cJSON_ArrayForEach(row, before) {
        if (strcmp(text(row, "device"), device) == 0) {
            return EXIT_GOOD;
        }
    }
    fprintf(stderr, "clgrad bench: --compare %s: it has no row of %s; it has rows of", path, device);
    const char *comma = "";
    cJSON_ArrayForEach(row, before) {
        if (is_first(before, row)) {
            fprintf(stderr, "%s %s", comma, text(row, "device"));
            comma = ";";
        }
    }
    fputc('\n', stderr);
    return EXIT_DATA;
}

static const cJSON *find(const cJSON *before, const cJSON *row) {
    const cJSON *other;
    cJSON_ArrayForEach(other, before) {
        if (strcmp(text(other, "name"), text(row, "name")) == 0 &&
            strcmp(text(other, "device"), text(row, "device")) == 0 &&
            strcmp(text(other, "pass"), text(row, "pass")) == 0) {
            return other;
        }
    }
    return NULL;
}

static bool is_outside(double ms, const cJSON *row) {
    return ms < number(row, "min_ms") || ms > number(row, "p90_ms");
}

static const char *change_of(const cJSON *row, const cJSON *other) {
    double now = number(row, "median_ms"), then = number(other, "median_ms");
    if (!is_outside(now, other) || !is_outside(then, row)) {
        return "same";
    }
    return now < then ? "faster" : "slower";
}

void bench_compare_add(cJSON *row, const cJSON *before) {
    const cJSON *other = find(before, row);
    if (!other) {
        cJSON_AddNullToObject(row, "before_ms");
        cJSON_AddNullToObject(row, "ratio");
        cJSON_AddStringToObject(row, "change", "new");
        return;
    }
    cJSON_AddNumberToObject(row, "before_ms", number(other, "median_ms"));
    cJSON_AddNumberToObject(row, "ratio", number(other, "median_ms") / number(row, "median_ms"));
    cJSON_AddStringToObject(row, "change", change_of(row, other));
}

void bench_compare_print(const cJSON *row) {
    if (cJSON_IsNull(cJSON_GetObjectItem(row, "ratio"))) {
        printf(" %11s %6s new", "-", "-");
        return;
    }
    const char *change = text(row, "change");
    printf(" %11.6f %6.2f%s%s", number(row, "before_ms"), number(row, "ratio"), strcmp(change, "same") == 0 ? "" : " ",
           strcmp(change, "same") == 0 ? "" : change);
}
