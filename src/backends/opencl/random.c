/* Random numbers: blocks of four elements an item. */
#include "ocl.h"

cg_status ocl_random(ocl_device *device, const cg_op *op) {
    const cg_random_attrs *attrs = op->attrs;
    uint64_t n = ocl_numel(&op->outputs[0]), each = ocl_each(device, 16);
    double b = attrs->distribution == CG_UNIFORM ? attrs->b - attrs->a : attrs->b;
    return ocl_launch(device,
                      &(ocl_call){.file = "random.cl",
                                  .kernel = "random",
                                  .items = {ocl_items(ocl_ceil(n, 4), each)},
                                  .group = ocl_group(device),
                                  .args = {OCL_OPERAND(op->inputs[0]), OCL_OPERAND(op->outputs[0]), ocl_count(n),
                                           ocl_count(each), ocl_count(attrs->seed), ocl_count(attrs->stream),
                                           ocl_flag((int)attrs->distribution), ocl_real(attrs->a), ocl_real(b)}});
}
