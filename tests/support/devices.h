/*
 * The device under test: a test that includes this header is registered once for each device of
 * CLGRAD_TEST_DEVICES and finds its device's string in the environment variable CLGRAD_TEST_DEVICE.
 */
#ifndef CLGRAD_TESTS_DEVICES_H
#define CLGRAD_TESTS_DEVICES_H

#include <clgrad/device.h>

/* The string of the device under test; "cpu" when the environment names none. */
const char *test_device_string(void);

/* Opens it. Falling back is an error, so that what passes was run there; CLGRAD_TEST_FALLBACK=allow is for backends
 * that run a few ops only. Fails the running test when it cannot. */
cg_device *test_device_open(void);

/* The oracle: the reference in double. */
cg_device *test_oracle_open(void);

/* Proof 1 is about the reference alone and runs where the reference is under test. */
bool test_device_is_reference(void);

/* What one generated case may cost on a device. */
typedef struct test_budget {
    const char *word;     /* part of the device strings that the row is for */
    double multiply_adds; /* all passes together */
    double total;         /* of a list of cases: the first that fits runs, then what else fits */
    size_t cases;         /* of such a list, at most */
    int directions;       /* of proof 3 */
    bool edges;           /* whether there is time for proof 4 */
    int fuzz_calls;       /* of each row of fuzz.def */
} test_budget;

test_budget test_device_budget(void);

/* Can the tests of this process run? 0: yes (or they need no device); 1: the device is required and missing;
 * 77: it is missing, skip. The reason is printed. */
int test_device_missing(void);

#endif
