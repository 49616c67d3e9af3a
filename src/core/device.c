/* Listing, choosing and opening devices. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "decorator.h"
#include "device_string.h"
#include "dispatch.h"
#include "half.h"
#include "plan.h"
#include "registry.h"

/* Written out, a device has its profile even where nobody asked for one, then its other options. */
static void write_options(cg_device_info *info, const cg_option *options, size_t n_options) {
    bool has_profile = info->profile[0] == '\0';
    for (size_t i = 0; i < n_options; i++) {
        has_profile = has_profile || strcmp(options[i].key, "profile") == 0;
    }
    const cg_option profile = {"profile", info->profile};
    for (size_t i = has_profile ? 1 : 0; i <= n_options; i++) {
        const cg_option *option = i == 0 ? &profile : &options[i - 1];
        size_t used = strlen(info->string);
        snprintf(info->string + used, sizeof info->string - used, ",%s=%s", option->key, option->value);
    }
}

static size_t described_devices(const cg_backend *backend, cg_device_info **infos) {
    size_t count = cg_backend_devices(backend, infos);
    if (count > 0) {
        cg_device_string_write(backend->name, *infos, count);
    }
    return count;
}

cg_status cg_device_list(cg_device_info *infos, size_t capacity, size_t *count) {
    const cg_backend *const *backends;
    size_t n_backends = cg_backends(&backends);
    *count = 0;
    for (size_t i = 0; i < n_backends; i++) {
        cg_device_info *own;
        size_t n = described_devices(backends[i], &own);
        for (size_t j = 0; j < n; j++, (*count)++) {
            if (*count < capacity) {
                infos[*count] = own[j];
                write_options(&infos[*count], NULL, 0);
            }
        }
        cg_free(own);
    }
    return CG_OK;
}

/* dtype=f64 is the reference's option: it makes the oracle. */
static cg_dtype real_of(const cg_option *options, size_t n_options) {
    for (size_t i = 0; i < n_options; i++) {
        if (strcmp(options[i].key, "dtype") == 0 && strcmp(options[i].value, "f64") == 0) {
            return CG_F64;
        }
    }
    return CG_F32;
}

/* The facts after the options have had their effect; the string stays. */
static cg_status describe(cg_device *device) {
    if (device->backend->describe == NULL) {
        return CG_OK;
    }
    char string[sizeof device->info.string];
    memcpy(string, device->info.string, sizeof string);
    cg_status status = device->backend->describe(device->handle, &device->info);
    memcpy(device->info.string, string, sizeof string);
    return status;
}

/* Written out, a decorator is its name alone: what it does to one run is no part of what the device is. */
static void write_decorator(cg_device_info *info, const char *name) {
    char string[sizeof info->string + 32];
    snprintf(string, sizeof string, "%.30s:%s", name, info->string);
    snprintf(info->string, sizeof info->string, "%.*s", (int)sizeof info->string - 1, string);
}

/* Wraps the open device; each decorator's table takes the place of the one it wraps. */
static cg_status decorate(cg_device *device, const cg_decoration *one) {
    const cg_inner inner = {device->backend, device->handle, &device->info};
    void *layer;
    CG_TRY(one->decorator->wrap(&inner, one->options, one->n_options, &layer));
    device->backend = one->decorator->table;
    device->handle = layer;
    device->decorators[device->n_decorators] = one->decorator;
    device->layers[device->n_decorators++] = layer;
    return CG_OK;
}

static cg_status decorate_all(cg_device *device, const cg_decoration *decorations, size_t count) {
    for (size_t i = count; i-- > 0;) {
        write_decorator(&device->info, decorations[i].decorator->name);
    }
    for (size_t i = count; i-- > 0;) {
        CG_TRY(decorate(device, &decorations[i]));
    }
    return CG_OK;
}

static cg_status open_described(const cg_backend *backend, size_t index, const cg_device_info *info,
                                const cg_option *options, size_t n_options, cg_device **out) {
    cg_device *device = cg_alloc_zero(1, sizeof *device);
    if (device == NULL) {
        return CG_ERR_MEMORY;
    }
    device->backend = backend;
    device->info = *info;
    device->real = real_of(options, n_options);
    device->precision = CG_F32;
    write_options(&device->info, options, n_options);
    cg_status status = backend->open(cg_host_table(), index, options, n_options, &device->handle);
    if (status != CG_OK) {
        cg_fail_context(status, "device '%s': ", device->info.string);
        cg_free(device);
        return status;
    }
    status = describe(device);
    if (status != CG_OK) {
        cg_device_close(device);
        return status;
    }
    *out = device;
    return CG_OK;
}

cg_status cg_device_open_index(const cg_backend *backend, size_t index, const cg_option *options, size_t n_options,
                               cg_device **device) {
    cg_device_info *infos;
    size_t count = described_devices(backend, &infos);
    if (index >= count) {
        char reason[sizeof((cg_backend_problem *)0)->reason] = "";
        const char *why = count == 0 ? cg_backend_problem_of(backend->name, reason, sizeof reason) : "";
        cg_free(infos);
        return cg_fail(CG_ERR_DEVICE, "backend %s has no device %zu%s%s", backend->name, index,
                       why[0] != '\0' ? ": " : "", why);
    }
    cg_status status = open_described(backend, index, &infos[index], options, n_options, device);
    cg_free(infos);
    return status;
}

/* Names every backend there is, and those that could not be loaded with the reason. */
static cg_status unknown_backend(const char *name) {
    char text[1024] = "";
    const cg_backend *const *backends;
    size_t count = cg_backends(&backends), used = 0;
    for (size_t i = 0; i < count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, ", %s", backends[i]->name);
    }
    cg_backend_problem problems[8];
    size_t n_problems = cg_backend_problems(problems, 8);
    for (size_t i = 0; i < n_problems && i < 8 && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "; %s cannot be used: %s", problems[i].backend,
                                 problems[i].reason);
    }
    return cg_fail(CG_ERR_DEVICE, "device '%s': no such backend. There are: auto%s", name, text);
}

static cg_status open_parsed(const cg_device_string *parsed, cg_device **device) {
    const cg_backend *backend = cg_backend_find(parsed->backend);
    if (backend == NULL) {
        return unknown_backend(parsed->backend);
    }
    cg_device_info *infos;
    size_t count = described_devices(backend, &infos), index = 0;
    cg_status status = cg_device_string_select(parsed, infos, count, &index);
    if (status == CG_OK) {
        status = open_described(backend, index, &infos[index], parsed->options, parsed->n_options, device);
    }
    cg_free(infos);
    CG_TRY(status);
    status = decorate_all(*device, parsed->decorations, parsed->n_decorations);
    if (status != CG_OK) {
        cg_fail_context(status, "device '%s': ", (*device)->info.string);
        cg_device_close(*device);
        *device = NULL;
    }
    return status;
}

/* A discrete GPU, else an integrated one; 0: none. Simulators never. */
static int gpu_rank(const cg_device_info *info) {
    if (info->type != CG_DEVICE_GPU || info->simulator) {
        return 0;
    }
    return info->integrated ? 1 : 2;
}

/* auto: a discrete GPU, else an integrated one, else the cpu backend, which was never found slower than an OpenCL
 * implementation on the same cores: docs/design.md has the figures. */
static cg_status open_auto(const cg_device_string *parsed, cg_device **out) {
    cg_device_string best = *parsed;
    char name[sizeof((cg_device_info *)0)->string] = "cpu", description[128] = "";
    const cg_backend *const *backends;
    size_t n_backends = cg_backends(&backends), seen = 0;
    int best_rank = 0;
    for (size_t i = 0; i < n_backends; i++) {
        cg_device_info *infos;
        size_t count = described_devices(backends[i], &infos);
        for (size_t j = 0; j < count; j++, seen++) {
            if (gpu_rank(&infos[j]) > best_rank) {
                best_rank = gpu_rank(&infos[j]);
                memcpy(name, infos[j].string, sizeof name);
                memcpy(description, infos[j].name, sizeof description);
            }
        }
        cg_free(infos);
    }
    CG_TRY(cg_device_string_parse(name, &best));
    memcpy(best.decorations, parsed->decorations, sizeof best.decorations);
    best.n_decorations = parsed->n_decorations;
    memcpy(best.options, parsed->options, sizeof best.options);
    best.n_options = parsed->n_options;
    CG_TRY(open_parsed(&best, out));
    if (best_rank > 0) {
        snprintf((*out)->choice, sizeof(*out)->choice, "auto chose %s: %s, %s GPU", name, description,
                 best_rank == 2 ? "a discrete" : "an integrated");
    } else {
        snprintf(
            (*out)->choice, sizeof(*out)->choice,
            "auto chose cpu: no GPU among %zu devices, and cpu is known to be as fast as any OpenCL driver on this "
            "processor",
            seen);
    }
    return CG_OK;
}

cg_status cg_device_open(const char *string, cg_device **device) {
    *device = NULL;
    if (string == NULL) {
        const char *variable = getenv("CLGRAD_DEVICE");
        string = variable != NULL && variable[0] != '\0' ? variable : "auto";
    }
    cg_device_string parsed;
    CG_TRY(cg_plan_check());
    CG_TRY(cg_device_string_parse(string, &parsed));
    if (strcmp(parsed.backend, "auto") != 0) {
        return open_parsed(&parsed, device);
    }
    if (parsed.selector[0] != '\0') {
        return cg_fail(CG_ERR_SYNTAX, "device '%s': auto takes no selector", string);
    }
    return open_auto(&parsed, device);
}

void cg_device_close(cg_device *device) {
    if (device == NULL) {
        return;
    }
    cg_pool_destroy(device);
    cg_mirror_destroy(device);
    cg_device_close(device->cpu);
    device->backend->close(device->handle);
    cg_text_free(&device->report);
    cg_free(device->support);
    cg_free(device->fallbacks);
    cg_free(device);
}

const cg_device_info *cg_device_describe(const cg_device *device) {
    return &device->info;
}

const char *cg_device_choice(const cg_device *device) {
    return device->choice;
}

cg_dtype cg_device_real(const cg_device *device) {
    return device->real;
}

cg_status cg_device_set_precision(cg_device *device, cg_dtype precision) {
    if (precision != CG_F32 && !cg_is_half(precision)) {
        return cg_fail(CG_ERR_DTYPE, "a precision of %s: f32, f16 and bf16 are possible", cg_dtype_name(precision));
    }
    if (device->real != CG_F32 && precision != CG_F32) {
        return cg_fail(CG_ERR_DTYPE, "%s computes in %s: a precision of %s is for devices that compute in f32",
                       device->info.string, cg_dtype_name(device->real), cg_dtype_name(precision));
    }
    device->precision = precision;
    return CG_OK;
}

cg_status cg_device_tune(cg_device *device, uint64_t most, cg_tune_watcher watcher, void *context) {
    if (device->backend->tune == NULL) {
        return cg_fail(CG_ERR_UNSUPPORTED, "%s has one way for each op: there is nothing to tune", device->info.string);
    }
    return device->backend->tune(device->handle, most > 0 ? most : UINT64_MAX, watcher, context);
}

cg_dtype cg_device_precision(const cg_device *device) {
    return device->precision;
}

const char *cg_device_report(cg_device *device) {
    cg_text_free(&device->report);
    device->report = (cg_text){0};
    for (size_t i = device->n_decorators; i-- > 0;) {
        if (device->decorators[i]->report != NULL) {
            device->decorators[i]->report(device->layers[i], &device->report);
        }
    }
    return cg_text_get(&device->report);
}

void cg_device_set_fallback(cg_device *device, cg_fallback fallback) {
    device->fallback = fallback;
}

cg_status cg_device_wait(cg_device *device) {
    return device->backend->wait(device->handle);
}

void cg_device_stats_get(const cg_device *device, cg_device_stats *stats) {
    *stats = (cg_device_stats){
        .ops = device->ops,
        .fallback_ops = device->fallback_ops,
        .buffer_allocations = device->pool.allocations,
        .bytes_in_use = device->pool.in_use,
        .bytes_allocated = device->pool.allocated,
        .bytes_peak = device->pool.peak,
    };
}

size_t cg_device_fallbacks(const cg_device *device, cg_fallback_info *rows, size_t capacity) {
    for (size_t i = 0; i < device->n_fallbacks && i < capacity; i++) {
        rows[i] = device->fallbacks[i];
    }
    return device->n_fallbacks;
}
