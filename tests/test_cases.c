/* Case files from inside: replays that run out of memory anywhere, and what the command cannot ask for. */
#include <clgrad/verify.h>

#include <criterion/criterion.h>
#include <stdio.h>

#include "alloc.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *path_of(const char *name, char *path, size_t size) {
    snprintf(path, size, TEST_CASES "/%s.safetensors", name);
    return path;
}

/* Loads and replays; a pass or a failure. */
static cg_status replay(const char *path, cg_device *device, const char *results) {
    cg_case *c = NULL;
    cg_verdict verdict;
    cg_status status = cg_case_load(path, &c);
    if (status == CG_OK) {
        status = cg_case_replay(c, device, results, &verdict);
        cr_expect(status != CG_OK || verdict.outcome == CG_OUTCOME_PASS, "%s: %s", path, verdict.reason);
    }
    cg_case_destroy(c);
    return status;
}

Test(cases, running_out_of_memory_is_an_error_and_leaks_nothing) {
    static const char *const names[] = {"residual_linear", "cross_entropy", "adam", "one_cycle"};
    char path[512];
    cg_device *device;
    cr_assert_eq(cg_device_open("cpu", &device), CG_OK);
    for (size_t i = 0; i < COUNT(names); i++) {
        cg_status status = replay(path_of(names[i], path, sizeof path), device, NULL);
        cr_assert_eq(status, CG_OK, "%s", cg_error_message());
        long call = 0;
        do {
            cg_alloc_fail_at(++call);
            status = replay(path, device, NULL);
            cg_alloc_fail_at(0);
            cr_assert(status == CG_OK || status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY, "%s, call %ld: %s",
                      names[i], call, cg_error_message());
        } while (status != CG_OK && call < 10000);
        cr_expect_eq(status, CG_OK);
        cr_expect_gt(call, 10);
    }
    cg_device_close(device);
}

Test(cases, a_module_without_a_device_is_an_error_and_a_schedule_needs_none) {
    char path[512];
    cr_expect_eq(replay(path_of("linear", path, sizeof path), NULL, NULL), CG_ERR_ARGUMENT);
    cr_expect_eq(replay(path_of("step_lr", path, sizeof path), NULL, NULL), CG_OK);
}

Test(cases, a_case_has_its_files_name) {
    char path[512];
    cg_case *c = NULL;
    cr_assert_eq(cg_case_load(path_of("mse_loss", path, sizeof path), &c), CG_OK, "%s", cg_error_message());
    cr_expect_str_eq(cg_case_name(c), "mse_loss");
    cr_expect(cg_case_needs_device(c));
    cg_case_destroy(c);
    cg_case_destroy(NULL);
}
