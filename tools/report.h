/* What every command says at its end: JSON for machines, and what did not run where it was asked to. */
#ifndef CLGRAD_TOOLS_REPORT_H
#define CLGRAD_TOOLS_REPORT_H

#include <cjson/cJSON.h>

#include <clgrad/device.h>

/* Prints `json` on one line of stdout and deletes it; EXIT_GOOD, or EXIT_DATA when it cannot be written. */
int report_json(cJSON *json);

/* Adds a number; one that JSON cannot hold becomes null. */
void report_number(cJSON *object, const char *key, double value);

/* Adds "fallbacks", an array of {op, count, bytes, reason}. */
void report_fallbacks_json(cJSON *object, const cg_device *device);

/* Closes a device after saying on stderr what its decorators (check:, trace:, fault:) have to say. */
void close_device(cg_device *device);

/* Says on stderr which ops ran on the CPU instead, how often and why. Nothing when none did. */
void report_fallbacks(const cg_device *device);

/* 1536 as "1.5 KiB". */
const char *report_bytes(uint64_t bytes, char *text, size_t size);

#endif
