/* Convolution and its gradients: sizes, the choice of kernels, and the direct ones. */
#include "conv.h"

#define LARGEST_DIRECT 4 /* channels times filters of a group */

static cl_int volume(const cl_int *dim) {
    return dim[0] * dim[1] * dim[2];
}

static void set_axes(ocl_convolution *conv, const cg_conv_attrs *attrs) {
    ocl_conv_sizes *s = &conv->sizes;
    for (int i = 0; i < 3; i++) {
        s->in[i] = (cl_int)conv->x->shape.dim[2 + i];
        s->out[i] = (cl_int)conv->y->shape.dim[2 + i];
        s->kernel[i] = (cl_int)conv->weight->shape.dim[2 + i];
        s->stride[i] = (cl_int)attrs->stride[i];
        s->padding[i] = (cl_int)attrs->padding[i];
        s->dilation[i] = (cl_int)attrs->dilation[i];
    }
    s->in_plane = volume(s->in);
    s->out_plane = volume(s->out);
    s->taps = volume(s->kernel);
}

static void set_sizes(ocl_convolution *conv, const cg_op *op) {
    const cg_conv_attrs *attrs = op->attrs;
    conv->sizes = (ocl_conv_sizes){.x_at = conv->x->offset,
                                   .weight_at = conv->weight->offset,
                                   .y_at = conv->y->offset,
                                   .bias_at = conv->bias != NULL ? conv->bias->offset : 0,
                                   .images = (cl_int)conv->x->shape.dim[0],
                                   .groups = (cl_int)attrs->groups,
                                   .channels = (cl_int)conv->weight->shape.dim[1],
                                   .filters = (cl_int)(conv->weight->shape.dim[0] / attrs->groups),
                                   .add = op->accumulate & 1,
                                   .has_bias = conv->bias != NULL};
    set_axes(conv, attrs);
}

static cg_status direct_forward(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    const cg_operand *bias = conv->bias != NULL ? conv->bias : conv->y;
    uint64_t n = ocl_numel(conv->y), each = ocl_each(conv->device, (uint64_t)(s->channels * s->taps));
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_direct.cl",
                                                .kernel = "conv_direct",
                                                .items = {ocl_items(n, each)},
                                                .group = ocl_group(conv->device),
                                                .args = {ocl_memory(conv->x->buffer), ocl_memory(conv->weight->buffer),
                                                         ocl_memory(conv->y->buffer), ocl_memory(bias->buffer),
                                                         ocl_struct(s, sizeof *s), ocl_count(n), ocl_count(each)}});
}

static cg_status direct_input(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    uint64_t n = ocl_numel(conv->x), each = ocl_each(conv->device, (uint64_t)(s->filters * s->taps));
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_direct.cl",
                                                .kernel = "conv_direct_input",
                                                .items = {ocl_items(n, each)},
                                                .group = ocl_group(conv->device),
                                                .args = {ocl_memory(conv->y->buffer), ocl_memory(conv->weight->buffer),
                                                         ocl_memory(conv->x->buffer), ocl_struct(s, sizeof *s),
                                                         ocl_count(n), ocl_count(each)}});
}

static cg_status direct_weight(const ocl_convolution *conv) {
    const ocl_conv_sizes *s = &conv->sizes;
    uint64_t n = ocl_numel(conv->weight);
    ocl_lanes lanes = ocl_lanes_for(conv->device, n, (uint64_t)s->images * (uint64_t)s->out_plane);
    return ocl_launch(conv->device, &(ocl_call){.file = "conv_direct.cl",
                                                .kernel = "conv_direct_weight",
                                                .defines = lanes.defines,
                                                .items = {lanes.items},
                                                .group = lanes.group,
                                                .args = {ocl_memory(conv->x->buffer), ocl_memory(conv->y->buffer),
                                                         ocl_memory(conv->weight->buffer), ocl_struct(s, sizeof *s),
                                                         ocl_count(n), ocl_count(lanes.rows_each)}});
}

/* One tap without padding is a plain product, and with a stride most of a grid would be margin. */
static bool has_grid(const ocl_conv_sizes *s) {
    return s->taps > 1 && s->stride[0] == 1 && s->stride[1] == 1 && s->stride[2] == 1;
}

static cg_status run(ocl_convolution *conv, const cg_op *op) {
    static cg_status (*const direct[])(const ocl_convolution *) = {direct_forward, direct_input, direct_weight};
    set_sizes(conv, op);
    const ocl_conv_sizes *s = &conv->sizes;
    bool gpu = !conv->device->cpu_shape;
    if (s->channels * s->filters <= LARGEST_DIRECT || (gpu && !ocl_conv_has_tiles(s))) {
        return direct[conv->pass](conv);
    }
    if (gpu) {
        return ocl_conv_tiles(conv);
    }
    return has_grid(s) ? ocl_conv_grid(conv) : ocl_conv_columns(conv);
}

cg_status ocl_conv(ocl_device *device, const cg_op *op) {
    bool biased = op->n_inputs > 2 && op->inputs[2].buffer != NULL;
    ocl_convolution conv = {.device = device,
                            .pass = OCL_CONV_FORWARD,
                            .x = &op->inputs[0],
                            .weight = &op->inputs[1],
                            .y = &op->outputs[0],
                            .bias = biased ? &op->inputs[2] : NULL};
    return run(&conv, op);
}

cg_status ocl_conv_backward_input(ocl_device *device, const cg_op *op) {
    ocl_convolution conv = {
        .device = device, .pass = OCL_CONV_INPUT, .x = &op->outputs[0], .weight = &op->inputs[1], .y = &op->inputs[0]};
    return run(&conv, op);
}

cg_status ocl_conv_backward_weight(ocl_device *device, const cg_op *op) {
    ocl_convolution conv = {
        .device = device, .pass = OCL_CONV_WEIGHT, .x = &op->inputs[0], .weight = &op->outputs[0], .y = &op->inputs[1]};
    return run(&conv, op);
}
