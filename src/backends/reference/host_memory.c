/* Buffers in host memory, ops by their plain loops, and what is known of the machine. */
#include "host_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#define ALIGNMENT 64

cg_status ref_buffer_create(void *device, size_t bytes, void **buffer) {
    (void)device;
    *buffer = cg_alloc_aligned(ALIGNMENT, bytes);
    return *buffer != NULL ? CG_OK
                           : cg_fail(CG_ERR_DEVICE_MEMORY, "out of host memory for a buffer of %zu bytes", bytes);
}

void ref_buffer_destroy(void *device, void *buffer) {
    (void)device;
    cg_free(buffer);
}

cg_status ref_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    (void)device;
    memcpy((char *)buffer + offset, source, bytes);
    return CG_OK;
}

cg_status ref_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    (void)device;
    memcpy(destination, (char *)buffer + offset, bytes);
    return CG_OK;
}

cg_status ref_copy(void *device, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes) {
    return ref_write(device, destination, offset, (char *)source + source_offset, bytes);
}

cg_status ref_wait(void *device) {
    (void)device;
    return CG_OK;
}

static bool any_f64(const cg_operand *operands, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (operands[i].dtype == CG_F64) {
            return true;
        }
    }
    return false;
}

bool ref_has_f64(const cg_op *op) {
    return any_f64(op->inputs, op->n_inputs) || any_f64(op->outputs, op->n_outputs);
}

static cg_reference_fn function_of(const cg_op *op) {
    return ref_has_f64(op) ? op->kind->reference_f64 : op->kind->reference_f32;
}

cg_status ref_run(const cg_op *op) {
    return function_of(op)(op);
}

bool ref_supports(const cg_op *op, const char **reason) {
    *reason = function_of(op) != NULL ? "" : "its kind has no reference function for this data type";
    return function_of(op) != NULL;
}

/* The value of the first line of /proc/cpuinfo that begins with `key`; "" where there is none. */
static void cpuinfo(const char *key, char *text, size_t size) {
    char line[256];
    text[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && text[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL) {
            colon += strspn(colon, ": \t");
            snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

void ref_describe_host(cg_device_info *info) {
    cpuinfo("model name", info->name, sizeof info->name);
    cpuinfo("vendor_id", info->vendor, sizeof info->vendor);
    if (info->name[0] == '\0') {
        snprintf(info->name, sizeof info->name, "this machine's processor");
    }
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    info->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    info->max_allocation_bytes = info->memory_bytes;
}
