/* The reference backend: one device, plain loops, float or double. The double device is the oracle of every proof. */
#include "builtin.h"
#include "host_memory.h"

#include <stdio.h>
#include <string.h>

static cg_status list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host;
    *count = 1;
    if (capacity > 0) {
        infos[0] = (cg_device_info){.type = CG_DEVICE_CPU, .integrated = true, .fp64 = true, .units = 1};
        ref_describe_host(&infos[0]);
        snprintf(infos[0].driver, sizeof infos[0].driver, "reference");
    }
    return CG_OK;
}

/* The dtype is that of the operands, so there is nothing to keep: a device is any address that is not NULL. */
static cg_status open(const cg_host *host, size_t index, const cg_option *options, size_t n_options, void **device) {
    static const char handle;
    (void)host, (void)index;
    for (size_t i = 0; i < n_options; i++) {
        if (strcmp(options[i].key, "dtype") != 0) {
            return cg_fail(CG_ERR_ARGUMENT, "reference has no option '%s'; it has dtype=f32|f64", options[i].key);
        }
        if (strcmp(options[i].value, "f32") != 0 && strcmp(options[i].value, "f64") != 0) {
            return cg_fail(CG_ERR_ARGUMENT, "reference: dtype=%s; it must be f32 or f64", options[i].value);
        }
    }
    *device = (void *)&handle;
    return CG_OK;
}

static void close(void *device) {
    (void)device;
}

static bool supports(void *device, const cg_op *op, const char **reason) {
    (void)device;
    return ref_supports(op, reason);
}

static cg_status run(void *device, const cg_op *op) {
    (void)device;
    return ref_run(op);
}

const cg_backend cg_backend_reference = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof(cg_backend),
    .name = "reference",
    .list = list,
    .open = open,
    .close = close,
    .buffer_create = ref_buffer_create,
    .buffer_destroy = ref_buffer_destroy,
    .write = ref_write,
    .read = ref_read,
    .copy = ref_copy,
    .supports = supports,
    .run = run,
    .wait = ref_wait,
};
