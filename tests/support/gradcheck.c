/* The proofs as tests: see gradcheck.h. */
#include "gradcheck.h"

#include "conformance.h"
#include "devices.h"
#include "probe.h"

#include <criterion/criterion.h>
#include <string.h>

static cg_status prove(const gradcheck_case *test, cg_device *device, cg_device *oracle, double *worst) {
    if (test_device_is_reference()) {
        CG_TRY(gradcheck_reference(test, oracle));
    }
    CG_TRY(gradcheck_against(test, device, oracle, worst));
    if (test_device_budget().edges) {
        CG_TRY(gradcheck_edges(test, device, oracle));
    }
    if ((test->flags & GRADCHECK_NO_DIFFERENCE) != 0) {
        return CG_OK;
    }
    return gradcheck_difference(test, device, oracle, test_device_budget().directions);
}

/* Adds what the case costs to *spent when the budget admits it; true when it ran. */
static bool run_case(const char *kind, const gradcheck_case *test, cg_device *device, cg_device *oracle,
                     double *spent) {
    double multiply_adds = 0, worst = 0;
    test_budget budget = test_device_budget();
    cg_status status = gradcheck_cost(test, oracle, budget.directions, &multiply_adds);
    cr_assert(status == CG_OK, "%s", cg_error_message());
    if (multiply_adds > budget.multiply_adds || (*spent > 0 && *spent + multiply_adds > budget.total)) {
        return false;
    }
    *spent += multiply_adds;
    conformance_start(kind, test->name);
    status = prove(test, device, oracle, &worst);
    conformance_add(kind, test->name, device, status, worst);
    cr_assert(status == CG_OK, "%s", cg_error_message());
    return true;
}

/* As many cases as the budget has, from all over the list; other ones in each profile. */
static void run_cases(const char *kind, const gradcheck_case *cases, size_t count) {
    cg_device *device = test_device_open();
    cg_device *oracle = test_oracle_open();
    size_t most = test_device_budget().cases < count ? test_device_budget().cases : count;
    size_t apart = (count + most - 1) / most, ran = 0;
    size_t first = strstr(test_device_string(), "profile=gpu") != NULL ? apart / 2 : 0;
    double spent = 0;
    for (size_t turn = 0; turn < apart && ran < most; turn++) {
        for (size_t i = (first + turn) % apart; i < count && ran < most; i += apart) {
            ran += run_case(kind, &cases[i], device, oracle, &spent);
        }
    }
    cg_device_close(oracle);
    cg_device_close(device);
    cr_assert(ran > 0, "the budget of %s admits none of the %zu cases of %s: a smaller one is missing",
              test_device_string(), count, cases[0].name);
}

void gradcheck_all(const gradcheck_case *cases, size_t count) {
    run_cases("op", cases, count);
}

void gradcheck_layer(const char *kind, const gradcheck_case *test) {
    run_cases(kind, test, 1);
}

cg_status gradcheck_run(const gradcheck_case *test, cg_device *device) {
    test_probe probe;
    cg_status status = probe_open(&probe, test, device);
    status = status == CG_OK ? probe_backward(&probe) : status;
    probe_close(&probe);
    return status;
}
