/* The proofs of proof.h as tests: within the device's budget, failing the running test, written down for the table. */
#ifndef CLGRAD_TESTS_GRADCHECK_H
#define CLGRAD_TESTS_GRADCHECK_H

#include "proof.h"

/* Runs the proofs of all cases on the device under test, and proof 1 where that is the reference; fails the running
 * test with the message of the first that fails, or when the device's budget admits no case at all: then a smaller one
 * is missing. Cases of the same name are one row of the table. */
void gradcheck_all(const gradcheck_case *cases, size_t count);

/* The same for one case of another kind: "layer", "loss". */
void gradcheck_layer(const char *kind, const gradcheck_case *test);

/* Forward and backward once, nothing is compared: for tests that make something fail on the way. */
cg_status gradcheck_run(const gradcheck_case *test, cg_device *device);

#endif
