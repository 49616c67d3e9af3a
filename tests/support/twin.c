/* One op twice: its operands, its run on a device, and how the two are compared. See twin.h. */
#include "twin.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAUNCH 400.0 /* what a case costs at least: a simulator walks through every item of a group */
#define SMALLEST_BUFFER ((size_t)1 << 18)
#define GUARD_VALUE 12345.0
#define GUARD_INTEGER 101 /* fits every integer, and is no index into anything here */

static uint64_t random_state = 1;

uint64_t twin_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static float random_value(void) {
    return (float)(twin_random() >> 40) * 0x1p-22f - 2.0f;
}

void twin_begin(twin *t, const cg_op_kind *kind, uint64_t seed) {
    memset(t, 0, sizeof *t);
    t->single.kind = t->wide.kind = kind;
    t->single.attrs = t->wide.attrs = &t->attrs;
    t->tolerance = 1e-5;
    random_state = seed;
}

/* ---- operands ---- */

static size_t elements(const cg_operand *operand) {
    return operand->offset + operand->extent + TWIN_GUARD;
}

static size_t bytes(const cg_operand *operand) {
    return elements(operand) * cg_dtype_size(operand->dtype);
}

static bool is_inside(const cg_operand *operand, size_t i) {
    return i >= operand->offset && i < operand->offset + operand->extent;
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    cr_assert(memory != NULL, "out of memory");
    return memory;
}

static void fill_real(cg_operand *single, cg_operand *wide, const cg_shape *shape, int64_t extent) {
    *single = *wide = (cg_operand){.offset = TWIN_OFFSET, .extent = (size_t)extent, .shape = *shape};
    single->dtype = CG_F32;
    wide->dtype = CG_F64;
    float *floats = single->buffer = allocate(bytes(single));
    double *doubles = wide->buffer = allocate(bytes(wide));
    for (size_t i = 0; i < elements(single); i++) {
        doubles[i] = floats[i] = is_inside(single, i) ? random_value() : (float)GUARD_VALUE;
    }
}

static void store_integer(const cg_operand *operand, size_t i, int64_t value) {
    switch (operand->dtype) {
    case CG_I64:
        ((int64_t *)operand->buffer)[i] = value;
        break;
    case CG_I32:
        ((int32_t *)operand->buffer)[i] = (int32_t)value;
        break;
    default:
        ((uint8_t *)operand->buffer)[i] = (uint8_t)value;
    }
}

static void fill_integer(cg_operand *single, cg_operand *wide, cg_dtype dtype, const cg_shape *shape, int64_t limit) {
    *single =
        (cg_operand){.offset = TWIN_OFFSET, .extent = (size_t)cg_shape_numel(shape), .shape = *shape, .dtype = dtype};
    single->buffer = allocate(bytes(single));
    for (size_t i = 0; i < elements(single); i++) {
        int64_t value = (int64_t)(twin_random() >> 33) % limit;
        store_integer(single, i, is_inside(single, i) ? value : GUARD_INTEGER);
    }
    *wide = *single;
    wide->buffer = allocate(bytes(wide));
    memcpy(wide->buffer, single->buffer, bytes(wide));
}

void twin_set(const cg_operand *single, const cg_operand *wide, int64_t i, float value) {
    ((float *)single->buffer)[TWIN_OFFSET + i] = value;
    ((double *)wide->buffer)[TWIN_OFFSET + i] = value;
}

float twin_at(const cg_operand *single, int64_t i) {
    return ((const float *)single->buffer)[TWIN_OFFSET + i];
}

void twin_input_extent(twin *t, cg_shape shape, int64_t extent) {
    fill_real(&t->single.inputs[t->single.n_inputs++], &t->wide.inputs[t->wide.n_inputs++], &shape, extent);
}

void twin_input(twin *t, cg_shape shape) {
    twin_input_extent(t, shape, cg_shape_numel(&shape));
}

void twin_integer_input(twin *t, cg_dtype dtype, cg_shape shape, int64_t limit) {
    fill_integer(&t->single.inputs[t->single.n_inputs++], &t->wide.inputs[t->wide.n_inputs++], dtype, &shape, limit);
}

void twin_absent_input(twin *t) {
    t->single.n_inputs++;
    t->wide.n_inputs++;
}

void twin_output_extent(twin *t, cg_shape shape, int64_t extent) {
    fill_real(&t->single.outputs[t->single.n_outputs++], &t->wide.outputs[t->wide.n_outputs++], &shape, extent);
}

void twin_output(twin *t, cg_shape shape) {
    twin_output_extent(t, shape, cg_shape_numel(&shape));
}

void twin_integer_output(twin *t, cg_dtype dtype, cg_shape shape, int64_t limit) {
    fill_integer(&t->single.outputs[t->single.n_outputs++], &t->wide.outputs[t->wide.n_outputs++], dtype, &shape,
                 limit);
}

static void free_all(cg_op *op) {
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        free(op->inputs[i].buffer);
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        free(op->outputs[i].buffer);
    }
}

void twin_end(twin *t) {
    free_all(&t->single);
    free_all(&t->wide);
}

double twin_work(const twin *t) {
    double sum = LAUNCH + t->work;
    for (uint32_t i = 0; i < t->single.n_inputs; i++) {
        sum += (double)t->single.inputs[i].extent;
    }
    for (uint32_t i = 0; i < t->single.n_outputs; i++) {
        sum += (double)t->single.outputs[i].extent;
    }
    return sum;
}

static bool has_nothing(const cg_operand *operand) {
    return operand->buffer != NULL && cg_shape_numel(&operand->shape) == 0;
}

bool twin_is_empty(const twin *t) {
    bool empty = false;
    for (uint32_t i = 0; i < t->single.n_inputs; i++) {
        empty |= has_nothing(&t->single.inputs[i]);
    }
    for (uint32_t i = 0; i < t->single.n_outputs; i++) {
        empty |= has_nothing(&t->single.outputs[i]);
    }
    return empty;
}

/* ---- the run ---- */

/* The buffer of a place, with room for `size` bytes. */
static void *buffer_at(twin_device *d, uint32_t place, size_t size) {
    if (size > d->bytes[place]) {
        if (d->buffers[place] != NULL) {
            d->backend->buffer_destroy(d->device, d->buffers[place]);
        }
        d->bytes[place] = size > SMALLEST_BUFFER ? size : SMALLEST_BUFFER;
        cr_assert(d->backend->buffer_create(d->device, d->bytes[place], &d->buffers[place]) == CG_OK, "%s",
                  cg_error_message());
    }
    return d->buffers[place];
}

/* A copy of the operand in the device's buffer; what is absent stays so. */
static cg_operand upload(const cg_operand *operand, twin_device *d, uint32_t place) {
    cg_operand there = *operand;
    if (operand->buffer != NULL) {
        there.buffer = buffer_at(d, place, bytes(operand));
        cr_assert(d->backend->write(d->device, there.buffer, 0, operand->buffer, bytes(operand)) == CG_OK, "%s",
                  cg_error_message());
    }
    return there;
}

static cg_op upload_all(const twin *t, twin_device *d) {
    const char *reason = "";
    cg_op op = t->single;
    for (uint32_t i = 0; i < op.n_inputs; i++) {
        op.inputs[i] = upload(&t->single.inputs[i], d, i);
    }
    for (uint32_t i = 0; i < op.n_outputs; i++) {
        op.outputs[i] = upload(&t->single.outputs[i], d, CG_MAX_INPUTS + i);
    }
    cr_assert(d->backend->supports(d->device, &op, &reason), "%s is not supported: %s", op.kind->name, reason);
    return op;
}

static void download_outputs(const twin *t, const cg_op *op, twin_device *d) {
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        const cg_operand *here = &t->single.outputs[i];
        cr_assert(d->backend->read(d->device, op->outputs[i].buffer, 0, here->buffer, bytes(here)) == CG_OK, "%s: %s",
                  op->kind->name, cg_error_message());
    }
}

void twin_run(const twin *t, twin_device *d) {
    cg_op op = upload_all(t, d);
    cr_assert(d->backend->run(d->device, &op) == CG_OK, "%s: %s", op.kind->name, cg_error_message());
    download_outputs(t, &op, d);
}

void twin_run_steps(const twin *t, size_t n, twin_device *d) {
    cg_op ops[CG_MAX_STEPS];
    for (size_t i = 0; i < n; i++) {
        ops[i] = upload_all(&t[i], &d[i]);
        ops[i].inputs[0] = ops[0].inputs[0];
    }
    cr_assert(d->backend->run_steps(d->device, ops, n) == CG_OK, "%s: %s", ops[0].kind->name, cg_error_message());
    for (size_t i = 0; i < n; i++) {
        download_outputs(&t[i], &ops[i], &d[i]);
    }
}

void twin_device_release(twin_device *d) {
    for (uint32_t place = 0; place < CG_MAX_INPUTS + CG_MAX_OUTPUTS; place++) {
        if (d->buffers[place] != NULL) {
            d->backend->buffer_destroy(d->device, d->buffers[place]);
        }
    }
}

/* ---- the comparison ---- */

/* The largest size of a finite element. */
static double largest(const cg_operand *wide) {
    const double *values = wide->buffer;
    double result = 0.0;
    for (size_t i = wide->offset; i < wide->offset + wide->extent; i++) {
        result = isfinite(values[i]) && fabs(values[i]) > result ? fabs(values[i]) : result;
    }
    return result;
}

static bool is_near(double actual, double expected, double bound) {
    return (isnan(expected) && isnan(actual)) || actual == expected || fabs(actual - expected) <= bound;
}

/* Empty when the float output is near the double one everywhere, guards included; else what differs. */
static void difference(const cg_operand *single, const cg_operand *wide, double tolerance, char *text, size_t size) {
    text[0] = '\0';
    if (single->dtype != CG_F32) {
        if (memcmp(single->buffer, wide->buffer, bytes(single)) != 0) {
            snprintf(text, size, "other integers");
        }
        return;
    }
    const float *actual = single->buffer;
    const double *expected = wide->buffer;
    double scale = largest(wide);
    for (size_t i = 0; i < elements(single); i++) {
        double bound =
            is_inside(single, i) && isfinite(expected[i]) ? tolerance * (fabs(expected[i]) + 0.1 * scale) : 0.0;
        if (!is_near((double)actual[i], expected[i], bound)) {
            snprintf(text, size, "element %ld: %.9g, expected %.9g", (long)i - (long)single->offset, (double)actual[i],
                     expected[i]);
            return;
        }
    }
}

void twin_compare(const twin *t, const char *device, int variant) {
    char text[128];
    for (uint32_t i = 0; i < t->single.n_outputs; i++) {
        difference(&t->single.outputs[i], &t->wide.outputs[i], t->tolerance, text, sizeof text);
        cr_expect(text[0] == '\0', "%s on %s, variant %d, accumulate %u, output %u: %s", t->single.kind->name, device,
                  variant, t->single.accumulate, i, text);
    }
}
