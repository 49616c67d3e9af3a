/*
 * Case files and texts with some bytes changed, from seeds: every one is read or refused with a message, and the
 * sanitizer build sees what else happens. A failure names the seed, which makes the same bytes again.
 */
#include <clgrad/clgrad.h>
#include <clgrad/verify.h>

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

#define TRIES_A_FILE 40
#define TRIES_A_TEXT 100

static uint32_t draw(uint64_t seed, uint64_t index, uint32_t below) {
    uint32_t words[4];
    cg_philox(seed, 17, index, words);
    return words[0] % below;
}

/* Changes, drops or doubles some of the first `window` bytes, or ends there. Returns the new size, at most room. */
static size_t mutate(char *bytes, size_t size, size_t room, size_t window, uint64_t seed) {
    static const char marks[] = "0123456789-.,=()[]{}'\"\\: eETNx\n\xff";
    uint32_t count = 1 + draw(seed, 0, 4);
    for (uint32_t i = 0; i < count && size > 0; i++) {
        uint32_t at = draw(seed, 10 * i + 1, (uint32_t)(size < window ? size : window)),
                 length = 1 + draw(seed, 10 * i + 2, 8);
        length = at + length > size ? (uint32_t)size - at : length;
        switch (draw(seed, 10 * i + 3, 5)) {
        case 0:
            bytes[at] = marks[draw(seed, 10 * i + 4, sizeof marks - 1)];
            break;
        case 1:
            bytes[at] = (char)draw(seed, 10 * i + 4, 256);
            break;
        case 2:
            memmove(bytes + at, bytes + at + length, size - at - length);
            size -= length;
            break;
        case 3:
            if (size + length < room) {
                memmove(bytes + at + length, bytes + at, size - at);
                size += length;
            }
            break;
        default:
            size = at;
            break;
        }
    }
    return size;
}

#define HEADER 1500 /* bytes: about where a case's numbers begin */

/* Two of three change the header, where the structure is. */
static void try_file(const test_folder *folder, const char *name, const char *bytes, size_t size, uint64_t seed) {
    char *changed = malloc(size + 64), path[TEST_PATH_SIZE];
    cr_assert_not_null(changed);
    memcpy(changed, bytes, size);
    size_t new_size = mutate(changed, size, size + 64, seed % 3 == 0 ? size : HEADER, seed);
    test_file_write(folder, "case.safetensors", changed, new_size);
    free(changed);
    cg_fail(CG_OK, "%s", "");
    cg_case *c = NULL;
    cg_status status = cg_case_load(test_path(folder, "case.safetensors", path), &c);
    cr_assert((status == CG_OK) == (c != NULL), "%s, seed %llu", name, (unsigned long long)seed);
    cr_assert(status == CG_OK || cg_error_message()[0] != '\0', "%s, seed %llu: no message", name,
              (unsigned long long)seed);
    cg_case_destroy(c);
}

Test(mutations, of_case_files_are_read_or_refused, .timeout = 300) {
    DIR *cases = opendir(TEST_CASES);
    cr_assert_not_null(cases);
    test_folder here = {.path = TEST_CASES}, folder = test_folder_make();
    size_t files = 0;
    for (struct dirent *entry = readdir(cases); entry != NULL; entry = readdir(cases)) {
        if (strstr(entry->d_name, ".safetensors") == NULL) {
            continue;
        }
        size_t size;
        char *bytes = test_file_read(&here, entry->d_name, &size);
        for (uint64_t seed = 1; seed <= TRIES_A_FILE; seed++) {
            try_file(&folder, entry->d_name, bytes, size, seed + 1000 * files);
        }
        free(bytes);
        files++;
    }
    closedir(cases);
    test_folder_remove(&folder);
    cr_assert(files > 30, "only %zu case files", files);
}

/* Numbers of more than three digits would ask for gigabytes. */
static bool has_long_number(const char *text) {
    size_t digits = 0;
    for (; *text != '\0' && digits <= 3; text++) {
        digits = isdigit((unsigned char)*text) || *text == 'e' || *text == 'E' ? digits + 1 : 0;
    }
    return digits > 3;
}

static void try_text(cg_device *device, const char *text, uint64_t seed) {
    char changed[512];
    snprintf(changed, sizeof changed - 64, "%s", text);
    size_t size = mutate(changed, strlen(changed), sizeof changed - 1, sizeof changed, seed);
    changed[size] = '\0';
    if (has_long_number(changed)) {
        return;
    }
    cg_fail(CG_OK, "%s", "");
    cg_module *module = NULL;
    cg_schedule *schedule = NULL;
    cg_status status = cg_module_parse(device, changed, &module);
    cr_assert((status == CG_OK) == (module != NULL) && (status == CG_OK || cg_error_message()[0] != '\0'),
              "seed %llu: %s", (unsigned long long)seed, changed);
    cg_fail(CG_OK, "%s", "");
    status = cg_schedule_parse(changed, 0.1, 0.9, &schedule);
    cr_assert((status == CG_OK) == (schedule != NULL) && (status == CG_OK || cg_error_message()[0] != '\0'),
              "seed %llu: %s", (unsigned long long)seed, changed);
    cg_module_destroy(module);
    cg_schedule_destroy(schedule);
    cg_device *opened = NULL;
    cr_assert(cg_device_open(changed, &opened) != CG_OK || opened != NULL);
    cg_device_close(opened);
}

Test(mutations, of_texts_are_read_or_refused, .timeout = 300) {
    static const char *const texts[] = {
#define CG_LAYER(name, text, ...) text,
#define CG_LOSS(name, text, ...) text,
#include "layers.def"
        "OneCycleLR(max_lr=0.4, total_steps=20, pct_start=0.3, anneal_strategy='linear')",
        "MultiStepLR(milestones=[2, 5, 9], gamma=0.5)",
        "cpu,threads=2",
        "reference,dtype=f64",
    };
    cg_device *device = NULL;
    cr_assert(cg_device_open("reference", &device) == CG_OK, "%s", cg_error_message());
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (uint64_t seed = 1; seed <= TRIES_A_TEXT; seed++) {
            try_text(device, texts[i], seed + 1000 * i);
        }
    }
    cg_device_close(device);
}
