/* What clgrad check found, kept as JSON and written as JSON, text or HTML: something to attach to a driver's bug. */
#ifndef CLGRAD_TOOLS_CHECK_REPORT_H
#define CLGRAD_TOOLS_CHECK_REPORT_H

#include <cjson/cJSON.h>

#include <clgrad/check.h>

typedef struct check_report {
    bool json, all;
    cJSON *devices; /* an array of {device, ..., quirks, results} */
    cJSON *results; /* the newest device's */
    char device[256];
    size_t counts[4]; /* the newest device's, by outcome */
    double seconds;
} check_report;

/* Finds out before the check that `file` (NULL: none) can be written. EXIT_GOOD, or the exit status. */
int check_report_open(check_report *report, const char *file);

/* Starts a device: its facts and what is known of its driver. */
void check_report_device(check_report *report, const cg_device_info *info);
void check_report_add(check_report *report, const cg_check_result *result);

/* Adds the totals of the newest device. */
void check_report_end(check_report *report);

/* Writes the file and, with json, stdout. EXIT_GOOD, or the exit status. */
int check_report_write(const check_report *report, const char *file);
void check_report_close(check_report *report);

#endif
