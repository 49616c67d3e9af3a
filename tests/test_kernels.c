/*
 * The kernels beneath the tape: every built-in kind on the device under test against the reference in double, writing
 * and adding, over odd shapes, offsets, broadcasting and batches (support/twin_cases*.c). A kind without a case fails.
 */
#include "devices.h"

#include <criterion/criterion.h>

#include "builtin.h"
#include "device.h"
#include "record.h"
#include "twin.h"

static void check_case(twin *t, twin_device *device, int variant) {
    cr_assert(cg_backend_reference.run(NULL, &t->wide) == CG_OK, "%s", cg_error_message());
    twin_run(t, device);
    twin_compare(t, test_device_string(), variant);
}

/* The first case, and what else a slow device has the time for; its empty operands never get there. */
static void check_kind(const cg_op_kind *kind, twin_device *device, uint32_t accumulate) {
    double left = test_device_budget().total / 100;
    twin t;
    for (int variant = 0; twin_build(&t, kind->number, variant, kind->number * UINT64_C(1000) + (uint64_t)variant + 1);
         variant++) {
        bool fits = variant == 0 || twin_work(&t) <= left;
        if (fits && !twin_is_empty(&t) && !(accumulate && t.overwrites)) {
            left -= twin_work(&t);
            t.single.accumulate = t.wide.accumulate = accumulate;
            check_case(&t, device, variant);
        }
        twin_end(&t);
    }
}

/* One process for all, so that a program is compiled once. */
Test(kernels, agree_with_the_reference_in_double) {
    cg_device *device = test_device_open();
    twin_device twins = {.backend = device->backend, .device = device->handle};
    for (size_t i = 0; i < cg_kind_count; i++) {
        check_kind(&cg_kinds[i], &twins, 0);
        for (uint32_t bit = 0; cg_kinds[i].flags & CG_KIND_ACCUMULATES && bit < cg_kinds[i].outputs; bit++) {
            check_kind(&cg_kinds[i], &twins, 1u << bit);
        }
    }
    twin_device_release(&twins);
    cg_device_close(device);
}

#define STEPS 6

/* Short and long parameters in one go, more than a launch takes, all with the numbers of one variant. */
static void check_steps(const cg_op_kind *kind, twin_device devices[STEPS], int variant, bool both) {
    twin t[STEPS];
    for (int i = 0; i < STEPS; i++) {
        cr_assert(twin_build(&t[i], kind->number, both && i % 3 == 1 ? variant ^ 4 : variant, (uint64_t)i + 1));
        cr_assert(cg_backend_reference.run(NULL, &t[i].wide) == CG_OK, "%s", cg_error_message());
    }
    twin_run_steps(t, STEPS, devices);
    for (int i = 0; i < STEPS; i++) {
        twin_compare(&t[i], test_device_string(), variant);
        twin_end(&t[i]);
    }
}

/* Each number of states, without long parameters where they take too long. */
static void check_steps_of(const cg_op_kind *kind, twin_device devices[STEPS]) {
    twin t;
    bool both = test_device_budget().edges;
    for (int variant = 0; twin_build(&t, kind->number, variant, 1); variant += 8) {
        twin_end(&t);
        check_steps(kind, devices, variant, both);
    }
}

Test(kernels, optimizer_steps_as_one_agree_with_the_reference_in_double) {
    cg_device *device = test_device_open();
    if (device->backend->run_steps == NULL) {
        cg_device_close(device);
        cr_skip_test("this backend runs them one by one");
    }
    twin_device devices[STEPS];
    for (int i = 0; i < STEPS; i++) {
        devices[i] = (twin_device){.backend = device->backend, .device = device->handle};
    }
#define CG_UPDATE(NAME, name, statements) check_steps_of(cg_kind(CG_OP_##NAME), devices);
#include <clgrad/updates.def>
#undef CG_UPDATE
    for (int i = 0; i < STEPS; i++) {
        twin_device_release(&devices[i]);
    }
    cg_device_close(device);
}
