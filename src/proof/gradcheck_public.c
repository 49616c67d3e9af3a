/* The gradient checker as programs call it: the three proofs on one device. */
#include <clgrad/custom.h>

#include "proof.h"

static cg_status prove(const gradcheck_case *test, cg_device *device, cg_device *oracle) {
    CG_TRY(gradcheck_reference(test, oracle));
    CG_TRY(gradcheck_against(test, device, oracle, NULL));
    return gradcheck_difference(test, device, oracle, GRADCHECK_DIRECTIONS);
}

cg_status cg_gradcheck(const char *name, cg_device *device, cg_gradcheck_fn build, const void *context,
                       const cg_shape *shapes, uint32_t n_inputs) {
    if (n_inputs > GRADCHECK_MAX_INPUTS) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_gradcheck: %u inputs; at most %d are possible", n_inputs,
                       GRADCHECK_MAX_INPUTS);
    }
    gradcheck_case test = {
        .name = name, .build = build, .context = context, .tolerance = GRADCHECK_REDUCTION, .n_inputs = n_inputs};
    for (uint32_t i = 0; i < n_inputs; i++) {
        test.inputs[i] = (gradcheck_input){.shape = shapes[i]};
    }
    cg_device *oracle;
    CG_TRY(cg_device_open("reference,dtype=f64", &oracle));
    cg_status status = prove(&test, device, oracle);
    cg_device_close(oracle);
    return status;
}
