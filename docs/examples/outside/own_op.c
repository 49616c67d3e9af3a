/*
 * An op of a program's own, from outside: snake, y = x + sin(a x)^2 / a (Ziyin, Hartwig, Ueda 2020), which networks use
 * to learn what is periodic. own_op [DEVICE] registers it and its gradient and checks them on the device.
 */
#include <clgrad/clgrad.h>

#include <math.h>
#include <stdio.h>

/* Attributes begin with their size, and hold what never changes from one step to the next. */
typedef struct snake_attrs {
    uint32_t size;
    float a;
} snake_attrs;

static uint32_t snake_number, snake_backward_number;

/* The loops that define the op, once for float and once for double. In: x. Out: y. */
#define SNAKE(name, real, SIN)                                                                                         \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        real *y = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                               \
        const real a = (real)((const snake_attrs *)op->attrs)->a;                                                      \
        for (size_t i = 0; i < op->outputs[0].extent; i++) {                                                           \
            real s = SIN(a * x[i]);                                                                                    \
            y[i] = x[i] + s * s / a;                                                                                   \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
SNAKE(snake_f32, float, sinf)
SNAKE(snake_f64, double, sin)

/* In: x and the gradient of y. Out: the gradient of x, dy (1 + sin(2 a x)), added where op->accumulate says so. */
#define SNAKE_BACKWARD(name, real, SIN)                                                                                \
    static cg_status name(const cg_op *op) {                                                                           \
        const real *x = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        const real *dy = (const real *)op->inputs[1].buffer + op->inputs[1].offset;                                    \
        real *dx = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                              \
        const real a = (real)((const snake_attrs *)op->attrs)->a;                                                      \
        for (size_t i = 0; i < op->outputs[0].extent; i++) {                                                           \
            real value = dy[i] * (1 + SIN(2 * a * x[i]));                                                              \
            dx[i] = op->accumulate & 1u ? dx[i] + value : value;                                                       \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
SNAKE_BACKWARD(snake_backward_f32, float, sinf)
SNAKE_BACKWARD(snake_backward_f64, double, sin)

static const char snake_source[] = "typedef struct { uint size; float a; } attrs;\n"
                                   "kernel void snake(global const float *x, ulong x_at, global float *y, ulong y_at,\n"
                                   "                  ulong n, int accumulate, attrs p) {\n"
                                   "    ulong i = get_global_id(0);\n"
                                   "    if (i < n) {\n"
                                   "        float s = sin(p.a * x[x_at + i]);\n"
                                   "        y[y_at + i] = x[x_at + i] + s * s / p.a;\n"
                                   "    }\n"
                                   "}\n";

static const char snake_backward_source[] =
    "typedef struct { uint size; float a; } attrs;\n"
    "kernel void snake_backward(global const float *x, ulong x_at, global const float *dy, ulong dy_at,\n"
    "                           global float *dx, ulong dx_at, ulong n, int accumulate, attrs p) {\n"
    "    ulong i = get_global_id(0);\n"
    "    if (i < n) {\n"
    "        float value = dy[dy_at + i] * (1.0f + sin(2.0f * p.a * x[x_at + i]));\n"
    "        dx[dx_at + i] = accumulate ? dx[dx_at + i] + value : value;\n"
    "    }\n"
    "}\n";

/* The rule: one op, the gradient's kind, contributes to the gradient of input 0. */
static void snake_rule(cg_tape *tape, const cg_recorded_op *op) {
    cg_tensor *inputs[] = {cg_op_input(op, 0), cg_op_grad_output(tape, op, 0)};
    cg_op_grad_emit(tape, op, 0, snake_backward_number, cg_op_attrs(op), inputs, 2);
}

static cg_status register_ops(void) {
    const cg_op_definition backward = {.size = sizeof backward,
                                       .name = "snake_backward",
                                       .min_inputs = 2,
                                       .max_inputs = 2,
                                       .outputs = 1,
                                       .attrs_size = sizeof(snake_attrs),
                                       .flags = CG_KIND_ACCUMULATES,
                                       .reference_f32 = snake_backward_f32,
                                       .reference_f64 = snake_backward_f64,
                                       .opencl_source = snake_backward_source};
    const cg_op_definition forward = {.size = sizeof forward,
                                      .name = "snake",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .outputs = 1,
                                      .attrs_size = sizeof(snake_attrs),
                                      .reference_f32 = snake_f32,
                                      .reference_f64 = snake_f64,
                                      .backward = snake_rule,
                                      .opencl_source = snake_source};
    CG_TRY(cg_op_register(&backward, &snake_backward_number));
    return cg_op_register(&forward, &snake_number);
}

/* The front end: checks its arguments, says the output's shape, records. */
static cg_tensor *snake(cg_tape *tape, cg_tensor *x, float a) {
    if (a == 0.0f) {
        return cg_op_fail(tape, CG_ERR_ARGUMENT, "snake: a is 0; y = x + sin(a x)^2 / a needs another");
    }
    const snake_attrs attrs = {.a = a};
    return cg_op_record(tape, snake_number, &attrs, &x, 1, cg_tensor_shape(x), NULL);
}

/* What is checked: the op twice on one input, so that gradients meet there and are added. */
static cg_tensor *build(cg_tape *tape, cg_tensor **inputs, const void *context) {
    (void)context;
    return cg_mul(tape, snake(tape, inputs[0], 1.5f), snake(tape, cg_mul(tape, inputs[0], inputs[1]), 0.7f));
}

/* Ops, what fell back, or "ran on the device". */
static void report(const cg_device *device) {
    cg_fallback_info rows[8];
    size_t count = cg_device_fallbacks(device, rows, 8);
    for (size_t i = 0; i < count && i < 8; i++) {
        printf("%s fell back %llu times: %s\n", rows[i].op, (unsigned long long)rows[i].count, rows[i].reason);
    }
    printf("%s: the gradient of snake is right%s\n", cg_device_describe(device)->string,
           count == 0 ? ", and all of it ran on the device" : "");
}

static cg_status check(cg_device *device) {
    CG_TRY(register_ops());
    const cg_shape shapes[] = {CG_SHAPE(5, 13), CG_SHAPE(5, 13)};
    return cg_gradcheck("snake", device, build, NULL, shapes, 2);
}

int main(int argc, char **argv) {
    cg_device *device;
    cg_status status = cg_device_open(argc > 1 ? argv[1] : NULL, &device);
    if (status == CG_OK) {
        status = check(device);
        if (status == CG_OK) {
            report(device);
        }
        cg_device_close(device);
    }
    if (status != CG_OK) {
        fprintf(stderr, "own_op: %s\n", cg_error_message());
    }
    return status == CG_OK ? 0 : 1;
}
