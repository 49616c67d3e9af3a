/* Launching: kernels are made when first asked for and kept, so that a step allocates nothing after the first. */
#include "ocl.h"

#include <stdio.h>
#include <string.h>

struct ocl_kernel {
    uint64_t hash; /* of the three names */
    const char *file, *name;
    char defines[128];
    cl_kernel handle;
    ocl_arg last[OCL_MAX_ARGS]; /* what it was launched with before */
};

ocl_arg ocl_memory(cl_mem memory) {
    return (ocl_arg){.bytes = sizeof memory, .memory = true, .value.memory = memory};
}

ocl_arg ocl_count(uint64_t count) {
    return (ocl_arg){.bytes = sizeof(cl_ulong), .value.count = count};
}

ocl_arg ocl_real(double value) {
    return (ocl_arg){.bytes = sizeof(cl_float), .value.real = (cl_float)value};
}

ocl_arg ocl_flag(int value) {
    return (ocl_arg){.bytes = sizeof(cl_int), .value.flag = value};
}

ocl_arg ocl_struct(const void *data, size_t bytes) {
    return (ocl_arg){.bytes = bytes, .data = data};
}

uint64_t ocl_hash_text(uint64_t hash, const char *text) {
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash;
}

static cg_status grow(ocl_device *device) {
    size_t capacity = device->kernels_capacity * 2 + 32;
    ocl_kernel *larger = device->host->alloc(capacity * sizeof *larger);
    if (larger == NULL) {
        return CG_ERR_MEMORY;
    }
    if (device->n_kernels > 0) {
        memcpy(larger, device->kernels, device->n_kernels * sizeof *larger);
    }
    device->host->free(device->kernels);
    device->kernels = larger;
    device->kernels_capacity = capacity;
    return CG_OK;
}

/* Not every driver refuses a kernel that wants more local memory than there is: some run it. rusticl of Mesa 22.3
 * counts local arrays twice. */
static cg_status check_local_memory(const ocl_device *device, cl_kernel kernel, const char *name) {
    cl_ulong bytes = 0;
    clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    bytes = strcmp(device->info.driver, "rusticl") == 0 ? bytes / 2 : bytes;
    return bytes <= device->info.local_memory_bytes
               ? CG_OK
               : device->host->fail(CG_ERR_DEVICE, "%s needs %llu bytes of local memory, %s has %llu", name,
                                    (unsigned long long)bytes, device->info.name,
                                    (unsigned long long)device->info.local_memory_bytes);
}

static cg_status create(ocl_device *device, uint64_t hash, const ocl_call *call, const char *defines,
                        ocl_kernel **made) {
    if (device->n_kernels == device->kernels_capacity) {
        CG_TRY(grow(device));
    }
    ocl_program *program;
    CG_TRY(ocl_program_get(device, call->file, call->source, defines, &program));
    cl_int code;
    ocl_kernel *kernel = &device->kernels[device->n_kernels];
    *kernel = (ocl_kernel){.hash = hash, .file = call->file, .name = call->kernel};
    snprintf(kernel->defines, sizeof kernel->defines, "%s", defines);
    kernel->handle = clCreateKernel(ocl_program_handle(program), call->kernel, &code);
    if (kernel->handle == NULL) {
        return ocl_fail(device, code, "clCreateKernel", call->kernel);
    }
    cg_status status = check_local_memory(device, kernel->handle, call->kernel);
    if (status != CG_OK) {
        clReleaseKernel(kernel->handle);
        return status;
    }
    device->n_kernels++;
    ocl_program_save(device, program);
    *made = kernel;
    return CG_OK;
}

static cg_status kernel_of(ocl_device *device, const ocl_call *call, ocl_kernel **found) {
    const char *defines = call->defines != NULL ? call->defines : "";
    uint64_t hash = ocl_hash_text(ocl_hash_text(ocl_hash_text(OCL_HASH_BEGIN, call->kernel), defines), call->file);
    for (size_t i = 0; i < device->n_kernels; i++) {
        ocl_kernel *kernel = &device->kernels[i];
        if (kernel->hash == hash && strcmp(kernel->name, call->kernel) == 0 && strcmp(kernel->defines, defines) == 0 &&
            strcmp(kernel->file, call->file) == 0) {
            *found = kernel;
            return CG_OK;
        }
    }
    return create(device, hash, call, defines, found);
}

/* A kernel keeps its arguments from launch to launch. Memory is set each time all the same: a new buffer may have the
 * handle of one that is gone. */
static bool is_set(const ocl_arg *last, const ocl_arg *arg) {
    return !arg->memory && arg->data == NULL && last->data == NULL && last->bytes == arg->bytes &&
           memcmp(&last->value, &arg->value, arg->bytes) == 0;
}

static cg_status set_arguments(const ocl_device *device, ocl_kernel *kernel, const ocl_call *call) {
    for (cl_uint i = 0; i < OCL_MAX_ARGS && call->args[i].bytes > 0; i++) {
        const ocl_arg *arg = &call->args[i];
        if (is_set(&kernel->last[i], arg)) {
            continue;
        }
        kernel->last[i] = *arg;
        cl_int code = clSetKernelArg(kernel->handle, i, arg->bytes, arg->data != NULL ? arg->data : &arg->value);
        if (code != CL_SUCCESS) {
            kernel->last[i].bytes = 0;
            char text[96];
            snprintf(text, sizeof text, "%s, %u", call->kernel, i);
            return ocl_fail(device, code, "clSetKernelArg", text);
        }
    }
    return CG_OK;
}

cg_operand ocl_present(const cg_op *op, uint32_t input, bool *there) {
    *there = op->n_inputs > input && op->inputs[input].buffer != NULL;
    return op->inputs[*there ? input : 0];
}

cg_status ocl_ready_kernel(ocl_device *device, size_t kernel, const ocl_call *call, ocl_ready *ready) {
    *ready =
        (ocl_ready){.handle = device->kernels[kernel].handle,
                    .dimensions = call->items[2] > 0   ? 3
                                  : call->items[1] > 0 ? 2
                                                       : 1,
                    .global = {ocl_ceil(call->items[0], call->group) * call->group, call->items[1], call->items[2]},
                    .local = {call->group, 1, 1}};
    return set_arguments(device, &device->kernels[kernel], call);
}

cg_status ocl_launch_kernel(ocl_device *device, size_t kernel, const ocl_call *call) {
    ocl_ready ready;
    CG_TRY(ocl_ready_kernel(device, kernel, call, &ready));
    cl_int code = clEnqueueNDRangeKernel(device->queue, ready.handle, ready.dimensions, NULL, ready.global, ready.local,
                                         0, NULL, ocl_timing_event(device));
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueNDRangeKernel", call->kernel);
}

cg_status ocl_launch(ocl_device *device, const ocl_call *call) {
    ocl_kernel *kernel = NULL;
    CG_TRY(kernel_of(device, call, &kernel));
    size_t index = (size_t)(kernel - device->kernels);
    if (ocl_records(device, call)) {
        return ocl_record(device, index, call);
    }
    CG_TRY(ocl_play(device));
    return ocl_launch_kernel(device, index, call);
}

void ocl_kernels_release(ocl_device *device) {
    for (size_t i = 0; i < device->n_kernels; i++) {
        clReleaseKernel(device->kernels[i].handle);
    }
    device->host->free(device->kernels);
    device->kernels = NULL;
    device->n_kernels = device->kernels_capacity = 0;
}
