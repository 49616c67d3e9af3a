/* What every command says at its end: JSON for machines, and what did not run where it was asked to. */
#ifndef CLGRAD_TOOLS_REPORT_H
#define CLGRAD_TOOLS_REPORT_H

#include <cjson/cJSON.h>

#include <clgrad/data.h>
#include <clgrad/device.h>

#include "options.h"

/* Prints `json` on one line of stdout and deletes it; EXIT_GOOD, or EXIT_DATA when it cannot be written. */
int report_json(cJSON *json);

/* Adds a number; one that JSON cannot hold becomes null. */
void report_number(cJSON *object, const char *key, double value);

/* Adds "fallbacks", an array of {op, count, bytes, reason}. */
void report_fallbacks_json(cJSON *object, const cg_device *device);

/* The flag of the commands that run models; NULL when not given. */
/* For train, eval, predict. */
#define PRECISION_OPTION(to)                                                                                           \
    choice_option("--precision", "f32|f16|bf16",                                                                       \
                  "how numbers are kept between ops, which all compute in f32: 16 bits take half\n"                    \
                  "of the memory; default: f32",                                                                       \
                  to)

/* How a device's tapes keep numbers; NULL: as they are computed. */
cg_status set_precision(cg_device *device, const char *precision) CG_MUST_USE;

#define FALLBACK_OPTION(to)                                                                                            \
    choice_option("--fallback", "allow|warn|error",                                                                    \
                  "what to do with an op that the device cannot run, default warn:\n"                                  \
                  "run it on the CPU and say so at the end",                                                           \
                  to)

/* Opens a device, with what --fallback says about it. */
cg_status open_device(const char *string, const char *fallback, cg_device **device) CG_MUST_USE;

/* Closes a device after saying on stderr what its decorators (check:, trace:, fault:) have to say. */
void close_device(cg_device *device);

/* What the data left out, on stderr. */
void report_notes(const cg_data *data);

/* Says on stderr which ops ran on the CPU instead, how often and why. Nothing when none did, or with --fallback allow.
 */
void report_fallbacks(const cg_device *device, const char *fallback);

/* 1536 as "1.5 KiB". */
const char *report_bytes(uint64_t bytes, char *text, size_t size);

#endif
