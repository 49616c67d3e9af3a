/* The device under test, its budget, and what happens when it is not there. */
#include "devices.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first row that fits. With its checks Oclgrind does 160,000 multiply-adds a second, rusticl's llvmpipe a twentieth
 * of PoCL's. */
static const test_budget budgets[] = {{"oclgrind", 1e5, 5e4, 4, 1, false, 1},
                                      {"rusticl", 1e8, 4e8, 1000, 2, true, 2},
                                      {"opencl", 1e11, 1e12, 1000, 3, true, 6},
                                      {"", 1e11, 1e12, 1000, 3, true, 100}};

const char *test_device_string(void) {
    const char *string = getenv("CLGRAD_TEST_DEVICE");
    return string != NULL && string[0] != 0 ? string : "cpu";
}

test_budget test_device_budget(void) {
    size_t row = 0;
    while (strstr(test_device_string(), budgets[row].word) == NULL) {
        row++;
    }
    return budgets[row];
}

bool test_device_is_reference(void) {
    return strcmp(test_device_string(), "reference") == 0;
}

static cg_device *must_open(const char *string) {
    cg_device *device = NULL;
    cr_assert(cg_device_open(string, &device) == CG_OK, "%s: %s", string, cg_error_message());
    const char *fallback = getenv("CLGRAD_TEST_FALLBACK");
    bool allowed = fallback != NULL && strcmp(fallback, "allow") == 0;
    cg_device_set_fallback(device, allowed ? CG_FALLBACK_ALLOW : CG_FALLBACK_ERROR);
    return device;
}

cg_device *test_device_open(void) {
    return must_open(test_device_string());
}

cg_device *test_oracle_open(void) {
    return must_open("reference,dtype=f64");
}

int test_device_missing(void) {
    cg_device *device = NULL;
    if (getenv("CLGRAD_TEST_DEVICE") == NULL || cg_device_open(test_device_string(), &device) == CG_OK) {
        cg_device_close(device);
        return 0;
    }
    bool required = getenv("CLGRAD_TEST_REQUIRED") != NULL;
    fprintf(stderr, "%s: %s: %s\n", required ? "missing, but required" : "skipped", test_device_string(),
            cg_error_message());
    return required ? 1 : 77;
}
