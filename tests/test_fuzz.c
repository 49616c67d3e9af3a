/*
 * Calls of every op with arguments that are right, wrong and absurd, on the device under test: see support/fuzz.h.
 * Calls that are not spoiled go through check:, so that what the device computes is compared with the reference in
 * double. CLGRAD_FUZZ=row:seed, as a failure prints it, repeats one call; CLGRAD_FUZZ_CALLS=n makes n calls a row.
 */
#include "devices.h"
#include "fuzz.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 150 /* a call, its kernels compiled on a busy machine */

static fuzz plain, checked;

static void open_devices(void) {
    char string[256];
    double budget = test_device_budget().multiply_adds;
    budget = budget > 4e6 ? 4e6 : budget / 5;
    snprintf(string, sizeof string, "check:%s", test_device_string());
    cr_assert(fuzz_open(&plain, test_device_string(), "reference", budget), "%s", cg_error_message());
    cr_assert(fuzz_open(&checked, string, "reference", budget), "%s", cg_error_message());
    cg_device_set_fallback(checked.device, CG_FALLBACK_ALLOW);
}

static void close_devices(void) {
    fuzz_close(&plain);
    fuzz_close(&checked);
}

TestSuite(fuzz, .init = open_devices, .fini = close_devices);

/* A spoiled call is made on the plain device: extreme numbers differ between float and double. */
static fuzz_end call(const fuzz_row *row, uint64_t seed) {
    bool spoils = fuzz_spoils_call(seed);
    fuzz *f = spoils ? &plain : &checked;
    fuzz_watch(f, SECONDS);
    return fuzz_call(f, row, seed);
}

#define ENOUGH_CALLS 20 /* for one of them to be a call that runs */

/* So many calls of a row; some must run, or the row says nothing. */
static void call_row(const fuzz_row *row, int calls, int *wrong) {
    int ends[FUZZ_WRONG + 1] = {0};
    for (int i = 0; i < calls; i++) {
        fuzz_end end = call(row, (uint64_t)i);
        ends[end]++;
        if (end == FUZZ_WRONG) {
            fprintf(stderr, "%s\n", fuzz_failure());
        }
    }
    *wrong += ends[FUZZ_WRONG];
    cr_expect(ends[FUZZ_RAN] > 0 || calls < ENOUGH_CALLS, "%s: none of %d calls ran", row->name, calls);
}

/* What CLGRAD_FUZZ asks for: every row, a row, or one call. */
static bool is_wanted(const fuzz_row *row, const char *wanted) {
    size_t length = strlen(row->name);
    return wanted == NULL ||
           (strncmp(wanted, row->name, length) == 0 && (wanted[length] == 0 || wanted[length] == ':'));
}

static int calls_a_row(void) {
    const char *given = getenv("CLGRAD_FUZZ_CALLS");
    return given != NULL ? atoi(given) : test_device_budget().fuzz_calls;
}

static void repeat_call(const fuzz_row *row, uint64_t seed) {
    fuzz_end end = call(row, seed);
    fprintf(stderr, "%s:%llu: %s\n", row->name, (unsigned long long)seed,
            end == FUZZ_WRONG ? fuzz_failure() : "ends as it should");
    cr_expect(end != FUZZ_WRONG);
}

Test(fuzz, every_call_ends_well_or_in_words) {
    const char *wanted = getenv("CLGRAD_FUZZ"), *colon = wanted != NULL ? strchr(wanted, ':') : NULL;
    int wrong = 0, rows = 0;
    for (size_t i = 0; i < fuzz_row_count; i++) {
        if (is_wanted(&fuzz_rows[i], wanted) && colon != NULL) {
            repeat_call(&fuzz_rows[i], strtoull(colon + 1, NULL, 10));
            rows++;
        } else if (is_wanted(&fuzz_rows[i], wanted)) {
            call_row(&fuzz_rows[i], calls_a_row(), &wrong);
            rows++;
        }
    }
    cr_assert(rows > 0, "no row %s", wanted);
    cr_assert(wrong == 0, "%d calls ended wrong", wrong);
}
