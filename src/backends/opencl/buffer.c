/* Memory and transfers. What does not fit is refused before the driver is asked: some abort when memory runs out. */
#include "ocl.h"

#include <string.h>

#define LARGEST_PATTERN 128
#define SMALL_SCRATCH ((size_t)1 << 20)
#define LARGEST_STAGE ((size_t)4 << 20)

cg_status ocl_memory_create(ocl_device *device, size_t bytes, cl_mem *memory) {
    const cg_device_info *info = &device->info;
    if (bytes > info->max_allocation_bytes) {
        return device->host->fail(CG_ERR_DEVICE_MEMORY, "%zu bytes are more than %s gives at once (%llu)", bytes,
                                  info->name, (unsigned long long)info->max_allocation_bytes);
    }
    if (bytes > info->memory_bytes || device->allocated > info->memory_bytes - bytes) {
        return device->host->fail(CG_ERR_DEVICE_MEMORY, "%zu bytes do not fit: %llu of the %llu of %s are in use",
                                  bytes, (unsigned long long)device->allocated, (unsigned long long)info->memory_bytes,
                                  info->name);
    }
    cl_int code;
    *memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (*memory == NULL) {
        return ocl_fail(device, code, "clCreateBuffer", NULL);
    }
    device->allocated += bytes;
    return CG_OK;
}

/* Oclgrind's notes of what is uninitialized outlive a buffer and are those of the next one in its place, which may be
 * larger: there memory stays as long as the device. */
void ocl_memory_release(ocl_device *device, cl_mem memory) {
    size_t bytes = 0;
    if (memory == NULL) {
        return;
    }
    ocl_recording_forget(device);
    clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    device->allocated -= bytes;
    if (device->info.simulator && device->n_retired < OCL_RETIRED) {
        device->retired[device->n_retired++] = memory;
    } else {
        clReleaseMemObject(memory);
    }
}

static void release_retired(ocl_device *device) {
    while (device->n_retired > 0) {
        clReleaseMemObject(device->retired[--device->n_retired]);
    }
}

/* Grown to twice its size while it is small and by an eighth later, so that rising sizes do not allocate each time; not
 * large from the start, for a simulator that checks accesses clears a record of each byte there is after each kernel.
 * Work that is queued keeps the old memory. */
cg_status ocl_scratch_get(ocl_device *device, ocl_scratch_use use, size_t bytes, cl_mem *memory) {
    ocl_scratch *scratch = &device->scratch[use];
    if (bytes > scratch->bytes) {
        size_t grown = scratch->bytes + (scratch->bytes < SMALL_SCRATCH ? scratch->bytes : scratch->bytes / 8);
        size_t wanted = grown > bytes && grown <= device->info.max_allocation_bytes ? grown : bytes;
        ocl_memory_release(device, scratch->memory);
        *scratch = (ocl_scratch){0};
        CG_TRY(ocl_memory_create(device, wanted, &scratch->memory));
        scratch->bytes = wanted;
    }
    *memory = scratch->memory;
    return CG_OK;
}

static void stages_release(ocl_device *device) {
    ocl_stages *stages = &device->stages;
    for (unsigned i = 0; i < OCL_STAGES; i++) {
        if (stages->event[i] != NULL) {
            clWaitForEvents(1, &stages->event[i]);
            clReleaseEvent(stages->event[i]);
        }
    }
    device->host->free(stages->memory);
    *stages = (ocl_stages){0};
}

void ocl_scratch_release(ocl_device *device) {
    for (int i = 0; i < OCL_SCRATCH_COUNT; i++) {
        ocl_memory_release(device, device->scratch[i].memory);
        device->scratch[i] = (ocl_scratch){0};
    }
    stages_release(device);
    release_retired(device);
}

cg_status ocl_buffer_create(void *device, size_t bytes, void **buffer) {
    cl_mem memory;
    CG_TRY(ocl_memory_create(device, bytes, &memory));
    *buffer = memory;
    return CG_OK;
}

void ocl_buffer_destroy(void *device, void *buffer) {
    ocl_memory_release(device, buffer);
}

/* The next stage with room for `bytes`, no longer in use. */
static cg_status stage_get(ocl_device *device, size_t bytes, unsigned *index) {
    ocl_stages *stages = &device->stages;
    if (bytes > stages->bytes) {
        stages_release(device);
        stages->memory = device->host->alloc(OCL_STAGES * bytes);
        if (stages->memory == NULL) {
            return CG_ERR_MEMORY;
        }
        stages->bytes = bytes;
    }
    *index = stages->next;
    stages->next = (stages->next + 1) % OCL_STAGES;
    cl_event *event = &stages->event[*index];
    if (*event != NULL) {
        cl_int code = clWaitForEvents(1, event);
        clReleaseEvent(*event);
        *event = NULL;
        if (code != CL_SUCCESS) {
            return ocl_fail(device, code, "clWaitForEvents", "write");
        }
    }
    return CG_OK;
}

static cg_status write_staged(ocl_device *device, cl_mem memory, size_t offset, const void *source, size_t bytes) {
    unsigned index;
    CG_TRY(stage_get(device, bytes, &index));
    unsigned char *copy = device->stages.memory + index * device->stages.bytes;
    memcpy(copy, source, bytes);
    cl_int code = clEnqueueWriteBuffer(device->queue, memory, CL_FALSE, offset, bytes, copy, 0, NULL,
                                       &device->stages.event[index]);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueWriteBuffer", NULL);
}

/* Oclgrind takes what the host stores for the whole buffer and the rest for uninitialized: there a kernel stores. */
static cg_status write_simulated(ocl_device *device, cl_mem memory, size_t offset, const void *source, size_t bytes) {
    cl_mem stage;
    CG_TRY(ocl_scratch_get(device, OCL_SCRATCH_STAGE, bytes, &stage));
    cl_int code = clEnqueueWriteBuffer(device->queue, stage, CL_TRUE, 0, bytes, source, 0, NULL, NULL);
    return code == CL_SUCCESS ? ocl_copy_bytes(device, stage, 0, memory, offset, bytes)
                              : ocl_fail(device, code, "clEnqueueWriteBuffer", NULL);
}

/* A few bytes travel as the pattern of a fill, more through a copy of our own: neither waits for the queue. Only what
 * is large does. */
cg_status ocl_write(void *handle, void *buffer, size_t offset, const void *source, size_t bytes) {
    ocl_device *device = handle;
    if (bytes == 0) {
        return CG_OK;
    }
    CG_TRY(ocl_play(device));
    if (device->info.simulator) {
        return write_simulated(device, buffer, offset, source, bytes);
    }
    if (bytes <= LARGEST_PATTERN && (bytes & (bytes - 1)) == 0 && offset % bytes == 0) {
        cl_int code = clEnqueueFillBuffer(device->queue, buffer, source, bytes, offset, bytes, 0, NULL, NULL);
        return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueFillBuffer", "write");
    }
    if (bytes <= LARGEST_STAGE) {
        return write_staged(device, buffer, offset, source, bytes);
    }
    cl_int code = clEnqueueWriteBuffer(device->queue, buffer, CL_TRUE, offset, bytes, source, 0, NULL, NULL);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueWriteBuffer", NULL);
}

/* The ops that may set an error word have a row in this table, like all that are not elementwise. */
static const char *const op_names[] = {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) [number] = #name,
#include <clgrad/ops.def>
#undef CG_OP
};

static const char *name_of(cl_long number) {
    bool known = number >= 0 && number < (cl_long)(sizeof op_names / sizeof op_names[0]) && op_names[number] != NULL;
    return known ? op_names[number] : "?";
}

static bool has_classes(cl_long number) {
    return number == CG_OP_CROSS_ENTROPY || number == CG_OP_CROSS_ENTROPY_BACKWARD || number == CG_OP_CLASS_WEIGHTS;
}

/* Asks for the error words in the queue's order, when an op could have set them; `words` is valid after a finish. */
static cg_status errors_request(ocl_device *device, cl_long words[4]) {
    words[0] = 0;
    if (!device->may_have_errors) {
        return CG_OK;
    }
    cl_int code =
        clEnqueueReadBuffer(device->queue, device->errors, CL_FALSE, 0, 4 * sizeof words[0], words, 0, NULL, NULL);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueReadBuffer", "error words");
}

static cg_status errors_check(ocl_device *device, const cl_long words[4]) {
    device->may_have_errors = false;
    if (words[0] == 0) {
        return CG_OK;
    }
    static const cl_long zero[4] = {0};
    cl_int code = clEnqueueWriteBuffer(device->queue, device->errors, CL_FALSE, 0, sizeof zero, zero, 0, NULL, NULL);
    if (code != CL_SUCCESS) {
        return ocl_fail(device, code, "clEnqueueWriteBuffer", "error words");
    }
    return device->host->fail(CG_ERR_INDEX,
                              has_classes(words[0]) ? "%s: class %lld of row %lld is not in 0..%lld"
                                                    : "%s: index %lld at place %lld is not in 0..%lld",
                              name_of(words[0]), (long long)words[2], (long long)words[1], (long long)words[3] - 1);
}

cg_status ocl_read(void *handle, void *buffer, size_t offset, void *destination, size_t bytes) {
    ocl_device *device = handle;
    cl_long words[4];
    if (bytes == 0) {
        return ocl_wait(handle);
    }
    CG_TRY(ocl_play(device));
    CG_TRY(errors_request(device, words));
    cl_int code = clEnqueueReadBuffer(device->queue, buffer, CL_TRUE, offset, bytes, destination, 0, NULL, NULL);
    if (code != CL_SUCCESS) {
        clFinish(device->queue); /* `words` must not be written after we return */
        return ocl_fail(device, code, "clEnqueueReadBuffer", NULL);
    }
    return errors_check(device, words);
}

cg_status ocl_copy(void *handle, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes) {
    ocl_device *device = handle;
    if (bytes == 0) {
        return CG_OK;
    }
    if (device->info.simulator) {
        return ocl_copy_bytes(device, source, source_offset, destination, offset, bytes);
    }
    CG_TRY(ocl_play(device));
    cl_int code = clEnqueueCopyBuffer(device->queue, source, destination, source_offset, offset, bytes, 0, NULL,
                                      ocl_timing_event(device));
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueCopyBuffer", NULL);
}

cg_status ocl_flush(void *handle) {
    ocl_device *device = handle;
    CG_TRY(ocl_play(device));
    cl_int code = clFlush(device->queue);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clFlush", NULL);
}

cg_status ocl_wait(void *handle) {
    ocl_device *device = handle;
    cl_long words[4];
    CG_TRY(ocl_play(device));
    CG_TRY(errors_request(device, words));
    cl_int code = clFinish(device->queue);
    return code == CL_SUCCESS ? errors_check(device, words) : ocl_fail(device, code, "clFinish", NULL);
}
