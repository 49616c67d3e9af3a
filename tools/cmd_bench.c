/* clgrad bench: how fast, as rows of times, beside what the device could do at most. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_batches.h"
#include "bench_compare.h"
#include "bench_measure.h"
#include "bench_overhead.h"
#include "bench_turns.h"
#include "commands.h"
#include "device_set.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"

typedef struct arguments {
    text_list names, devices;
    const char *compare;
    bench_options measure;
    bool json, list, turns;
} arguments;

/* Names that are no work's. Processes of their own come first: this one may have loaded no driver by then. */
static const char *const other_names[] = {"startup", "overhead", "limits", "batches"};

#define N_OTHERS (sizeof other_names / sizeof *other_names)

static bool is_wanted(const text_list *names, const char *name) {
    bool wanted = names->count == 0;
    for (size_t i = 0; i < names->count; i++) {
        wanted = wanted || fnmatch(names->items[i], name, 0) == 0;
    }
    return wanted;
}

static const char *name_at(size_t i) {
    return i < N_OTHERS ? other_names[i] : bench_works[i - N_OTHERS].name;
}

static bool is_known(const char *pattern) {
    bool known = false;
    for (size_t i = 0; i < N_OTHERS + bench_work_count; i++) {
        known = known || fnmatch(pattern, name_at(i), 0) == 0;
    }
    return known;
}

static int check_names(const text_list *names) {
    for (size_t i = 0; i < names->count; i++) {
        if (!is_known(names->items[i])) {
            return usage_error("bench", "there is no benchmark '%s'; clgrad bench --list shows all", names->items[i]);
        }
    }
    return EXIT_GOOD;
}

/* Each device that is named, or the default. What `all` means is known only to a process that has loaded the drivers.
 */
static int bench_startups(const text_list *strings, bench_output *output) {
    int result = strings->count == 0 ? bench_startup(output, NULL) : EXIT_GOOD;
    for (size_t i = 0; i < strings->count && result == EXIT_GOOD; i++) {
        if (strcmp(strings->items[i], "all") == 0) {
            fputs("clgrad bench: startup takes devices by their strings; with all it is left out\n", stderr);
            continue;
        }
        result = bench_startup(output, strings->items[i]);
    }
    return result;
}

static bool any_work_is_wanted(const text_list *names) {
    bool wanted = false;
    for (size_t i = 0; i < bench_work_count; i++) {
        wanted = wanted || is_wanted(names, bench_works[i].name);
    }
    return wanted;
}

/* What one work cannot do, for want of memory for one, is said, and the others go on. */
static int bench_works_on(cg_device *device, const arguments *given, bench_output *output) {
    bool rows = is_wanted(&given->names, "limits");
    if (!rows && !any_work_is_wanted(&given->names)) {
        return EXIT_GOOD;
    }
    bench_limits limits;
    cg_status status = bench_limits_measure(device, &limits, rows ? output : NULL);
    if (status != CG_OK) {
        return report_failure(status);
    }
    int result = EXIT_GOOD;
    for (size_t i = 0; i < bench_work_count; i++) {
        if (is_wanted(&given->names, bench_works[i].name)) {
            status = bench_measure_work(&bench_works[i], device, &limits, &given->measure, output);
            if (status != CG_OK) {
                fprintf(stderr, "clgrad bench: %s:\n", bench_works[i].name);
                result = report_failure(status);
            }
        }
    }
    report_fallbacks(device, "warn");
    return result;
}

static int bench_device(cg_device *device, const arguments *given, bench_output *output) {
    cg_status status = is_wanted(&given->names, "overhead") ? bench_overhead(output, device) : CG_OK;
    if (status == CG_OK && is_wanted(&given->names, "batches")) {
        status = bench_batches(output, device, &given->measure);
    }
    return status == CG_OK ? bench_works_on(device, given, output) : report_failure(status);
}

/* Known before anything is measured: whether the file has rows to compare with. */
static int check_compared(const arguments *given, const device_set *devices, const bench_output *output) {
    int result = EXIT_GOOD;
    for (size_t i = 0; output->before && i < devices->count && result == EXIT_GOOD; i++) {
        result = bench_compare_check(given->compare, output->before, cg_device_describe(devices->devices[i])->string);
    }
    return result;
}

static int bench_devices(const arguments *given, bench_output *output) {
    device_set devices;
    int result = device_set_open(&given->devices, &devices);
    result = result == EXIT_GOOD ? check_compared(given, &devices, output) : result;
    for (size_t i = 0; i < devices.count && result == EXIT_GOOD; i++) {
        result = bench_device(devices.devices[i], given, output);
    }
    result = result == EXIT_GOOD && devices.incomplete ? EXIT_DEVICE : result;
    device_set_close(&devices);
    return result;
}

static bool needs_devices(const text_list *names) {
    return is_wanted(names, "overhead") || is_wanted(names, "limits") || is_wanted(names, "batches") ||
           any_work_is_wanted(names);
}

static int bench(const arguments *given, const cJSON *before) {
    bench_output output = {.rows = cJSON_CreateArray(), .before = before, .json = given->json};
    int result = is_wanted(&given->names, "startup") ? bench_startups(&given->devices, &output) : EXIT_GOOD;
    if (result == EXIT_GOOD && needs_devices(&given->names)) {
        result = bench_devices(given, &output);
    }
    bool rows = cJSON_GetArraySize(output.rows) > 0;
    if (given->json && (result == EXIT_GOOD || rows)) {
        int printed = report_json(output.rows);
        return result == EXIT_GOOD ? printed : result;
    }
    cJSON_Delete(output.rows);
    return result;
}

static int bench_and_compare(const arguments *given) {
    cJSON *before = NULL;
    int result = given->compare ? bench_compare_read(given->compare, &before) : EXIT_GOOD;
    result = result == EXIT_GOOD ? bench(given, before) : result;
    cJSON_Delete(before);
    return result;
}

static int take_turns(const arguments *given) {
    if (given->names.count > 0 || given->devices.count > 1) {
        return usage_error("bench", "--turns takes names from standard input, and one device");
    }
    cg_device *device;
    cg_status status = cg_device_open(given->devices.count > 0 ? given->devices.items[0] : NULL, &device);
    if (status != CG_OK) {
        return report_failure(status);
    }
    int result = bench_turns(device, given->measure.seconds);
    report_fallbacks(device, "warn");
    close_device(device);
    return result;
}

static void list_work(const bench_work *work) {
    printf("%-15s ", work->name);
    for (bench_pass pass = 0; pass < BENCH_PASSES; pass++) {
        if (bench_work_has(work, pass)) {
            printf(" %s", bench_pass_name(pass));
        }
    }
    printf("  %s\n", work->module ? work->module : work->call);
}

static int list(bool json) {
    if (json) {
        return report_json(bench_works_json());
    }
    for (size_t i = 0; i < N_OTHERS; i++) {
        puts(other_names[i]);
    }
    for (size_t i = 0; i < bench_work_count; i++) {
        list_work(&bench_works[i]);
    }
    return EXIT_GOOD;
}

static int run(const arguments *given) {
    if (given->list) {
        return list(given->json);
    }
    if (given->turns) {
        return take_turns(given);
    }
    int result = check_names(&given->names);
    return result == EXIT_GOOD ? bench_and_compare(given) : result;
}

#define SUMMARY                                                                                                        \
    "Measures, in ms: startup, a process from its start to the first result, and to the end of a training's first\n"   \
    "step; overhead, what one small op costs; limits, what the device does at most; batches, a step by the size of\n"  \
    "its batch; trainings, and single ops forward, backward and both in one step. share is the least time that the\n"  \
    "device's limits allow, divided by the median. Names may be patterns: 'conv*'."

int cmd_bench(int argc, char **argv) {
    arguments given = {.names.items = calloc((size_t)argc + 1, sizeof(char *)),
                       .devices.items = calloc((size_t)argc + 1, sizeof(char *)),
                       .measure = {.repeats = 5, .seconds = 0.3}};
    const option options[] = {
        list_option("--device", "STRING", DEVICES_HELP, &given.devices),
        count_option("--repeats", "calls of each pass at least, default 5", 1, &given.measure.repeats),
        real_option("--seconds", "time for each pass at least, default 0.3", &given.measure.seconds),
        text_option("--compare", "FILE",
                    "rows that an earlier run wrote with --json: prints how many times faster\n"
                    "this one is, and which changes are beyond noise",
                    &given.compare),
        flag_option("--list", "show the names, their passes and what they are made of", &given.list),
        flag_option("--turns",
                    "measure what standard input says, \"NAME PASS\" a line, and answer each with a\n"
                    "line of JSON; --seconds is for each",
                    &given.turns),
        flag_option("--json",
                    "an array of {name, device, pass, n, min_ms, median_ms, p90_ms, gflops, gbs,\n"
                    "share, ...} on stdout; times of a training are those of an epoch",
                    &given.json),
    };
    const command_line line = {.name = "bench",
                               .operands = "[NAME...]",
                               .summary = SUMMARY,
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operands_to = &given.names,
                               .optional = true};
    int result = given.names.items && given.devices.items ? options_parse(&line, argc, argv) : EXIT_DEVICE;
    result = result == OPTIONS_RUN ? run(&given) : result;
    free(given.names.items);
    free(given.devices.items);
    return result;
}
