/*
 * A backend from outside for daily use: matrix products by any cblas, on host memory. All else falls back to the cpu.
 * Built with whichever cblas the machine has: the reference one, OpenBLAS, BLIS, MKL.
 */
#include <clgrad/backend.h>

#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const cg_host *clgrad;

static cg_status list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host;
    *count = 1;
    if (capacity > 0) {
        infos[0].type = CG_DEVICE_CPU;
        infos[0].integrated = true;
        infos[0].units = 1;
        snprintf(infos[0].name, sizeof infos[0].name, "matrix products by cblas");
        snprintf(infos[0].driver, sizeof infos[0].driver, "cblas");
    }
    return CG_OK;
}

static cg_status open_device(const cg_host *host, size_t index, const cg_option *options, size_t n_options,
                             void **opened) {
    static char nothing; /* there is no state: any address that is not NULL is a device */
    (void)index;
    if (n_options > 0) {
        return host->fail(CG_ERR_ARGUMENT, "cblas has no option '%s'", options[0].key);
    }
    *opened = &nothing;
    return CG_OK;
}

static void close_device(void *opened) {
    (void)opened;
}

static cg_status buffer_create(void *opened, size_t bytes, void **buffer) {
    (void)opened;
    *buffer = clgrad->alloc(bytes);
    return *buffer != NULL ? CG_OK : clgrad->fail(CG_ERR_DEVICE_MEMORY, "cblas: no memory for %zu bytes", bytes);
}

static void buffer_destroy(void *opened, void *buffer) {
    (void)opened;
    clgrad->free(buffer);
}

static cg_status write_bytes(void *opened, void *buffer, size_t offset, const void *source, size_t bytes) {
    (void)opened;
    memcpy((char *)buffer + offset, source, bytes);
    return CG_OK;
}

static cg_status read_bytes(void *opened, void *buffer, size_t offset, void *destination, size_t bytes) {
    return write_bytes(opened, destination, 0, (char *)buffer + offset, bytes);
}

static cg_status wait_for_all(void *opened) {
    (void)opened;
    return CG_OK;
}

/* cblas counts in int, and wants rows to be at least as long as what it reads of them. */
static bool row_fits(int64_t ld, int64_t columns) {
    return ld >= columns && ld >= 1 && ld <= INT_MAX;
}

static bool supports(void *opened, const cg_op *op, const char **reason) {
    (void)opened;
    if (op->kind->number != CG_OP_MATMUL) {
        *reason = "cblas multiplies matrices only";
        return false;
    }
    const cg_matmul_attrs *p = op->attrs;
    if (op->outputs[0].dtype != CG_F32) {
        *reason = "this backend multiplies f32 only";
        return false;
    }
    if (p->m > INT_MAX || p->n > INT_MAX || p->k > INT_MAX || !row_fits(p->lda, p->transpose_a ? p->m : p->k) ||
        !row_fits(p->ldb, p->transpose_b ? p->k : p->n) || !row_fits(p->ldc, p->n)) {
        *reason = "sizes or rows that cblas does not take";
        return false;
    }
    return true;
}

static float *elements(const cg_operand *operand) {
    return (float *)operand->buffer + operand->offset;
}

/* Each row of c becomes the bias, or has it added: what sgemm then adds to. */
static void put_bias(const cg_matmul_attrs *p, const float *bias, bool add, float *c) {
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            float *element = &c[i * p->ldc + j];
            *element = add ? *element + bias[j] : bias[j];
        }
    }
}

static cg_status run(void *opened, const cg_op *op) {
    (void)opened;
    const cg_matmul_attrs *p = op->attrs;
    const float *bias = op->n_inputs > 2 && op->inputs[2].buffer != NULL ? elements(&op->inputs[2]) : NULL;
    bool add = (op->accumulate & 1u) != 0;
    for (int64_t i = 0; i < p->batch; i++) {
        float *c = elements(&op->outputs[0]) + i * p->stride_c;
        if (bias != NULL) {
            put_bias(p, bias, add, c);
        }
        cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
                    p->transpose_b ? CblasTrans : CblasNoTrans, (int)p->m, (int)p->n, (int)p->k, 1.0f,
                    elements(&op->inputs[0]) + i * p->stride_a, (int)p->lda, elements(&op->inputs[1]) + i * p->stride_b,
                    (int)p->ldb, add || bias != NULL ? 1.0f : 0.0f, c, (int)p->ldc);
    }
    return CG_OK;
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "cblas",
    .list = list,
    .open = open_device,
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .write = write_bytes,
    .read = read_bytes,
    .supports = supports,
    .run = run,
    .wait = wait_for_all,
};

CG_API const cg_backend *clgrad_backend(const cg_host *host);

const cg_backend *clgrad_backend(const cg_host *host) {
    clgrad = host;
    return host->abi == CG_BACKEND_ABI ? &table : NULL;
}
