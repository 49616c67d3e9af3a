/*
 * check: runs every op twice, on the device and by the reference in double on the same bytes, and stops at the first
 * that the device gets wrong: the answer to 'training gives NaN on my driver'.
 */
#include "decorators.h"

#include <math.h>
#include <string.h>

#include "alloc.h"
#include "op_text.h"
#include "tolerance.h"

typedef struct checker {
    cg_inner inner;
    uint64_t checked, passed_over;
    cg_checked *kinds;
    size_t n_kinds, capacity;
} checker;

/* The op in double over host memory, and what it gives. */
typedef struct twin {
    cg_op op;
    double *before[CG_MAX_OUTPUTS]; /* what is added to; NULL: nothing is */
    void *memory[CG_MAX_INPUTS + 2 * CG_MAX_OUTPUTS];
    size_t count;
} twin;

static void twin_free(twin *t) {
    for (size_t i = 0; i < t->count; i++) {
        cg_free(t->memory[i]);
    }
    t->count = 0;
}

static void *twin_alloc(twin *t, size_t count, size_t size) {
    void *memory = cg_alloc_zero(count, size);
    if (memory != NULL) {
        t->memory[t->count++] = memory;
    }
    return memory;
}

static cg_status wrap(const cg_inner *inner, const cg_option *options, size_t n_options, void **handle) {
    if (n_options > 0) {
        return cg_fail(CG_ERR_ARGUMENT, "check has no option '%s'; it has none", options[0].key);
    }
    checker *c = cg_alloc_zero(1, sizeof *c);
    if (c == NULL) {
        return CG_ERR_MEMORY;
    }
    c->inner = *inner;
    *handle = c;
    return CG_OK;
}

/* A second read over other bytes: a byte that is not written differs. */
static cg_status expect_whole_read(checker *c, const cg_operand *operand, size_t offset, const char *first,
                                   size_t bytes) {
    char *second = cg_alloc(bytes);
    if (second == NULL) {
        return CG_ERR_MEMORY;
    }
    memset(second, 0xAA, bytes);
    cg_status status = cg_inner_read(c, operand->buffer, offset, second, bytes);
    size_t at = 0;
    while (status == CG_OK && at < bytes && first[at] == second[at]) {
        at++;
    }
    cg_free(second);
    return status != CG_OK || at == bytes
               ? status
               : cg_fail(CG_ERR_WRONG, "check: a read of %zu bytes on %s left byte %zu as it was", bytes,
                         c->inner.info->string, at);
}

/* Reads what an operand may touch into `memory`. */
static cg_status read_operand(checker *c, const cg_operand *operand, void *memory) {
    size_t size = cg_dtype_size(operand->dtype), offset = operand->offset * size, bytes = operand->extent * size;
    memset(memory, 0x55, bytes);
    CG_TRY(cg_inner_read(c, operand->buffer, offset, memory, bytes));
    return expect_whole_read(c, operand, offset, memory, bytes);
}

/* In place, from the end: floats become doubles. */
static void widen(double *memory, size_t count) {
    for (size_t i = count; i-- > 0;) {
        float narrow;
        memcpy(&narrow, (const char *)memory + i * sizeof narrow, sizeof narrow);
        memory[i] = narrow;
    }
}

/* Gives the twin its own copy of an operand, read from the device unless it is about to be overwritten. */
static cg_status copy_operand(checker *c, twin *t, cg_operand *operand, bool read) {
    if (operand->buffer == NULL) {
        return CG_OK;
    }
    void *memory = twin_alloc(t, operand->extent, sizeof(double));
    if (memory == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(read ? read_operand(c, operand, memory) : CG_OK);
    if (operand->dtype == CG_F32) {
        widen(memory, operand->extent);
        operand->dtype = CG_F64;
    }
    operand->buffer = memory;
    operand->offset = 0;
    return CG_OK;
}

/* Where an op adds, rounding is in proportion to what was there, however little is left. */
static cg_status keep_before(twin *t, uint32_t i) {
    const cg_operand *output = &t->op.outputs[i];
    if (output->dtype != CG_F64) {
        return CG_OK;
    }
    t->before[i] = twin_alloc(t, output->extent, sizeof(double));
    if (t->before[i] == NULL) {
        return CG_ERR_MEMORY;
    }
    memcpy(t->before[i], output->buffer, output->extent * sizeof(double));
    return CG_OK;
}

static cg_status make_twin(checker *c, const cg_op *op, twin *t) {
    t->op = *op;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        CG_TRY(copy_operand(c, t, &t->op.inputs[i], true));
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        CG_TRY(copy_operand(c, t, &t->op.outputs[i], cg_op_reads_output(op, i)));
        CG_TRY(op->accumulate >> i & 1u ? keep_before(t, i) : CG_OK);
    }
    return CG_OK;
}

/* A copy of a twin with the absolute values of all its numbers: what it gives bounds what rounding can do to a sum. */
static cg_status absolute_operand(twin *t, cg_operand *operand) {
    if (operand->buffer == NULL) {
        return CG_OK;
    }
    const void *from = operand->buffer;
    operand->buffer = twin_alloc(t, operand->extent, sizeof(double));
    if (operand->buffer == NULL) {
        return CG_ERR_MEMORY;
    }
    memcpy(operand->buffer, from, operand->extent * cg_dtype_size(operand->dtype));
    for (size_t i = 0; operand->dtype == CG_F64 && i < operand->extent; i++) {
        ((double *)operand->buffer)[i] = fabs(((double *)operand->buffer)[i]);
    }
    return CG_OK;
}

static cg_status make_absolute(const twin *t, twin *absolute) {
    absolute->op = t->op;
    for (uint32_t i = 0; i < t->op.n_inputs; i++) {
        CG_TRY(absolute_operand(absolute, &absolute->op.inputs[i]));
    }
    for (uint32_t i = 0; i < t->op.n_outputs; i++) {
        CG_TRY(absolute_operand(absolute, &absolute->op.outputs[i]));
    }
    return absolute->op.kind->reference_f64(&absolute->op);
}

static double largest(const double *values, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = isfinite(values[i]) && fabs(values[i]) > most ? fabs(values[i]) : most;
    }
    return most;
}

/* How much of what is allowed the difference uses up: above 1 is wrong. NaN matches NaN only, an infinity the same. */
static double share_of_allowed(double actual, double expected, double allowed) {
    float nearest = (float)expected; /* what is too large for a float is infinite */
    if (isnan(actual) || isnan(nearest) || isinf(actual) || isinf(nearest)) {
        return (isnan(actual) && isnan(nearest)) || actual == (double)nearest ? 0 : INFINITY;
    }
    return fabs(actual - expected) / allowed;
}

static cg_status complain(const checker *c, const cg_op *op, uint32_t output, size_t at, double actual, double expected,
                          double allowed) {
    cg_text facts = {0};
    cg_op_print(op, &facts);
    char index[CG_SHAPE_TEXT_SIZE];
    cg_shape place = {.rank = op->outputs[output].shape.rank};
    size_t rest = at;
    for (int i = place.rank; i-- > 0;) {
        size_t dim = (size_t)op->outputs[output].shape.dim[i];
        place.dim[i] = (int64_t)(i == 0 ? rest : rest % dim);
        rest /= dim;
    }
    cg_status status = cg_fail(CG_ERR_WRONG,
                               "check: %s is wrong on %s: element %s of output %u is %.9g, the reference says %.9g "
                               "(%.3g is allowed); %s",
                               op->kind->name, c->inner.info->string, cg_shape_print(&place, index, sizeof index),
                               output, actual, expected, allowed, cg_text_get(&facts));
    cg_text_free(&facts);
    return status;
}

static cg_status compare_floats(checker *c, const cg_op *op, uint32_t output, const float *actual,
                                const double *expected, const double *before, const double *terms, double *worst) {
    cg_tolerance tolerance = cg_op_tolerance(op->kind);
    size_t count = op->outputs[output].extent;
    double scale = terms == NULL ? fmax(largest(expected, count), before != NULL ? largest(before, count) : 0) : 0;
    for (size_t i = 0; i < count; i++) {
        scale = terms != NULL && isfinite(terms[i]) ? fabs(terms[i]) : scale;
        double size = fmax(fabs(expected[i]), before != NULL && isfinite(before[i]) ? fabs(before[i]) : 0);
        double allowed = tolerance.rtol * size + tolerance.atol * scale + tolerance.floor;
        double share = share_of_allowed(actual[i], expected[i], allowed);
        if (share > 1) {
            return complain(c, op, output, i, actual[i], expected[i], allowed);
        }
        *worst = share > *worst ? share : *worst;
    }
    return CG_OK;
}

static double number_at(const void *values, cg_dtype dtype, size_t i) {
    return dtype == CG_F64   ? ((const double *)values)[i]
           : dtype == CG_I64 ? (double)((const int64_t *)values)[i]
           : dtype == CG_I32 ? (double)((const int32_t *)values)[i]
                             : (double)((const uint8_t *)values)[i];
}

/* Integers, and doubles of a device that computes in them. */
static cg_status compare_bits(const checker *c, const cg_op *op, uint32_t output, const void *actual,
                              const void *expected) {
    cg_dtype dtype = op->outputs[output].dtype;
    size_t size = cg_dtype_size(dtype);
    for (size_t i = 0; i < op->outputs[output].extent; i++) {
        if (memcmp((const char *)actual + i * size, (const char *)expected + i * size, size) != 0) {
            return complain(c, op, output, i, number_at(actual, dtype, i), number_at(expected, dtype, i), 0);
        }
    }
    return CG_OK;
}

static cg_status compare_output(checker *c, const cg_op *op, uint32_t i, const twin *t, const twin *absolute,
                                double *worst) {
    const cg_operand *output = &op->outputs[i];
    if (output->buffer == NULL) {
        return CG_OK;
    }
    void *actual = cg_alloc(output->extent * cg_dtype_size(output->dtype));
    if (actual == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = read_operand(c, output, actual);
    if (status == CG_OK && output->dtype == CG_F32) {
        const double *terms = absolute->count > 0 ? absolute->op.outputs[i].buffer : NULL;
        status = compare_floats(c, op, i, actual, t->op.outputs[i].buffer, t->before[i], terms, worst);
    } else if (status == CG_OK) {
        status = compare_bits(c, op, i, actual, t->op.outputs[i].buffer);
    }
    cg_free(actual);
    return status;
}

/* The row of a kind; NULL when memory is out: then it is not counted. */
static cg_checked *kind_row(checker *c, const char *op) {
    for (size_t i = 0; i < c->n_kinds; i++) {
        if (strcmp(c->kinds[i].op, op) == 0) {
            return &c->kinds[i];
        }
    }
    if (!CG_GROW(c->kinds, c->n_kinds, c->capacity)) {
        return NULL;
    }
    c->kinds[c->n_kinds] = (cg_checked){.op = op};
    return &c->kinds[c->n_kinds++];
}

static void count(checker *c, const char *op, cg_status status, double worst) {
    cg_checked *row = kind_row(c, op);
    c->checked++;
    if (row != NULL) {
        row->times++;
        row->wrong += status == CG_ERR_WRONG;
        row->worst = worst > row->worst ? worst : row->worst;
    }
}

/* The reference refuses what it is given, an index out of range: the device must, too. */
static cg_status expect_refusal(checker *c, const cg_op *op) {
    cg_status status = cg_inner_run(c, op);
    status = status == CG_OK ? cg_inner_wait(c) : status;
    return status == CG_OK ? cg_fail(CG_ERR_WRONG, "check: %s on %s takes an index that is out of range",
                                     op->kind->name, c->inner.info->string)
                           : status;
}

static cg_status check(checker *c, const cg_op *op, twin *t, twin *absolute, double *worst) {
    CG_TRY(make_twin(c, op, t));
    CG_TRY(cg_op_tolerance(op->kind).sums ? make_absolute(t, absolute) : CG_OK);
    if (op->kind->reference_f64(&t->op) == CG_ERR_INDEX) {
        return expect_refusal(c, op);
    }
    CG_TRY(cg_inner_run(c, op));
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        CG_TRY(compare_output(c, op, i, t, absolute, worst));
    }
    return CG_OK;
}

static cg_status run(void *device, const cg_op *op) {
    checker *c = device;
    if (op->kind->reference_f64 == NULL) {
        c->passed_over++;
        return cg_inner_run(c, op);
    }
    twin t = {0}, absolute = {0};
    double worst = 0;
    cg_status status = check(c, op, &t, &absolute, &worst);
    twin_free(&t);
    twin_free(&absolute);
    count(c, op->kind->name, status, worst);
    return status;
}

size_t cg_check_seen(const void *handle, cg_checked *kinds, size_t capacity) {
    const checker *c = handle;
    for (size_t i = 0; i < c->n_kinds && i < capacity; i++) {
        kinds[i] = c->kinds[i];
    }
    return c->n_kinds;
}

static void close(void *handle) {
    checker *c = handle;
    cg_free(c->kinds);
    cg_inner_close(c);
}

static void report(void *handle, cg_text *text) {
    const checker *c = handle;
    cg_text_append(text, "check: %llu ops compared with the reference in double", (unsigned long long)c->checked);
    const cg_checked *worst = NULL;
    for (size_t i = 0; i < c->n_kinds; i++) {
        worst = worst == NULL || c->kinds[i].worst > worst->worst ? &c->kinds[i] : worst;
    }
    if (worst != NULL) {
        cg_text_append(text, "; the furthest used %.1f %% of what is allowed: %s", 100 * worst->worst, worst->op);
    }
    if (c->passed_over > 0) {
        cg_text_append(text, "; %llu were not checked: their kind has no function in double",
                       (unsigned long long)c->passed_over);
    }
    cg_text_append(text, "\n");
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "check",
    .close = close,
    .buffer_create = cg_inner_buffer_create,
    .buffer_destroy = cg_inner_buffer_destroy,
    .write = cg_inner_write,
    .read = cg_inner_read,
    .supports = cg_inner_supports,
    .run = run,
    .flush = cg_inner_flush,
    .wait = cg_inner_wait,
};

const cg_decorator cg_decorator_check = {.name = "check", .table = &table, .wrap = wrap, .report = report};
