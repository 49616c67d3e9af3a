/* Every row of layers.def on the device: against the reference in double, against differences on the device itself, and
 * twice for the same bits. */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "probe.h"
#include "rows.h"

#define DIRECTIONS 1

static cg_status evaluate(test_probe *probe, const gradcheck_case *test, cg_device *device) {
    CG_TRY(probe_open(probe, test, device));
    return probe_backward(probe);
}

static bool same(const double *a, const double *b, int64_t count) {
    return memcmp(a, b, (size_t)count * sizeof *a) == 0;
}

static cg_status same_bits(const test_probe *a, const test_probe *b) {
    if (!same(a->output, b->output, a->count)) {
        return cg_fail(CG_ERR_WRONG, "the same call twice gave different outputs");
    }
    for (size_t i = 0; i < a->n_leaves; i++) {
        if (a->leaves[i].wanted && !same(a->leaves[i].gradient, b->leaves[i].gradient, a->leaves[i].count)) {
            return cg_fail(CG_ERR_WRONG, "the same call twice gave different gradients of %s", a->leaves[i].name);
        }
    }
    return CG_OK;
}

static cg_status check_twice(const gradcheck_case *test, cg_device *device) {
    test_probe first = {.test = test}, second = {.test = test};
    cg_status status = evaluate(&first, test, device);
    if (status == CG_OK) {
        status = evaluate(&second, test, device);
    }
    if (status == CG_OK) {
        status = same_bits(&first, &second);
    }
    probe_close(&first);
    probe_close(&second);
    return status;
}

static cg_status prove(const cg_doctor *doctor, const gradcheck_case *test, double *worst) {
    CG_TRY(gradcheck_against(test, doctor->device, doctor->oracle, worst));
    if ((test->flags & GRADCHECK_NO_DIFFERENCE) == 0) {
        CG_TRY(gradcheck_difference(test, doctor->device, doctor->oracle, DIRECTIONS));
    }
    return check_twice(test, doctor->device);
}

/* The case of a failure, whose message survives. */
static void leave_case(const cg_doctor *doctor, const gradcheck_case *test, cg_status failure, char *path,
                       size_t size) {
    char message[2048];
    snprintf(message, sizeof message, "%s", cg_error_message());
    int length = snprintf(path, size, "%s/%s.safetensors", doctor->case_folder, test->name);
    if (length < 0 || (size_t)length >= size || cg_doctor_write_case(test, doctor->oracle, path) != CG_OK) {
        path[0] = '\0';
        cg_fail(failure, "%s (no case was left: %.200s)", message, cg_error_message());
        return;
    }
    cg_fail(failure, "%s", message);
}

static cg_status check_row(cg_doctor *doctor, const cg_layer_row *one) {
    gradcheck_case test = one->test;
    char path[512] = "";
    double worst = NAN;
    test.n_kinks = test.n_kinks > 0 ? test.n_kinks : 1; /* 0 is one of many layers */
    cg_doctor_begin(doctor);
    cg_status status = prove(doctor, &test, &worst);
    if (status != CG_OK && doctor->case_folder != NULL) {
        leave_case(doctor, &test, status, path, sizeof path);
    }
    return cg_doctor_end(doctor, one->group, test.name, status, worst, path);
}

cg_status cg_doctor_layers(cg_doctor *doctor) {
    for (size_t i = 0; i < cg_layer_row_count; i++) {
        const cg_layer_row one = cg_layer_rows[i]();
        CG_TRY(check_row(doctor, &one));
    }
    return CG_OK;
}
