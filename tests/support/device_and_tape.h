/* What the tests of a program begin and end with: the device under test, and a tape on it. */
#ifndef CLGRAD_TESTS_DEVICE_AND_TAPE_H
#define CLGRAD_TESTS_DEVICE_AND_TAPE_H

#include <clgrad/tape.h>

#include <criterion/criterion.h>

#include "devices.h"

static cg_device *device;
static cg_tape *tape;

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    cr_assert(tape != NULL, "%s", cg_error_message());
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_device_close(device);
}

#endif
