/* clgrad check: the whole proof on one device or all, as a table, and as a report for the makers of a driver. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <clgrad/check.h>

#include "check_report.h"
#include "commands.h"
#include "device_list.h"
#include "device_set.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"

static void print_result(const cg_check_result *result) {
    char worst[32] = "-";
    if (!isnan(result->worst)) {
        snprintf(worst, sizeof worst, "%.2g", result->worst);
    }
    printf("%-8s %-10s %-44s %8s %8.3f%s%s\n", cg_check_outcome_name(result->outcome), result->group, result->name,
           worst, result->seconds, *result->message ? "  " : "", result->message);
    if (*result->case_file) {
        printf("         to replay: clgrad verify %s --device STRING\n", result->case_file);
    }
    fflush(stdout);
}

/* What passed is told with --all only: a user looks for what did not. */
static bool on_result(void *context, const cg_check_result *result) {
    check_report *report = context;
    check_report_add(report, result);
    if (!report->json && (report->all || result->outcome != CG_CHECK_PASS)) {
        print_result(result);
    }
    return true;
}

static void print_device(const cg_device_info *info) {
    char bytes[32], local[32];
    printf("\n%s: %s, %s, driver %s %s, %s\n", info->string, info->name, info->vendor, info->driver,
           info->driver_version, info->api_version);
    printf("         %u units, %s, %s of local memory,%s%s%s%s%s\n", info->units,
           report_bytes(info->memory_bytes, bytes, sizeof bytes),
           report_bytes(info->local_memory_bytes, local, sizeof local), info->fp16 ? " fp16" : "",
           info->fp64 ? " fp64" : "", info->subgroups ? " subgroups" : "", info->atomics64 ? " atomics64" : "",
           info->command_buffers ? " command_buffers" : "");
    cg_quirk quirks[16];
    size_t count = cg_device_quirks(info, quirks, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        printf("known    %s (%s)\n", quirks[i].what, quirks[i].proof);
    }
}

static void print_totals(const check_report *report) {
    const size_t *n = report->counts;
    printf("%zu checks on %s in %.1f s: %zu pass, %zu fail, %zu fallback, %zu skipped\n",
           n[CG_CHECK_PASS] + n[CG_CHECK_FAIL] + n[CG_CHECK_FALLBACK] + n[CG_CHECK_SKIPPED], report->device,
           report->seconds, n[CG_CHECK_PASS], n[CG_CHECK_FAIL], n[CG_CHECK_FALLBACK], n[CG_CHECK_SKIPPED]);
}

/* DIR/DEVICE, made. */
static cg_status case_folder(const char *out, const char *device, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s", out, device);
    if (length < 0 || (size_t)length >= size) {
        return cg_fail(CG_ERR_FILE, "%s/%s: the path is too long", out, device);
    }
    if ((mkdir(out, 0777) != 0 && errno != EEXIST) || (mkdir(path, 0777) != 0 && errno != EEXIST)) {
        return cg_fail(CG_ERR_FILE, "cannot make the folder %s: %s", path, strerror(errno));
    }
    return CG_OK;
}

static int check_one(check_report *report, const char *string, const cg_device_info *info, const char *out) {
    char folder[1024];
    if (out) {
        cg_status status = case_folder(out, info->string, folder, sizeof folder);
        if (status != CG_OK) {
            return report_failure(status);
        }
    }
    check_report_device(report, info);
    if (!report->json) {
        print_device(info);
    }
    cg_status status = cg_check_device(string, out ? folder : NULL, on_result, report);
    check_report_end(report);
    if (status != CG_OK) {
        return report_failure(status);
    }
    if (!report->json) {
        print_totals(report);
    }
    return report->counts[CG_CHECK_FAIL] > 0 ? EXIT_WRONG : EXIT_GOOD;
}

/* The first status that is not good. */
static int check_all(check_report *report, device_set *set, const char *out) {
    int result = EXIT_GOOD;
    for (size_t i = 0; i < set->count; i++) {
        int status = check_one(report, set->strings[i], cg_device_describe(set->devices[i]), out);
        result = result == EXIT_GOOD ? status : result;
    }
    return result == EXIT_GOOD && set->incomplete ? EXIT_DEVICE : result;
}

static int run(const text_list *devices, const char *out, const char *file, bool json, bool all) {
    device_set set;
    check_report report = {.json = json, .all = all};
    int status = device_set_open(devices, &set);
    if (status == EXIT_GOOD) {
        status = check_report_open(&report, file);
    }
    if (status == EXIT_GOOD) {
        status = check_all(&report, &set, out);
        int written = check_report_write(&report, file);
        status = status == EXIT_GOOD ? written : status;
    }
    check_report_close(&report);
    device_set_close(&set);
    return status;
}

int cmd_check(int argc, char **argv) {
    const char *out = NULL, *file = NULL;
    bool json = false, all = false;
    text_list devices = {.items = calloc((size_t)argc + 1, sizeof(char *))};
    const option options[] = {
        list_option("--device", "STRING", DEVICES_HELP, &devices),
        text_option("--report", "FILE", "write a report: .html, .json, or text for any other name", &file),
        text_option("--out", "DIR", "leave a case file for clgrad verify of every layer that fails", &out),
        flag_option("--all", "print what passes, too", &all),
        flag_option("--json", "the report on stdout", &json),
    };
    const command_line line = {.name = "check",
                               .operands = "",
                               .summary = "The doctor: builds every kernel and proves every op, layer, loss and "
                                          "optimizer, gradients,\ndeterminism, NaN and the limits of memory on a "
                                          "device. Some minutes; exit status 1: something is wrong.",
                               .options = options,
                               .n_options = sizeof options / sizeof *options};
    if (!devices.items) {
        return report_failure(cg_fail(CG_ERR_MEMORY, "out of memory"));
    }
    int parsed = options_parse(&line, argc, argv);
    int status = parsed == OPTIONS_RUN ? run(&devices, out, file, json, all) : parsed;
    free(devices.items);
    return status;
}
