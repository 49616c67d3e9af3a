/*
 * CLBlast, tuned for many GPUs, does the matrix products there. It is loaded when a device wants it, so that a machine
 * without a GPU does not pay for it. CLGRAD_GEMM=own or clblast forces either.
 */
#include "ocl.h"

#include <stdlib.h>
#include <string.h>

#ifdef CLGRAD_CLBLAST

#include <dlfcn.h>

#include <clblast_c.h>

struct ocl_blas {
    void *library;
    __typeof__(&CLBlastSgemm) gemm;
    __typeof__(&CLBlastSgemmStridedBatched) gemm_batched;
};

static cg_status load(ocl_device *device, ocl_blas *blas) {
    blas->library = dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL);
    if (blas->library == NULL) {
        return device->host->fail(CG_ERR_DEVICE, "CLBlast cannot be loaded: %s", dlerror());
    }
    *(void **)&blas->gemm = dlsym(blas->library, "CLBlastSgemm");
    *(void **)&blas->gemm_batched = dlsym(blas->library, "CLBlastSgemmStridedBatched");
    if (blas->gemm == NULL || blas->gemm_batched == NULL) {
        dlclose(blas->library);
        return device->host->fail(CG_ERR_DEVICE, "libclblast.so.1 lacks CLBlastSgemm or CLBlastSgemmStridedBatched");
    }
    return CG_OK;
}

static cg_status open_library(ocl_device *device) {
    ocl_blas *blas = device->host->alloc(sizeof *blas);
    if (blas == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = load(device, blas);
    if (status != CG_OK) {
        device->host->free(blas);
        return status;
    }
    device->blas = blas;
    return CG_OK;
}

/* The library stays loaded: it keeps compiled kernels and their contexts until the process ends. */
void ocl_blas_close(ocl_device *device) {
    device->host->free(device->blas);
    device->blas = NULL;
}

/* Not for k = 0, for batches that repeat a matrix, nor for a bias on a result with gaps. */
bool ocl_blas_takes(const ocl_device *device, const cg_op *op) {
    const cg_matmul_attrs *attrs = op->attrs;
    bool repeats = attrs->batch > 1 && (attrs->stride_a == 0 || attrs->stride_b == 0);
    bool gaps = attrs->ldc != attrs->n || (attrs->batch > 1 && attrs->stride_c != attrs->m * attrs->n);
    bool biased = op->n_inputs > 2 && op->inputs[2].buffer != NULL;
    bool whole = biased || op->kind->number == CG_OP_MATMUL_RELU; /* c is worked on besides, as one run */
    return device->blas != NULL && attrs->k > 0 && !repeats && !(whole && gaps);
}

static cg_status multiply(ocl_device *device, const cg_op *op, float beta) {
    const cg_matmul_attrs *p = op->attrs;
    const cg_operand *a = &op->inputs[0], *b = &op->inputs[1], *c = &op->outputs[0];
    CLBlastTranspose ta = p->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo;
    CLBlastTranspose tb = p->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    size_t lda = (size_t)p->lda, ldb = (size_t)p->ldb, ldc = (size_t)p->ldc;
    CG_TRY(ocl_play(device));
    CLBlastStatusCode code =
        p->batch == 1
            ? device->blas->gemm(CLBlastLayoutRowMajor, ta, tb, m, n, k, 1.0f, a->buffer, a->offset, lda, b->buffer,
                                 b->offset, ldb, beta, c->buffer, c->offset, ldc, &device->queue,
                                 ocl_timing_event(device))
            : device->blas->gemm_batched(CLBlastLayoutRowMajor, ta, tb, m, n, k, 1.0f, a->buffer, a->offset, lda,
                                         (size_t)p->stride_a, b->buffer, b->offset, ldb, (size_t)p->stride_b, beta,
                                         c->buffer, c->offset, ldc, (size_t)p->stride_c, (size_t)p->batch,
                                         &device->queue, ocl_timing_event(device));
    return code == CLBlastSuccess
               ? CG_OK
               : device->host->fail(CG_ERR_DEVICE, "CLBlast: status %d for [%zu, %zu] x [%zu, %zu] on %s", (int)code, m,
                                    k, k, n, device->info.name);
}

#else

static cg_status open_library(ocl_device *device) {
    return device->host->fail(CG_ERR_DEVICE, "this build has no CLBlast");
}

void ocl_blas_close(ocl_device *device) {
    (void)device;
}

bool ocl_blas_takes(const ocl_device *device, const cg_op *op) {
    (void)device, (void)op;
    return false;
}

static cg_status multiply(ocl_device *device, const cg_op *op, float beta) {
    (void)op, (void)beta;
    return open_library(device);
}

#endif

cg_status ocl_blas_want(ocl_device *device) {
    return device->blas != NULL ? CG_OK : open_library(device);
}

static cg_status open_usual(ocl_device *device) {
    const char *wanted = getenv("CLGRAD_GEMM");
    if (wanted != NULL && strcmp(wanted, "own") != 0 && strcmp(wanted, "clblast") != 0) {
        return device->host->fail(CG_ERR_ARGUMENT, "CLGRAD_GEMM=%s: own and clblast are known", wanted);
    }
    if (wanted != NULL) {
        return strcmp(wanted, "clblast") == 0 ? open_library(device) : CG_OK;
    }
    bool real_gpu = !device->cpu_shape && device->info.type == CG_DEVICE_GPU && !device->info.simulator;
    if (real_gpu && open_library(device) != CG_OK) {
        device->host->log("%s: no CLBlast, our own matrix products are used", device->info.name);
    }
    return CG_OK;
}

cg_status ocl_blas_open(ocl_device *device) {
    CG_TRY(open_usual(device));
    device->usual_library = device->blas != NULL;
    return CG_OK;
}

/* c starts as the bias in every row, and the product is added to it. */
static cg_status spread_bias(ocl_device *device, const cg_op *op) {
    const cg_matmul_attrs *attrs = op->attrs;
    return ocl_expand_run(device, &op->inputs[2], &op->outputs[0],
                          &(ocl_expand_job){.outer = 1,
                                            .reduce = (uint64_t)(attrs->batch * attrs->m),
                                            .inner = (uint64_t)attrs->n,
                                            .scale = 1.0,
                                            .add = (op->accumulate & 1) != 0});
}

cg_status ocl_blas_matmul(ocl_device *device, const cg_op *op) {
    bool biased = op->n_inputs > 2 && op->inputs[2].buffer != NULL;
    if (biased) {
        CG_TRY(spread_bias(device, op));
    }
    return multiply(device, op, biased || (op->accumulate & 1) ? 1.0f : 0.0f);
}
