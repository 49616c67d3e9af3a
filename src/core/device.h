/* One opened device, as core sees it. Only dispatch, pool and this file's own code touch the backend's table. */
#ifndef CLGRAD_CORE_DEVICE_H
#define CLGRAD_CORE_DEVICE_H

#include <clgrad/device.h>

#include "device_string.h"
#include "mirror.h"
#include "pool.h"
#include "text.h"

/* The answer of supports() for one kind of op with given attributes, dtypes and shapes. */
typedef struct cg_support {
    uint64_t hash;
    bool supported;
    const char *reason;
} cg_support;

struct cg_device {
    const cg_backend *backend;
    void *handle;
    cg_device_info info;
    cg_dtype real;
    cg_dtype precision; /* of its tapes */
    char choice[512];
    const struct cg_decorator *decorators[CG_MAX_DECORATORS]; /* what wraps the device, innermost first */
    void *layers[CG_MAX_DECORATORS];
    size_t n_decorators;
    cg_text report;
    cg_pool pool;
    cg_fallback fallback;
    cg_device *cpu;      /* runs what this one cannot; opened when first needed */
    cg_mirror mirror;    /* what it has of this one's memory */
    cg_support *support; /* hash table, support_size a power of two */
    size_t support_count, support_size;
    cg_fallback_info *fallbacks;
    size_t n_fallbacks, fallbacks_capacity;
    size_t last_fallback; /* the row counted last */
    uint64_t ops, fallback_ops;
};

/* Opens the device at `index` of a backend's list: what cg_device_open does after the string is understood. */
cg_status cg_device_open_index(const cg_backend *backend, size_t index, const cg_option *options, size_t n_options,
                               cg_device **device);

#endif
