/*
 * oneDNN calls that fail: every one that a convolution or a product makes fails once, and the results are right all the
 * same, by the backend's own loops; but for the last one, behind which nobody knows what was done: that is an error.
 * The functions below stand before the library's. In a build without it nothing calls them.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdint.h>

#include <clgrad/device.h>

#include "builtin.h"
#include "twin.h"

#define OUT_OF_MEMORY 1 /* dnnl_out_of_memory */

static struct { long calls, at; /* the call that fails, from 1; 0: none */ } faults;

static bool fails(void) {
    return ++faults.calls == faults.at;
}

/* The library's own. A function's address goes through a pointer to it: POSIX's way around ISO C. */
static void find(void *function, const char *name) {
    *(void **)function = dlsym(RTLD_NEXT, name);
    cr_assert(*(void **)function != NULL, "%s: the library has no such function", name);
}

/* Functions of pointers and integers. Their types differ between versions 2 and 3 of the library: none is needed. */
#define FAILING(name)                                                                                                  \
    int name(void *a, void *b, void *c, void *d, void *e, void *f);                                                    \
    int name(void *a, void *b, void *c, void *d, void *e, void *f) {                                                   \
        int (*real)(void *, void *, void *, void *, void *, void *);                                                   \
        find(&real, #name);                                                                                            \
        return fails() ? OUT_OF_MEMORY : real(a, b, c, d, e, f);                                                       \
    }
FAILING(dnnl_engine_create)
FAILING(dnnl_stream_create)
FAILING(dnnl_primitive_attr_create)
FAILING(dnnl_primitive_attr_set_scratchpad_mode)
FAILING(dnnl_primitive_attr_set_post_ops)
FAILING(dnnl_post_ops_create)
FAILING(dnnl_memory_create)
FAILING(dnnl_memory_set_data_handle)
FAILING(dnnl_memory_desc_init_by_tag)
FAILING(dnnl_memory_desc_create_with_tag)
FAILING(dnnl_primitive_desc_create)
FAILING(dnnl_reorder_primitive_desc_create)
FAILING(dnnl_primitive_create)
FAILING(dnnl_primitive_execute)
FAILING(dnnl_stream_wait)

int dnnl_sgemm(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
int dnnl_sgemm(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
               const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    int (*real)(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float,
                float *, int64_t);
    find(&real, "dnnl_sgemm");
    return fails() ? OUT_OF_MEMORY : real(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static void *open_device(void) {
    void *device = NULL;
    cg_option option = {"threads", "2"};
    cr_assert(cg_backend_cpu.open(NULL, 0, &option, 1, &device) == CG_OK, "%s", cg_error_message());
    return device;
}

/* The case on a device that the library has not met, with this call of it failing; how many calls there were, -1: no
 * such case. */
static long run_case(uint32_t number, int variant, uint32_t accumulate, long at) {
    twin t;
    if (!twin_build(&t, number, variant, 5)) {
        return -1;
    }
    t.single.accumulate = t.wide.accumulate = accumulate;
    void *device = open_device();
    faults.calls = 0;
    faults.at = at;
    cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK, "%s", cg_error_message());
    cg_status status = cg_backend_cpu.run(device, &t.single);
    if (status != CG_OK) {
        cr_expect(at > 0 && status == CG_ERR_DEVICE && strstr(cg_error_message(), "did not finish") != NULL, "%s",
                  cg_error_message());
    } else {
        twin_compare(&t, "cpu with a library that fails", variant);
    }
    faults.at = 0;
    twin_end(&t);
    cg_backend_cpu.close(device);
    return faults.calls;
}

static long fail_each_call(uint32_t number, uint32_t accumulate) {
    long most = 0;
    for (int variant = 0;; variant++) {
        long calls = run_case(number, variant, accumulate, 0);
        if (calls < 0) {
            return most;
        }
        for (long at = 1; at <= calls; at++) {
            run_case(number, variant, accumulate, at);
        }
        most = calls > most ? calls : most;
    }
}

Test(onednn_faults, a_convolution_is_right_whichever_call_fails) {
    bool library = strncmp(cg_cpu_blas_name(), "oneDNN", 6) == 0;
    for (uint32_t number = CG_OP_CONV; number <= CG_OP_CONV_BACKWARD_WEIGHT; number++) {
        cr_expect((fail_each_call(number, 0) > 10) == library, "kind %u", number);
        cr_expect((fail_each_call(number, 1) > 10) == library, "kind %u, added", number);
    }
}

Test(onednn_faults, a_product_is_right_where_the_librarys_fails) {
    long calls = fail_each_call(CG_OP_MATMUL, 1);
    cr_expect((calls > 0) == (strncmp(cg_cpu_blas_name(), "oneDNN", 6) == 0), "%ld calls", calls);
}
