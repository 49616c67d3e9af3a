/* Random numbers by their counters: floats in both compilations, so that double draws the same ones. */
#include "real.h"

#include <clgrad/random.h>

cg_status REF(random)(const cg_op *op) {
    const cg_random_attrs *attrs = op->attrs;
    int64_t counter = ((const int64_t *)op->inputs[0].buffer)[op->inputs[0].offset];
    uint64_t stream = ((uint64_t)counter << 32) + attrs->stream;
    real *y = elements(&op->outputs[0]);
    for (int64_t i = 0, n = cg_shape_numel(&op->outputs[0].shape); i < n; i++) {
        uint64_t index = (uint64_t)i;
        if (attrs->distribution == CG_NORMAL) {
            y[i] = (real)(attrs->a + attrs->b * (double)cg_random_normal(attrs->seed, stream, index));
        } else if (attrs->distribution == CG_BERNOULLI) {
            y[i] = cg_random_uniform(attrs->seed, stream, index) < (float)attrs->a ? R(attrs->b) : R(0.0);
        } else {
            float u = cg_random_uniform(attrs->seed, stream, index);
            y[i] = (real)((float)attrs->a + (float)(attrs->b - attrs->a) * u);
        }
    }
    return CG_OK;
}
