/*
 * The main function of every test program. Criterion's own passes when no test ran at all, and knows no way to say
 * 'skipped, the device is not here': this one exits with 1 and 77.
 */
#include "devices.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>

static size_t tests_run;

ReportHook(POST_ALL)(struct criterion_global_stats *stats) {
    tests_run = stats->nb_tests - stats->tests_skipped;
}

static int run(struct criterion_test_set *tests) {
    if (!criterion_run_all_tests(tests)) {
        return 1;
    }
    if (tests_run == 0) {
        fprintf(stderr, "no test was run: none was found, or all were skipped\n");
        return 1;
    }
    return 0;
}

int main(int argc, char *argv[]) {
    struct criterion_test_set *tests = criterion_initialize();
    int status = 0;
    if (criterion_handle_args(argc, argv, true) && (status = run(tests)) != 0) {
        int missing =
            test_device_missing(); /* asked then only: opening a device takes some drivers longer than a test */
        status = missing != 0 ? missing : status;
    }
    criterion_finalize(tests);
    return status;
}
