/* The report of clgrad check. */
#include "check_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exit_status.h"
#include "report.h"

int check_report_open(check_report *report, const char *file) {
    report->devices = cJSON_CreateArray();
    FILE *stream = file ? fopen(file, "w") : NULL;
    if (file && !stream) {
        return report_failure(cg_fail(CG_ERR_FILE, "cannot write %s: %s", file, strerror(errno)));
    }
    if (stream) {
        fclose(stream);
    }
    return EXIT_GOOD;
}

static void add_facts(cJSON *object, const cg_device_info *info) {
    cJSON_AddStringToObject(object, "device", info->string);
    cJSON_AddStringToObject(object, "name", info->name);
    cJSON_AddStringToObject(object, "vendor", info->vendor);
    cJSON_AddStringToObject(object, "driver", info->driver);
    cJSON_AddStringToObject(object, "platform", info->platform);
    cJSON_AddStringToObject(object, "driver_version", info->driver_version);
    cJSON_AddStringToObject(object, "api_version", info->api_version);
    cJSON_AddNumberToObject(object, "units", info->units);
    cJSON_AddNumberToObject(object, "memory_bytes", (double)info->memory_bytes);
    cJSON_AddNumberToObject(object, "max_allocation_bytes", (double)info->max_allocation_bytes);
    cJSON_AddNumberToObject(object, "local_memory_bytes", (double)info->local_memory_bytes);
    cJSON_AddBoolToObject(object, "fp16", info->fp16);
    cJSON_AddBoolToObject(object, "fp64", info->fp64);
    cJSON_AddBoolToObject(object, "subgroups", info->subgroups);
    cJSON_AddBoolToObject(object, "atomics64", info->atomics64);
    cJSON_AddBoolToObject(object, "command_buffers", info->command_buffers);
    cJSON_AddStringToObject(object, "uuid", info->uuid);
    cJSON_AddStringToObject(object, "pci", info->pci);
}

void check_report_device(check_report *report, const cg_device_info *info) {
    cJSON *object = cJSON_CreateObject();
    add_facts(object, info);
    cg_quirk quirks[16];
    size_t count = cg_device_quirks(info, quirks, 16);
    cJSON *array = cJSON_AddArrayToObject(object, "quirks");
    for (size_t i = 0; i < count && i < 16; i++) {
        cJSON *quirk = cJSON_CreateObject();
        cJSON_AddStringToObject(quirk, "what", quirks[i].what);
        cJSON_AddStringToObject(quirk, "proof", quirks[i].proof);
        cJSON_AddItemToArray(array, quirk);
    }
    report->results = cJSON_AddArrayToObject(object, "results");
    cJSON_AddItemToArray(report->devices, object);
    snprintf(report->device, sizeof report->device, "%s", info->string);
    memset(report->counts, 0, sizeof report->counts);
    report->seconds = 0;
}

void check_report_add(check_report *report, const cg_check_result *result) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "outcome", cg_check_outcome_name(result->outcome));
    cJSON_AddStringToObject(row, "group", result->group);
    cJSON_AddStringToObject(row, "name", result->name);
    report_number(row, "worst", result->worst);
    cJSON_AddNumberToObject(row, "seconds", result->seconds);
    cJSON_AddStringToObject(row, "message", result->message);
    cJSON_AddStringToObject(row, "case", result->case_file);
    cJSON_AddItemToArray(report->results, row);
    report->counts[result->outcome]++;
    report->seconds += result->seconds;
}

void check_report_end(check_report *report) {
    cJSON *device = cJSON_GetArrayItem(report->devices, cJSON_GetArraySize(report->devices) - 1);
    for (size_t i = 0; i < 4; i++) {
        cJSON_AddNumberToObject(device, cg_check_outcome_name((cg_check_outcome)i), (double)report->counts[i]);
    }
    cJSON_AddNumberToObject(device, "seconds", report->seconds);
}

/* A value of an object as text; numbers as they are printed in tables, null as "-". */
static const char *text_of(const cJSON *object, const char *key, char *text, size_t size) {
    const cJSON *item = cJSON_GetObjectItem(object, key);
    if (cJSON_IsString(item)) {
        return item->valuestring;
    }
    snprintf(text, size,
             cJSON_IsNumber(item)  ? "%.6g"
             : cJSON_IsTrue(item)  ? "yes"
             : cJSON_IsFalse(item) ? "no"
                                   : "-",
             cJSON_IsNumber(item) ? item->valuedouble : 0.0);
    return text;
}

static void write_escaped(FILE *stream, const char *text, bool html) {
    for (; *text; text++) {
        const char *escaped = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : NULL;
        if (html && escaped) {
            fputs(escaped, stream);
        } else {
            fputc(*text, stream);
        }
    }
}

static const char *const columns[] = {"outcome", "group", "name", "worst", "seconds", "message", "case"};

#define N_COLUMNS (sizeof columns / sizeof *columns)

static void write_rows(FILE *stream, const cJSON *results, bool html) {
    const cJSON *row;
    cJSON_ArrayForEach(row, results) {
        fputs(html ? "<tr>" : "", stream);
        for (size_t i = 0; i < N_COLUMNS; i++) {
            char text[64];
            fputs(html ? "<td>" : i > 0 ? "\t" : "", stream);
            write_escaped(stream, text_of(row, columns[i], text, sizeof text), html);
            fputs(html ? "</td>" : "", stream);
        }
        fputs(html ? "</tr>\n" : "\n", stream);
    }
}

/* Facts one a line, then what is known of the driver, then the table. */
static void write_device(FILE *stream, const cJSON *device, bool html) {
    const cJSON *item;
    fputs(html ? "<h2>" : "", stream);
    char text[64];
    write_escaped(stream, text_of(device, "device", text, sizeof text), html);
    fputs(html ? "</h2>\n<pre>" : "\n", stream);
    cJSON_ArrayForEach(item, device) {
        if (!cJSON_IsArray(item)) {
            fprintf(stream, "%-21s", item->string);
            write_escaped(stream, text_of(device, item->string, text, sizeof text), html);
            fputc('\n', stream);
        }
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(device, "quirks")) {
        fputs("known                ", stream);
        write_escaped(stream, text_of(item, "what", text, sizeof text), html);
        fputs("; ", stream);
        write_escaped(stream, text_of(item, "proof", text, sizeof text), html);
        fputc('\n', stream);
    }
    fputs(html ? "</pre>\n<table>\n<tr>" : "\n", stream);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        fprintf(stream, html ? "<th>%s</th>" : i > 0 ? "\t%s" : "%s", columns[i]);
    }
    fputs(html ? "</tr>\n" : "\n", stream);
    write_rows(stream, cJSON_GetObjectItem(device, "results"), html);
    fputs(html ? "</table>\n" : "\n", stream);
}

static void write_readable(FILE *stream, const cJSON *devices, bool html) {
    const cJSON *device;
    fputs(html ? "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>clgrad check</title>\n<style>body{"
                 "font:14px sans-serif}td,th{padding:2px 8px;text-align:left;vertical-align:top}</style>\n"
                 "<h1>clgrad check</h1>\n"
               : "clgrad check\n\n",
          stream);
    cJSON_ArrayForEach(device, devices) {
        write_device(stream, device, html);
    }
    fputs(html ? "</html>\n" : "", stream);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool write_json(FILE *stream, const cJSON *devices) {
    char *text = cJSON_Print(devices);
    bool good = text && fprintf(stream, "%s\n", text) > 0;
    cJSON_free(text);
    return good;
}

int check_report_write(const check_report *report, const char *file) {
    bool good = !report->json || write_json(stdout, report->devices);
    if (file) {
        FILE *stream = fopen(file, "w");
        bool written = stream != NULL;
        if (stream && ends_with(file, ".json")) {
            written = write_json(stream, report->devices);
        } else if (stream) {
            write_readable(stream, report->devices, ends_with(file, ".html"));
        }
        good = stream && fclose(stream) == 0 && written && good;
    }
    return good ? EXIT_GOOD : report_failure(cg_fail(CG_ERR_FILE, "cannot write %s", file ? file : "the output"));
}

void check_report_close(check_report *report) {
    cJSON_Delete(report->devices);
}
