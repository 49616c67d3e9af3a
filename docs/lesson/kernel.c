/*
 * Chapter 14: a ReLU of our own, with a kernel for OpenCL, made an op of the library and proved.
 *
 *     lesson_kernel --device opencl:gpu
 */
#include "lesson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t ramp_number, ramp_backward_number; /* a ramp is a ReLU of another name */

/* What the op means, as plain loops: once in float, for devices without a kernel, once in double, to compare with. */
#define RAMP(name, real)                                                                                               \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        real *y = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                               \
        for (size_t i = 0; i < op->outputs[0].extent; i++) {                                                           \
            y[i] = x[i] <= 0 ? 0 : x[i];                                                                               \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
RAMP(ramp_f32, float)
RAMP(ramp_f64, double)

/* Its gradient is an op like any other: in go x and the gradient of y, out comes the gradient of x. */
#define RAMP_BACKWARD(name, real)                                                                                      \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        const real *dy = (const real *)op->inputs[1].buffer + op->inputs[1].offset;                                    \
        real *dx = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                              \
        for (size_t i = 0; i < op->outputs[0].extent; i++) {                                                           \
            dx[i] = x[i] <= 0 ? 0 : dy[i];                                                                             \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
RAMP_BACKWARD(ramp_backward_f32, float)
RAMP_BACKWARD(ramp_backward_f64, double)

/* The kernels: what one of many work-items does. There may be more items than elements. */
static const char ramp_source[] =
    "kernel void ramp(global const float *x, ulong x_at, global float *y, ulong y_at, ulong n, int accumulate) {\n"
    "    ulong i = get_global_id(0);\n"
    "    if (i < n) {\n"
    "        float value = x[x_at + i];\n"
    "        y[y_at + i] = value <= 0.0f ? 0.0f : value;\n"
    "    }\n"
    "}\n";

static const char ramp_backward_source[] =
    "kernel void ramp_backward(global const float *x, ulong x_at, global const float *dy, ulong dy_at,\n"
    "                          global float *dx, ulong dx_at, ulong n, int accumulate) {\n"
    "    ulong i = get_global_id(0);\n"
    "    if (i < n) {\n"
    "        dx[dx_at + i] = x[x_at + i] <= 0.0f ? 0.0f : dy[dy_at + i];\n"
    "    }\n"
    "}\n";

/* As above, and wrong: what is negative lets the gradient through. For --wrong 1. */
static const char wrong_source[] =
    "kernel void ramp_backward(global const float *x, ulong x_at, global const float *dy, ulong dy_at,\n"
    "                          global float *dx, ulong dx_at, ulong n, int accumulate) {\n"
    "    ulong i = get_global_id(0);\n"
    "    if (i < n) {\n"
    "        dx[dx_at + i] = dy[dy_at + i];\n"
    "    }\n"
    "}\n";

/* The rule of going back: record the gradient's op. */
static void ramp_rule(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *inputs[] = {cg_op_input(op, 0), cg_op_grad_output(tape, op, 0)};
    cg_op_grad_emit(tape, op, 0, ramp_backward_number, NULL, inputs, 2);
}

static cg_status register_ops(bool wrong) {
    const cg_op_definition backward = {.size = sizeof backward,
                                       .name = "ramp_backward",
                                       .min_inputs = 2,
                                       .max_inputs = 2,
                                       .outputs = 1,
                                       .reference_f32 = ramp_backward_f32,
                                       .reference_f64 = ramp_backward_f64,
                                       .opencl_source = wrong ? wrong_source : ramp_backward_source};
    const cg_op_definition forward = {.size = sizeof forward,
                                      .name = "ramp",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .outputs = 1,
                                      .reference_f32 = ramp_f32,
                                      .reference_f64 = ramp_f64,
                                      .backward = ramp_rule,
                                      .opencl_source = ramp_source};
    CG_TRY(cg_op_register(&backward, &ramp_backward_number));
    return cg_op_register(&forward, &ramp_number);
}

static cg_tensor *ramp(cg_tape *tape, cg_tensor *x) {
    return cg_op_record(tape, ramp_number, NULL, &x, 1, cg_tensor_shape(x), NULL);
}

/* What is proved: the op between others. */
static cg_tensor *build(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_mul(tape, ramp(tape, inputs[0]), inputs[1]);
}

/* Our op beside the library's on the same numbers: output and gradient must have the same bits. */
static cg_status beside_relu(lesson *l) {
    cg_tensor *x = NULL, *gradients[2] = {NULL}, *outputs[2] = {NULL};
    double forward = 0, backward = 0;
    CG_TRY(lesson_normal(l, CG_SHAPE(1000, LESSON_HIDDEN), 1, 3, &x));
    cg_tensor_set_requires_grad(x, true);
    cg_tape_set_mode(l->tape, CG_TRAIN);
    for (int i = 0; i < 2; i++) {
        cg_tensor *y = i == 0 ? ramp(l->tape, x) : cg_relu(l->tape, x);
        CG_TRY(cg_backward(l->tape, cg_mean(l->tape, cg_square(l->tape, y), CG_ALL_AXES, false)));
        CG_TRY(lesson_keep(l, y, &outputs[i]));
        CG_TRY(lesson_keep(l, cg_tensor_grad(x), &gradients[i]));
        CG_TRY(cg_tape_run(l->tape));
        cg_tensor_zero_grad(x);
    }
    CG_TRY(lesson_difference(outputs[0], outputs[1], &forward));
    CG_TRY(lesson_difference(gradients[0], gradients[1], &backward));
    CG_TRY(lesson_within("ramp and relu", forward, 0));
    CG_TRY(lesson_within("the gradients of ramp and relu", backward, 0));
    puts("beside the library's relu: the same bits, forward and backward");
    return CG_OK;
}

static cg_status run(lesson *l) {
    const cg_shape shapes[] = {CG_SHAPE(5, 13), CG_SHAPE(5, 13)};
    CG_TRY(register_ops(strcmp(lesson_text(l, "wrong"), "1") == 0));
    CG_TRY(cg_gradcheck("ramp", l->device, build, NULL, shapes, 2));
    puts("proved: gradient against differences in double, device against double, device against its own differences");
    CG_TRY(beside_relu(l));
    printf("ops that fell back to the CPU: %zu\n", cg_device_fallbacks(l->device, NULL, 0));
    return CG_OK;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"wrong", "0", "1: a kernel with a mistake, for the proof to find"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
