/* key=value of the device string: the shape of the kernels, and what is to be done without although the device has it,
 * so that what runs where it is missing is run and proved here. */
#include "ocl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN                                                                                                          \
    "profile=cpu|gpu, share=off, fp16=off, fp64=off, subgroups=off, atomics64=off, command_buffers=on|off, "           \
    "local=BYTES, "                                                                                                    \
    "max_alloc=BYTES"

/* A feature that a device may have, and where its description says so. */
static const struct {
    const char *key;
    size_t offset;
} features[] = {
    {"share", offsetof(cg_device_info, integrated)},    {"fp16", offsetof(cg_device_info, fp16)},
    {"fp64", offsetof(cg_device_info, fp64)},           {"subgroups", offsetof(cg_device_info, subgroups)},
    {"atomics64", offsetof(cg_device_info, atomics64)}, {"command_buffers", offsetof(cg_device_info, command_buffers)},
};

/* A limit that can be lowered. */
static const struct {
    const char *key;
    size_t offset;
} limits[] = {
    {"local", offsetof(cg_device_info, local_memory_bytes)},
    {"max_alloc", offsetof(cg_device_info, max_allocation_bytes)},
};

static cg_status set_profile(ocl_device *device, const char *value) {
    if (strcmp(value, "cpu") != 0 && strcmp(value, "gpu") != 0) {
        return device->host->fail(CG_ERR_ARGUMENT, "opencl: profile=%s: cpu and gpu are known", value);
    }
    device->cpu_shape = strcmp(value, "cpu") == 0;
    snprintf(device->info.profile, sizeof device->info.profile, "%s", value);
    return CG_OK;
}

/* on is what the device has anyway: it is an error where the device has not. */
static cg_status set_feature(ocl_device *device, const char *key, bool *has, const char *value) {
    if (strcmp(value, "off") == 0) {
        *has = false;
        return CG_OK;
    }
    if (strcmp(value, "on") != 0) {
        return device->host->fail(CG_ERR_ARGUMENT, "opencl: %s=%s: on and off are known", key, value);
    }
    return *has ? CG_OK : device->host->fail(CG_ERR_ARGUMENT, "opencl: %s=on: %s has it not", key, device->info.name);
}

static cg_status lower_limit(ocl_device *device, const char *key, uint64_t *limit, const char *value) {
    char *end;
    errno = 0;
    unsigned long long bytes = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || bytes > *limit) {
        return device->host->fail(CG_ERR_ARGUMENT, "opencl: %s=%s: a number of bytes up to the %llu of %s is needed",
                                  key, value, (unsigned long long)*limit, device->info.name);
    }
    *limit = bytes;
    return CG_OK;
}

static cg_status set_option(ocl_device *device, const cg_option *option) {
    char *info = (char *)&device->info;
    if (strcmp(option->key, "profile") == 0) {
        return set_profile(device, option->value);
    }
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (strcmp(option->key, features[i].key) == 0) {
            device->wants_recording |= strcmp(option->key, "command_buffers") == 0;
            return set_feature(device, option->key, (bool *)(info + features[i].offset), option->value);
        }
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (strcmp(option->key, limits[i].key) == 0) {
            return lower_limit(device, option->key, (uint64_t *)(info + limits[i].offset), option->value);
        }
    }
    return device->host->fail(CG_ERR_ARGUMENT, "opencl: unknown option '%s'; known: " KNOWN, option->key);
}

cg_status ocl_options(ocl_device *device, const cg_option *options, size_t count) {
    device->cpu_shape = device->info.type == CG_DEVICE_CPU;
    for (size_t i = 0; i < count; i++) {
        CG_TRY(set_option(device, &options[i]));
    }
    return CG_OK;
}
