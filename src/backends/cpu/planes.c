/* Kinds whose operands all begin with the same outer axis (planes of images): each thread does some planes, by the
 * reference's loops. */
#include "cpu.h"
#include "host_memory.h"

#define GRAIN 8192 /* elements */

static cg_operand part_of(const cg_operand *operand, int64_t begin, int64_t end) {
    cg_operand part = *operand;
    int64_t plane = cg_shape_numel(&operand->shape) / operand->shape.dim[0];
    part.offset += (size_t)(begin * plane);
    part.extent = (size_t)((end - begin) * plane);
    part.shape.dim[0] = end - begin;
    return part;
}

static void run_planes(void *context, int64_t begin, int64_t end) {
    cg_op part = *(const cg_op *)context;
    for (uint32_t i = 0; i < part.n_inputs; i++) {
        part.inputs[i] = part_of(&part.inputs[i], begin, end);
    }
    for (uint32_t i = 0; i < part.n_outputs; i++) {
        part.outputs[i] = part_of(&part.outputs[i], begin, end);
    }
    cg_status status = ref_run(&part);
    (void)status; /* these kinds cannot fail: they read no indices from outside */
}

cg_status cpu_planes(cpu_device *device, const cg_op *op) {
    int64_t planes = op->outputs[0].shape.dim[0];
    int64_t in = cg_shape_numel(&op->inputs[0].shape), out = cg_shape_numel(&op->outputs[0].shape);
    int64_t plane = (in > out ? in : out) / planes;
    cpu_parallel(device, planes, GRAIN / plane + 1, run_planes, (void *)op);
    return CG_OK;
}
