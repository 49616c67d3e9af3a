/* The order of the check, its clock, and who hears of it. */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "device.h"

const char *cg_check_outcome_name(cg_check_outcome outcome) {
    static const char *const names[] = {"pass", "FAIL", "fallback", "skipped"};
    return names[outcome];
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void cg_doctor_begin(cg_doctor *doctor) {
    doctor->start = now();
    doctor->fallen_back = doctor->device->fallback_ops;
}

static cg_status tell(const cg_doctor *doctor, const cg_check_result *result) {
    return doctor->heard(doctor->context, result) ? CG_OK : cg_fail(CG_ERR_INTERRUPTED, "the check was ended");
}

/* "sgd_step: the reason", of the op that fell back last. */
static void print_fallback(const cg_device *device, char *text, size_t size) {
    const cg_fallback_info *last = &device->fallbacks[device->last_fallback];
    snprintf(text, size, "%s ran on the CPU: %s", last->op, last->reason);
}

cg_status cg_doctor_end(cg_doctor *doctor, const char *group, const char *name, cg_status status, double worst,
                        const char *case_file) {
    char message[2048] = "";
    bool fell_back = doctor->device->fallback_ops > doctor->fallen_back;
    if (status != CG_OK) {
        snprintf(message, sizeof message, "%s", cg_error_message());
    } else if (fell_back) {
        print_fallback(doctor->device, message, sizeof message);
    }
    return tell(doctor, &(cg_check_result){
                            .group = group,
                            .name = name,
                            .outcome = status != CG_OK ? CG_CHECK_FAIL
                                       : fell_back     ? CG_CHECK_FALLBACK
                                                       : CG_CHECK_PASS,
                            .worst = worst,
                            .seconds = now() - doctor->start,
                            .message = message,
                            .case_file = case_file,
                        });
}

cg_status cg_doctor_skip(cg_doctor *doctor, const char *group, const char *name, const char *why) {
    return tell(
        doctor,
        &(cg_check_result){
            .group = group, .name = name, .outcome = CG_CHECK_SKIPPED, .worst = NAN, .message = why, .case_file = ""});
}

static cg_status run(cg_doctor *doctor) {
    CG_TRY(cg_doctor_kernels(doctor));
    CG_TRY(cg_doctor_layers(doctor));
    CG_TRY(cg_doctor_optimizers(doctor));
    CG_TRY(cg_doctor_elementwise(doctor));
    CG_TRY(cg_doctor_numbers(doctor));
    CG_TRY(cg_doctor_ops(doctor));
    return cg_doctor_memory(doctor);
}

cg_status cg_check_device(const char *string, const char *case_folder, cg_check_heard heard, void *context) {
    cg_doctor doctor = {.case_folder = case_folder, .heard = heard, .context = context};
    char checked[512];
    if (snprintf(checked, sizeof checked, "check:%s", string) >= (int)sizeof checked) {
        return cg_fail(CG_ERR_SYNTAX, "device '%s' is too long", string);
    }
    CG_TRY(cg_device_open(checked, &doctor.device));
    cg_status status = cg_device_open("reference,dtype=f64", &doctor.oracle);
    if (status == CG_OK) {
        status = run(&doctor);
    }
    cg_device_close(doctor.oracle);
    cg_device_close(doctor.device);
    return status;
}
