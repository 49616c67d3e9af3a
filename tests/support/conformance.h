/*
 * What the proofs found, for the table of docs/conformance.md: a line a case in a file a process, in the folder that
 * CLGRAD_TEST_RESULTS names. Without the variable nothing is written.
 */
#ifndef CLGRAD_TESTS_CONFORMANCE_H
#define CLGRAD_TESTS_CONFORMANCE_H

#include <clgrad/device.h>

/* Says that a case begins, so that one that crashes is missed. */
void conformance_start(const char *kind, const char *name);

/* Adds "KIND\tNAME\tDEVICE\tOUTCOME\tWORST\tREASON": kind is op, layer or loss, outcome pass, fail, fallback or
 * unsupported, worst the largest error as a share of the largest value expected. */
void conformance_add(const char *kind, const char *name, cg_device *device, cg_status status, double worst);

#endif
