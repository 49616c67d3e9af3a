/* The cpu backend: one device, the fast loops of the kinds that have them and the reference's for the rest. */
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/device.h>

#include "alloc.h"
#include "builtin.h"
#include "host_memory.h"

#define MAX_THREADS 1024

/* By kind number. Elementwise kinds have one function for all. */
static const cpu_run_fn fast[] = {
    [CG_OP_COPY] = cpu_copy,
    [CG_OP_FILL] = cpu_fill,
    [CG_OP_CAST] = cpu_cast,
    [CG_OP_MATMUL] = cpu_matmul,
    [CG_OP_MATMUL_RELU] = cpu_matmul_relu,
    [CG_OP_SUM] = cpu_sum,
    [CG_OP_EXPAND] = cpu_expand,
    [CG_OP_LOG_SOFTMAX] = cpu_log_softmax,
    [CG_OP_LOG_SOFTMAX_BACKWARD] = cpu_log_softmax_backward,
    [CG_OP_SOFTMAX] = cpu_softmax,
    [CG_OP_SOFTMAX_BACKWARD] = cpu_softmax_backward,
    [CG_OP_CROSS_ENTROPY] = cpu_cross_entropy,
    [CG_OP_CROSS_ENTROPY_BACKWARD] = cpu_cross_entropy_backward,
    [CG_OP_STRIDED_COPY] = cpu_strided_copy,
    [CG_OP_NORMALIZE] = cpu_normalize,
    [CG_OP_NORMALIZE_RELU] = cpu_normalize,
    [CG_OP_NORMALIZE_BACKWARD] = cpu_normalize_backward,
    [CG_OP_NORMALIZE_WEIGHT_BACKWARD] = cpu_normalize_weight_backward,
    [CG_OP_BATCH_NORM_BACKWARD] = cpu_batch_norm_backward,
#define CG_UPDATE(NAME, name, statements) [CG_OP_##NAME] = cpu_update,
#include <clgrad/updates.def>
#undef CG_UPDATE
    [CG_OP_CONV] = cpu_conv,
    [CG_OP_CONV_BACKWARD_INPUT] = cpu_conv_backward_input,
    [CG_OP_CONV_BACKWARD_WEIGHT] = cpu_conv_backward_weight,
    [CG_OP_MAX_POOL] = cpu_max_pool,
    [CG_OP_MAX_POOL_BACKWARD] = cpu_max_pool_backward,
    [CG_OP_AVG_POOL] = cpu_planes,
    [CG_OP_AVG_POOL_BACKWARD] = cpu_planes,
    [CG_OP_PAD] = cpu_planes,
    [CG_OP_PAD_BACKWARD] = cpu_planes,
    [CG_OP_INTERPOLATE] = cpu_planes,
    [CG_OP_INTERPOLATE_BACKWARD] = cpu_planes,
};

static cg_status list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host;
    *count = 1;
    if (capacity > 0) {
        infos[0] = (cg_device_info){.type = CG_DEVICE_CPU, .integrated = true, .fp64 = true};
        ref_describe_host(&infos[0]);
        infos[0].units = (uint32_t)cpu_default_threads();
        snprintf(infos[0].driver, sizeof infos[0].driver, "cpu");
        snprintf(infos[0].driver_version, sizeof infos[0].driver_version, "matrix products: %s", cg_cpu_blas_name());
    }
    return CG_OK;
}

static cg_status parse_threads(const char *value, int *threads) {
    char *end;
    long number = strtol(value, &end, 10);
    if (end == value || *end != '\0' || number < 1 || number > MAX_THREADS) {
        return cg_fail(CG_ERR_ARGUMENT, "cpu: threads=%s; it must be a number from 1 to %d", value, MAX_THREADS);
    }
#ifndef _OPENMP
    if (number > 1) {
        return cg_fail(CG_ERR_ARGUMENT, "cpu: threads=%s, but this build has one thread only (CLGRAD_OPENMP)", value);
    }
#endif
    *threads = (int)number;
    return CG_OK;
}

static cg_status open(const cg_host *host, size_t index, const cg_option *options, size_t n_options, void **out) {
    (void)host, (void)index;
    int threads = cpu_default_threads();
    for (size_t i = 0; i < n_options; i++) {
        if (strcmp(options[i].key, "threads") != 0) {
            return cg_fail(CG_ERR_ARGUMENT, "cpu has no option '%s'; it has threads=N", options[i].key);
        }
        CG_TRY(parse_threads(options[i].value, &threads));
    }
    cpu_device *device = cg_alloc_zero(1, sizeof *device);
    if (device == NULL) {
        return CG_ERR_MEMORY;
    }
    device->threads = threads;
    device->shares = cg_alloc_aligned(_Alignof(cpu_share), (size_t)threads * sizeof *device->shares);
    if (device->shares == NULL) {
        cg_free(device);
        return CG_ERR_MEMORY;
    }
    *out = device;
    return CG_OK;
}

static void close(void *handle) {
    cpu_device *device = handle;
    cpu_conv_library_close(device->conv_plans);
    cg_free(device->scratch);
    cg_free(device->shares);
    cg_free(device);
}

static cg_status describe(void *handle, cg_device_info *info) {
    info->units = (uint32_t)((const cpu_device *)handle)->threads;
    return CG_OK;
}

static bool supports(void *device, const cg_op *op, const char **reason) {
    (void)device;
    return ref_supports(op, reason);
}

static cpu_run_fn fast_for(const cg_op *op) {
    uint32_t number = op->kind->number;
    if (ref_has_f64(op)) {
        return NULL;
    }
    if (number < sizeof fast / sizeof fast[0]) {
        return fast[number];
    }
    return cpu_is_elementwise(number) ? cpu_elementwise : NULL;
}

static cg_status run(void *device, const cg_op *op) {
    cpu_run_fn function = fast_for(op);
    return function != NULL ? function(device, op) : ref_run(op);
}

const cg_backend cg_backend_cpu = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof(cg_backend),
    .name = "cpu",
    .list = list,
    .open = open,
    .close = close,
    .describe = describe,
    .buffer_create = ref_buffer_create,
    .buffer_destroy = ref_buffer_destroy,
    .write = ref_write,
    .read = ref_read,
    .copy = ref_copy,
    .supports = supports,
    .run = run,
    .run_chain = cpu_run_chain,
    .run_steps = cpu_run_steps,
    .wait = ref_wait,
};
