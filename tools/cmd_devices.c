/* clgrad devices: every device, its string and what it is; backends that cannot be used, and why. */
#include <stdio.h>
#include <stdlib.h>

#include <clgrad/check.h>

#include "commands.h"
#include "device_list.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"

static const char *type_name(cg_device_type type) {
    switch (type) {
    case CG_DEVICE_CPU:
        return "CPU";
    case CG_DEVICE_GPU:
        return "GPU";
    case CG_DEVICE_ACCELERATOR:
        return "accelerator";
    }
    return "?";
}

/* "  KEY  TEXT", when there is a text. */
static void print_fact(const char *key, const char *text) {
    if (*text) {
        printf("  %-10s %s\n", key, text);
    }
}

static void print_device(const cg_device_info *info) {
    char bytes[32], text[256];
    printf("%s\n", info->string);
    print_fact("name", info->name);
    print_fact("vendor", info->vendor);
    snprintf(text, sizeof text, "%s%s%s", info->driver, *info->driver_version ? " " : "", info->driver_version);
    print_fact("driver", text);
    print_fact("version", info->api_version);
    snprintf(text, sizeof text, "%s%s%s, %u units", type_name(info->type), info->integrated ? ", integrated" : "",
             info->simulator ? ", simulator" : "", info->units);
    print_fact("type", text);
    print_fact("memory", info->memory_bytes ? report_bytes(info->memory_bytes, bytes, sizeof bytes) : "");
    print_fact("local", info->local_memory_bytes ? report_bytes(info->local_memory_bytes, bytes, sizeof bytes) : "");
    snprintf(text, sizeof text, "%s%s%s%s%s", info->fp16 ? "fp16 " : "", info->fp64 ? "fp64 " : "",
             info->subgroups ? "subgroups " : "", info->command_buffers ? "command_buffers " : "",
             info->atomics64 ? "atomics64" : "");
    print_fact("features", text);
    print_fact("uuid", info->uuid);
    print_fact("pci", info->pci);
}

#define MAX_UNSUPPORTED 256

/* What a device leaves to the CPU; the device is opened for it. */
typedef struct support {
    cg_fallback_info rows[MAX_UNSUPPORTED];
    size_t count;
    char problem[256]; /* why it cannot be said */
} support;

static void find_support(const char *string, support *found) {
    cg_device *device;
    *found = (support){.count = 0};
    cg_status status = cg_device_open(string, &device);
    if (status == CG_OK) {
        status = cg_device_unsupported(device, found->rows, MAX_UNSUPPORTED, &found->count);
        cg_device_close(device);
    }
    found->count = found->count < MAX_UNSUPPORTED ? found->count : MAX_UNSUPPORTED;
    if (status != CG_OK) {
        snprintf(found->problem, sizeof found->problem, "%.200s", cg_error_message());
    }
}

static void print_support(const support *found) {
    if (*found->problem) {
        print_fact("problem", found->problem);
    } else if (found->count == 0) {
        print_fact("falls back", "nothing: it runs every op of every layer and loss");
    }
    for (size_t i = 0; i < found->count; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s: %s", found->rows[i].op, found->rows[i].reason);
        print_fact("falls back", text);
    }
}

static void add_support(cJSON *object, const support *found) {
    cJSON *array = cJSON_AddArrayToObject(object, "falls_back");
    for (size_t i = 0; i < found->count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "op", found->rows[i].op);
        cJSON_AddStringToObject(row, "reason", found->rows[i].reason);
        cJSON_AddItemToArray(array, row);
    }
    if (*found->problem) {
        cJSON_AddStringToObject(object, "problem", found->problem);
    }
}

static cJSON *device_json(const cg_device_info *info) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "device", info->string);
    cJSON_AddStringToObject(object, "name", info->name);
    cJSON_AddStringToObject(object, "vendor", info->vendor);
    cJSON_AddStringToObject(object, "driver", info->driver);
    cJSON_AddStringToObject(object, "driver_version", info->driver_version);
    cJSON_AddStringToObject(object, "api_version", info->api_version);
    cJSON_AddStringToObject(object, "type", type_name(info->type));
    cJSON_AddBoolToObject(object, "integrated", info->integrated);
    cJSON_AddBoolToObject(object, "simulator", info->simulator);
    cJSON_AddBoolToObject(object, "fp16", info->fp16);
    cJSON_AddBoolToObject(object, "fp64", info->fp64);
    cJSON_AddBoolToObject(object, "subgroups", info->subgroups);
    cJSON_AddBoolToObject(object, "command_buffers", info->command_buffers);
    cJSON_AddBoolToObject(object, "atomics64", info->atomics64);
    cJSON_AddNumberToObject(object, "units", info->units);
    cJSON_AddNumberToObject(object, "memory_bytes", (double)info->memory_bytes);
    cJSON_AddNumberToObject(object, "max_allocation_bytes", (double)info->max_allocation_bytes);
    cJSON_AddNumberToObject(object, "local_memory_bytes", (double)info->local_memory_bytes);
    cJSON_AddStringToObject(object, "uuid", info->uuid);
    cJSON_AddStringToObject(object, "pci", info->pci);
    return object;
}

static int show(const cg_device_info *infos, size_t count, bool json) {
    if (!json) {
        for (size_t i = 0; i < count; i++) {
            support found;
            find_support(infos[i].string, &found);
            print_device(&infos[i]);
            print_support(&found);
        }
        return EXIT_GOOD;
    }
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        support found;
        find_support(infos[i].string, &found);
        cJSON *object = device_json(&infos[i]);
        add_support(object, &found);
        cJSON_AddItemToArray(array, object);
    }
    return report_json(array);
}

static int list_all(bool json) {
    cg_device_info *infos;
    size_t count;
    cg_status status = device_list(&infos, &count);
    if (status != CG_OK) {
        return report_failure(status);
    }
    int exit_status = show(infos, count, json);
    print_backend_problems(json ? stderr : stdout); /* with --json stdout holds the array alone */
    free(infos);
    return exit_status;
}

static int show_one(const char *string, bool json) {
    cg_device *device;
    cg_status status = cg_device_open(string, &device);
    if (status != CG_OK) {
        return report_failure(status);
    }
    int exit_status = show(cg_device_describe(device), 1, json);
    if (!json) {
        print_fact("chosen", cg_device_choice(device));
    }
    close_device(device);
    return exit_status;
}

static int clear_cache(void) {
    size_t files;
    uint64_t bytes;
    char text[32];
    cg_status status = cg_cache_clear(&files, &bytes);
    if (status != CG_OK) {
        return report_failure(status);
    }
    const char *folder = cg_cache_folder();
    printf("%s: %zu compiled programs removed, %s\n", folder ? folder : "no cache folder", files,
           report_bytes(bytes, text, sizeof text));
    return EXIT_GOOD;
}

int cmd_devices(int argc, char **argv) {
    const char *device = NULL;
    bool json = false, clear = false;
    const option options[] = {
        text_option("--device", "STRING", "only the device that this string opens", &device),
        flag_option("--json", "an array of {device, name, vendor, driver, ...} on stdout", &json),
        flag_option("--clear-cache", "remove the compiled programs that are kept for the next start, and stop", &clear),
    };
    const command_line line = {.name = "devices",
                               .operands = "",
                               .summary = "Lists every device with the string that opens it.",
                               .options = options,
                               .n_options = sizeof options / sizeof *options};
    int parsed = options_parse(&line, argc, argv);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    if (clear) {
        return clear_cache();
    }
    return device ? show_one(device, json) : list_all(json);
}
