/* What the parts of the doctor share. */
#ifndef CLGRAD_DOCTOR_H
#define CLGRAD_DOCTOR_H

#include <clgrad/check.h>

#include "decorators.h"
#include "proof.h"

typedef struct cg_doctor {
    cg_device *device; /* the device in question, inside check: */
    cg_device *oracle; /* the reference in double */
    const char *case_folder;
    cg_check_heard heard;
    void *context;
    double start;         /* of what is checked now */
    uint64_t fallen_back; /* ops, before it */
} cg_doctor;

/* Starts the clock of one thing. */
void cg_doctor_begin(cg_doctor *doctor);

/* Tells of it: passed, fallen back or failed by the status and its message. CG_ERR_INTERRUPTED: enough. */
cg_status cg_doctor_end(cg_doctor *doctor, const char *group, const char *name, cg_status status, double worst,
                        const char *case_file) CG_MUST_USE;

/* Tells of what is not checked. */
cg_status cg_doctor_skip(cg_doctor *doctor, const char *group, const char *name, const char *why) CG_MUST_USE;

/* The parts, in their order. */
cg_status cg_doctor_kernels(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_layers(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_optimizers(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_elementwise(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_numbers(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_ops(cg_doctor *doctor) CG_MUST_USE;
cg_status cg_doctor_memory(cg_doctor *doctor) CG_MUST_USE;

/* Writes what the module of a case should compute, in double, as a file for clgrad verify. */
cg_status cg_doctor_write_case(const gradcheck_case *test, cg_device *oracle, const char *path) CG_MUST_USE;

#endif
