/*
 * Matrix products by CLBlast and by our own kernels, on the device under test, against a plain loop: every transpose,
 * one matrix and several, a bias, results that are added to, rows with gaps. Whole numbers: every sum is exact, so an
 * index that is off by one has no place to hide. Sizes are small, since a simulator runs this, too.
 */
#include "devices.h"
#include "dispatch.h"
#include "record.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096 /* elements of an operand */
#define OFFSET 3  /* elements in front of one */

typedef struct sizes {
    int64_t batch, m, n, k;
} sizes;

static const sizes products[] = {{1, 5, 3, 2}, {1, 1, 1, 9}, {1, 33, 17, 20}, {3, 4, 6, 8}, {2, 7, 1, 5}};

enum { TRANSPOSE_A = 1, TRANSPOSE_B = 2, BIAS = 4, ADD = 8, GAPS = 16, FORMS = 32 };

static cg_matmul_attrs attributes(const sizes *s, int form) {
    bool ta = form & TRANSPOSE_A, tb = form & TRANSPOSE_B;
    int64_t gap = form & GAPS ? 2 : 0;
    cg_matmul_attrs a;
    memset(&a, 0, sizeof a); /* with what lies between its fields */
    a.size = sizeof a;
    a.transpose_a = ta;
    a.transpose_b = tb;
    a.batch = s->batch;
    a.m = s->m;
    a.n = s->n;
    a.k = s->k;
    a.lda = (ta ? s->m : s->k) + gap;
    a.ldb = (tb ? s->k : s->n) + gap;
    a.ldc = s->n + gap;
    a.stride_a = (ta ? s->k : s->m) * a.lda;
    a.stride_b = (tb ? s->n : s->k) * a.ldb;
    a.stride_c = s->m * a.ldc;
    return a;
}

/* a, b, bias, c: on the host, and on the device. */
typedef struct operands {
    float host[4][MOST];
    cg_buffer *buffer[4];
} operands;

static void fill(cg_device *device, operands *o) {
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < MOST; j++) {
            o->host[i][j] = (float)((j * 7 + i * 5 + j / 3) % 9) - 4.0f;
        }
        cr_assert(cg_pool_acquire(device, sizeof o->host[i], &o->buffer[i]) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_dispatch_write(device, o->buffer[i], 0, o->host[i], sizeof o->host[i]) == CG_OK, "%s",
                  cg_error_message());
    }
}

static float element(const operands *o, int operand, int64_t at) {
    return o->host[operand][OFFSET + at];
}

static void expect_product(operands *o, const cg_matmul_attrs *a, int form) {
    float *c = o->host[3] + OFFSET;
    for (int64_t i = 0; i < a->batch * a->m * a->n; i++) {
        int64_t matrix = i / (a->m * a->n), row = i / a->n % a->m, column = i % a->n;
        int64_t at = matrix * a->stride_c + row * a->ldc + column;
        float sum = (form & ADD ? c[at] : 0.0f) + (form & BIAS ? element(o, 2, column) : 0.0f);
        for (int64_t k = 0; k < a->k; k++) {
            int64_t of_a = a->transpose_a ? k * a->lda + row : row * a->lda + k;
            int64_t of_b = a->transpose_b ? column * a->ldb + k : k * a->ldb + column;
            sum += element(o, 0, matrix * a->stride_a + of_a) * element(o, 1, matrix * a->stride_b + of_b);
        }
        c[at] = sum;
    }
}

static cg_operand operand(const operands *o, int which, int64_t extent, cg_shape shape) {
    return (cg_operand){.buffer = o->buffer[which]->handle,
                        .offset = OFFSET,
                        .extent = (size_t)extent,
                        .dtype = CG_F32,
                        .shape = shape};
}

static cg_op op_of(const operands *o, const cg_matmul_attrs *a, int form) {
    cg_op op = {.kind = cg_kind(CG_OP_MATMUL), .attrs = a, .n_inputs = form & BIAS ? 3 : 2, .n_outputs = 1};
    op.inputs[0] = operand(o, 0, a->batch * a->stride_a, CG_SHAPE(a->batch, a->m, a->k));
    op.inputs[1] = operand(o, 1, a->batch * a->stride_b, CG_SHAPE(a->batch, a->k, a->n));
    if (form & BIAS) {
        op.inputs[2] = operand(o, 2, a->n, CG_SHAPE(a->n));
    }
    op.outputs[0] = operand(o, 3, a->batch * a->stride_c, CG_SHAPE(a->batch, a->m, a->n));
    op.accumulate = form & ADD ? 1 : 0;
    return op;
}

/* What lies in the gaps and around the result must stay as it is. */
static void check(cg_device *device, const sizes *s, int form) {
    static operands o;
    static float actual[MOST];
    cg_matmul_attrs attrs = attributes(s, form);
    fill(device, &o);
    cg_op op = op_of(&o, &attrs, form);
    cr_assert(cg_dispatch_run(device, &op) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_dispatch_read(device, o.buffer[3], 0, actual, sizeof actual) == CG_OK, "%s", cg_error_message());
    expect_product(&o, &attrs, form);
    int wrong = 0, first = 0;
    for (int i = MOST - 1; i >= 0; i--) {
        wrong += actual[i] != o.host[3][i];
        first = actual[i] != o.host[3][i] ? i : first;
    }
    cr_expect(wrong == 0, "%lld x [%lld, %lld] x [%lld], form %d: %d wrong, the first at %d: %g, expected %g",
              (long long)s->batch, (long long)s->m, (long long)s->k, (long long)s->n, form, wrong, first - OFFSET,
              (double)actual[first], (double)o.host[3][first]);
    for (int i = 0; i < 4; i++) {
        cg_pool_release(device, o.buffer[i]);
    }
}

static void check_all(const char *gemm) {
    setenv("CLGRAD_GEMM", gemm, 1);
    cg_device *device = test_device_open();
    bool simulator = test_device_budget().multiply_adds < 1e6; /* one size: a form takes a second there */
    for (size_t i = 0; i < (simulator ? 1 : sizeof products / sizeof products[0]); i++) {
        for (int form = 0; form < FORMS; form++) {
            check(device, &products[i], form);
        }
    }
    cg_device_close(device);
}

Test(clblast, our_own_kernels_agree_in_every_form) {
    check_all("own");
}

/* Skipped by name where there is no CLBlast to compare with. */
static bool has_clblast(void) {
    const char *name = test_device_string();
    if (strncmp(name, "opencl", 6) != 0) {
        printf("clblast: skipped, %s is not an OpenCL device\n", name);
        return false;
    }
    setenv("CLGRAD_GEMM", "clblast", 1);
    cg_device *device = NULL;
    if (cg_device_open(name, &device) == CG_OK) {
        cg_device_close(device);
        return true;
    }
    bool absent = strstr(cg_error_message(), "this build has no CLBlast") != NULL;
    cr_assert(absent, "%s", cg_error_message());
    printf("clblast: skipped on %s, this build has no CLBlast\n", name);
    return false;
}

Test(clblast, products_of_clblast_agree_in_every_form) {
    if (!test_device_is_reference() && has_clblast()) {
        check_all("clblast");
    }
}
