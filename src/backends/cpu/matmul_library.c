/* The library that the build chose for matrix products (CLGRAD_BLAS), or none. */
#include "matmul.h"

#include <stdio.h>

#include <clgrad/device.h>

#if defined(CPU_BLAS_ONEDNN)
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

const bool cpu_gemm_library_reentrant = true;

static bool has_avx2_alone(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx2") && !__builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

/* With AVX2 the library reads b where it is in small products with a transposed a, and in low ones where the rows of b
 * meet in the same lines of the first cache. The packed loops do a third to twice as much in the same time there, with
 * sides from 64 on (dnnl_sgemm beside cpu_gemm_blocked on two cores; linear-512-512 of `clgrad bench`). */
static bool should_pack(const cpu_gemm *gemm) {
    const int64_t least = gemm->m < gemm->n ? gemm->m : gemm->n;
    bool conflicts = gemm->ldb % 512 == 0, small = gemm->m <= 512 && gemm->k <= 4096;
    return !gemm->transpose_b && small && (gemm->transpose_a ? gemm->n <= 512 : conflicts) && least >= 64 &&
           gemm->k >= 64 && has_avx2_alone();
}

/* The library takes its threads from the calling thread's OpenMP setting, which is put back. */
bool cpu_gemm_library(const cpu_gemm *gemm, int threads) {
    if (should_pack(gemm)) {
        return false;
    }
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    dnnl_status_t status =
        dnnl_sgemm(gemm->transpose_a ? 'T' : 'N', gemm->transpose_b ? 'T' : 'N', gemm->m, gemm->n, gemm->k, 1.0f,
                   gemm->a, gemm->lda, gemm->b, gemm->ldb, gemm->add ? 1.0f : 0.0f, gemm->c, gemm->ldc);
    omp_set_num_threads(before);
    return status == dnnl_success;
}

const char *cg_cpu_blas_name(void) {
    return "oneDNN " CPU_BLAS_VERSION;
}
#elif defined(CPU_BLAS_OPENBLAS)
#include <limits.h>

#include <cblas.h>

/* It has threads of its own, which would come on top of the device's. */
const bool cpu_gemm_library_reentrant = false;

bool cpu_gemm_library(const cpu_gemm *gemm, int threads) {
    int64_t sizes[] = {gemm->m, gemm->n, gemm->k, gemm->lda, gemm->ldb, gemm->ldc};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] > INT_MAX) {
            return false;
        }
    }
    openblas_set_num_threads(threads);
    cblas_sgemm(CblasRowMajor, gemm->transpose_a ? CblasTrans : CblasNoTrans,
                gemm->transpose_b ? CblasTrans : CblasNoTrans, (int)gemm->m, (int)gemm->n, (int)gemm->k, 1.0f, gemm->a,
                (int)gemm->lda, gemm->b, (int)gemm->ldb, gemm->add ? 1.0f : 0.0f, gemm->c, (int)gemm->ldc);
    return true;
}

const char *cg_cpu_blas_name(void) {
    return "OpenBLAS " CPU_BLAS_VERSION;
}
#else
const bool cpu_gemm_library_reentrant = false;

bool cpu_gemm_library(const cpu_gemm *gemm, int threads) {
    (void)gemm, (void)threads;
    return false;
}

const char *cg_cpu_blas_name(void) {
    return "built in";
}
#endif
