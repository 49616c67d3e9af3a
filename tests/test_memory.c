/*
 * Host memory runs out at every allocation of every row of layers.def, and while a device is opened: each time an error
 * that says so, nothing lost (the leak check sees it), and the device goes on.
 */
#include "devices.h"
#include "gradcheck.h"
#include "rows.h"

#include <clgrad/clgrad.h>

#include <criterion/criterion.h>
#include <string.h>

#include "alloc.h"

/* Where a device keeps its memory on the host, it is the device's that is out. */
static bool says_memory_is_out(cg_status status) {
    return status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY ||
           strstr(cg_error_message(), "out of host memory") != NULL;
}

typedef cg_status (*run_fn)(const gradcheck_case *row, cg_device *device);

/* Lets each allocation of `run` fail, one a run, until a run makes fewer. A failure that the program does without (an
 * answer that is not kept) may leave the run whole. Slow devices: after one failure the next is twice as far. */
static void fail_each(const char *name, run_fn run, const gradcheck_case *row, cg_device *device) {
    bool slow = test_device_budget().multiply_adds < 1e9;
    for (long call = 1;; call += slow ? call : 1) {
        unsigned long long before = cg_host_allocations();
        cg_alloc_fail_at(call);
        cg_status status = run(row, device);
        cg_alloc_fail_at(0);
        cr_assert(status == CG_OK || says_memory_is_out(status), "%s, allocation %ld: %s: %s", name, call,
                  cg_status_name(status), cg_error_message());
        if (cg_host_allocations() - before < (unsigned long long)call) {
            cr_assert(status == CG_OK && call > 3, "%s: %s", name, cg_error_message());
            return;
        }
    }
}

Test(memory, may_run_out_anywhere_in_a_layer, .timeout = 800) {
    cg_device *device = test_device_open();
    for (size_t i = 0; i < cg_layer_row_count; i++) {
        gradcheck_case row = cg_layer_rows[i]().test;
        cg_status status = gradcheck_run(&row, device); /* compiles its kernels: that fails in the next test */
        cr_assert(status == CG_OK, "%s: %s", row.name, cg_error_message());
        fail_each(row.name, gradcheck_run, &row, device);
    }
    cg_device_close(device);
}

static cg_status open_and_run(const gradcheck_case *row, cg_device *none) {
    (void)none;
    cg_device *device = NULL;
    cg_status status = cg_device_open(test_device_string(), &device);
    status = status == CG_OK ? gradcheck_run(row, device) : status;
    cg_device_close(device);
    return status;
}

Test(memory, may_run_out_while_a_device_is_opened, .timeout = 800) {
    const gradcheck_case row = {
        .name = "opening", .module = "Linear(3, 2), ReLU()", .n_inputs = 1, .inputs = {{.shape = CG_SHAPE(2, 3)}}};
    fail_each(row.name, open_and_run, &row, NULL);
}
