/* Opening lists of devices, and requiring some of them. */
#include "device_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "device_list.h"
#include "exit_status.h"
#include "report.h"

static bool is_open(const device_set *set, const char *string) {
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(cg_device_describe(set->devices[i])->string, string) == 0) {
            return true;
        }
    }
    return false;
}

static bool add(device_set *set, cg_device *device, const char *string) {
    cg_device **devices = realloc(set->devices, (set->count + 1) * sizeof(cg_device *));
    if (!devices) {
        return false;
    }
    set->devices = devices;
    char **strings = realloc(set->strings, (set->count + 1) * sizeof(char *));
    if (!strings) {
        return false;
    }
    set->strings = strings;
    set->strings[set->count] = strdup(string);
    if (!set->strings[set->count]) {
        return false;
    }
    set->devices[set->count++] = device;
    return true;
}

/* Wrong syntax ends the command; a device that is not there leaves the others. */
static int open_one(device_set *set, const char *string) {
    cg_device *device;
    cg_status status = cg_device_open(string, &device);
    if (status != CG_OK) {
        int exit_status = report_failure(status);
        set->incomplete = true;
        return exit_status == EXIT_USAGE ? EXIT_USAGE : EXIT_GOOD;
    }
    if (is_open(set, cg_device_describe(device)->string)) {
        cg_device_close(device);
        return EXIT_GOOD;
    }
    if (!add(set, device, string ? string : cg_device_describe(device)->string)) {
        cg_device_close(device);
        return report_failure(cg_fail(CG_ERR_MEMORY, "out of memory"));
    }
    return EXIT_GOOD;
}

static int open_profiles(device_set *set, const cg_device_info *info) {
    static const char *const profiles[] = {"cpu", "gpu"};
    if (!*info->profile) {
        return open_one(set, info->string);
    }
    int result = EXIT_GOOD;
    for (size_t i = 0; i < 2 && result == EXIT_GOOD; i++) {
        char string[sizeof info->string + 16];
        int length = (int)strcspn(info->string, ","); /* a list shows the profile that is the default */
        snprintf(string, sizeof string, "%.*s,profile=%s", length, info->string, profiles[i]);
        result = open_one(set, string);
    }
    return result;
}

static int open_all(device_set *set) {
    cg_device_info *infos;
    size_t count;
    cg_status status = device_list(&infos, &count);
    if (status != CG_OK) {
        return report_failure(status);
    }
    print_backend_problems(stderr);
    int result = EXIT_GOOD;
    for (size_t i = 0; i < count && result == EXIT_GOOD; i++) {
        result = open_profiles(set, &infos[i]);
    }
    free(infos);
    return result;
}

int device_set_open(const text_list *strings, device_set *set) {
    *set = (device_set){0};
    int result = strings->count == 0 ? open_one(set, NULL) : EXIT_GOOD;
    for (size_t i = 0; i < strings->count && result == EXIT_GOOD; i++) {
        bool all = strcmp(strings->items[i], "all") == 0;
        result = all ? open_all(set) : open_one(set, strings->items[i]);
    }
    return result;
}

void device_set_close(device_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        close_device(set->devices[i]);
        free(set->strings[i]);
    }
    free(set->devices);
    free(set->strings);
    *set = (device_set){0};
}

static bool same_word(const char *word, size_t length, const char *name, size_t name_length) {
    return length == name_length && strncasecmp(word, name, length) == 0;
}

/* A device goes by its backend's name, with which its string begins, and by its driver's. */
static bool has(const device_set *set, const char *word, size_t length) {
    for (size_t i = 0; i < set->count; i++) {
        const cg_device_info *info = cg_device_describe(set->devices[i]);
        if (same_word(word, length, info->string, strcspn(info->string, ":,")) ||
            same_word(word, length, info->driver, strlen(info->driver))) {
            return true;
        }
    }
    return false;
}

bool device_set_require(device_set *set, const char *names) {
    for (const char *word = names; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        size_t length = strcspn(word, ",");
        if (length == 0) {
            return false;
        }
        if (!has(set, word, length)) {
            fprintf(stderr, "clgrad: --require: %.*s is not among the devices\n", (int)length, word);
            set->incomplete = true;
        }
    }
    return true;
}
