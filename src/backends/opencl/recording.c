/*
 * Launches that come again. They wait until something else is asked of the queue; then they are compared with those of
 * the times before, and runs that never change go as one command buffer (cl_khr_command_buffer), recorded once: the
 * driver checks and prepares them no more. What changes from one time to the next, as the places of a batch do, is
 * launched by itself. Kernels, arguments and order are the same either way, and so are the bits. Only where the device
 * string asks (command_buffers=on): the one driver that could be measured is slower by it (docs/design.md).
 */
#define CL_ENABLE_BETA_EXTENSIONS
#include "ocl.h"

#include <CL/cl_ext.h>
#include <string.h>

#define LEAST_RUN 4   /* launches that are worth a command buffer */
#define MOST_KEPT 256 /* launches that wait */
#define STEADY 2      /* times that nothing may have changed before a run is recorded */
#define LISTS 8       /* sequences that are known: of a step, of a step with a shorter batch, of an evaluation */
#define DATA_BYTES 1024
#define MOST_EXTENSIONS 128

/* A launch with copies of what its arguments point to. */
typedef struct kept {
    size_t kernel;
    ocl_call call;
    bool varies;
    size_t end; /* of the run that begins here */
    cl_command_buffer_khr buffer;
    size_t bytes;
    unsigned char data[DATA_BYTES];
} kept;

typedef struct list {
    kept *launches; /* NULL: not in use */
    size_t n;
    unsigned steady;
    bool recorded;
} list;

struct ocl_recording {
    clCreateCommandBufferKHR_fn create;
    clCommandNDRangeKernelKHR_fn add;
    clFinalizeCommandBufferKHR_fn finalize;
    clEnqueueCommandBufferKHR_fn enqueue;
    clReleaseCommandBufferKHR_fn release;
    bool fails; /* the driver would not record */
    kept *waiting;
    size_t n;
    list lists[LISTS];
    size_t next; /* to be replaced */
};

/* Puts the address of an extension's function into `function`; false: the driver has it not. */
static bool find_function(cl_platform_id platform, const char *name, void *function) {
    void *address = clGetExtensionFunctionAddressForPlatform(platform, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static bool find_functions(const ocl_device *device, ocl_recording *r) {
    cl_platform_id platform = NULL;
    clGetDeviceInfo(device->id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
    return find_function(platform, "clCreateCommandBufferKHR", &r->create) &&
           find_function(platform, "clCommandNDRangeKernelKHR", &r->add) &&
           find_function(platform, "clFinalizeCommandBufferKHR", &r->finalize) &&
           find_function(platform, "clEnqueueCommandBufferKHR", &r->enqueue) &&
           find_function(platform, "clReleaseCommandBufferKHR", &r->release);
}

/* The version of the extension; 0: unknown, or there is none. */
static cl_version_khr version_of(const ocl_device *device) {
    cl_name_version_khr all[MOST_EXTENSIONS];
    size_t bytes = 0, i = 0;
    if (clGetDeviceInfo(device->id, CL_DEVICE_EXTENSIONS_WITH_VERSION_KHR, sizeof all, all, &bytes) != CL_SUCCESS) {
        return 0;
    }
    while (i < bytes / sizeof all[0] && strcmp(all[i].name, "cl_khr_command_buffer") != 0) {
        i++;
    }
    return i < bytes / sizeof all[0] ? all[i].version : 0;
}

/* A step is queued while the one before it still runs, in a queue that is in order and takes no times. Drivers of 0.9.0
 * (PoCL before 5) run a recorded launch with the arguments that its kernel has by then. */
static bool is_able(const ocl_device *device) {
    cl_device_command_buffer_capabilities_khr able = 0;
    cl_command_queue_properties wanted = 0;
    return version_of(device) > CL_MAKE_VERSION_KHR(0, 9, 0) &&
           clGetDeviceInfo(device->id, CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR, sizeof able, &able, NULL) ==
               CL_SUCCESS &&
           (able & CL_COMMAND_BUFFER_CAPABILITY_SIMULTANEOUS_USE_KHR) != 0 &&
           clGetDeviceInfo(device->id, CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR, sizeof wanted, &wanted,
                           NULL) == CL_SUCCESS &&
           wanted == 0;
}

cg_status ocl_recording_open(ocl_device *device) {
    ocl_recording r = {.n = 0};
    if (!device->wants_recording || !device->info.command_buffers) {
        return CG_OK;
    }
    if (!is_able(device) || !find_functions(device, &r)) {
        return device->host->fail(CG_ERR_ARGUMENT,
                                  "opencl: command_buffers=on: %s with %s %s needs a later cl_khr_command_buffer than "
                                  "0.9.0, with simultaneous use; leave the option out",
                                  device->info.name, device->info.driver, device->info.driver_version);
    }
    r.waiting = device->host->alloc(MOST_KEPT * sizeof *r.waiting);
    device->recording = device->host->alloc(sizeof r);
    if (r.waiting == NULL || device->recording == NULL) {
        device->host->free(r.waiting);
        device->host->free(device->recording);
        device->recording = NULL;
        return CG_ERR_MEMORY;
    }
    *device->recording = r;
    return CG_OK;
}

/* Memory stays as long as a launch waits for it, as it would in a queue. */
static void let_go_of(const kept *launch, size_t n_args) {
    const ocl_arg *args = launch->call.args;
    for (size_t i = 0; i < n_args && args[i].bytes > 0; i++) {
        if (args[i].memory && args[i].value.memory != NULL) {
            clReleaseMemObject(args[i].value.memory);
        }
    }
}

static void let_go(ocl_recording *r) {
    for (size_t i = 0; i < r->n; i++) {
        let_go_of(&r->waiting[i], OCL_MAX_ARGS);
    }
    r->n = 0;
}

static void forget(ocl_recording *r, list *known) {
    for (size_t i = 0; known->recorded && i < known->n; i++) {
        if (known->launches[i].buffer != NULL) {
            r->release(known->launches[i].buffer);
            known->launches[i].buffer = NULL;
        }
    }
    known->recorded = false;
    known->steady = 0;
}

void ocl_recording_forget(ocl_device *device) {
    for (size_t i = 0; device->recording != NULL && i < LISTS; i++) {
        list *known = &device->recording->lists[i];
        forget(device->recording, known);
        known->n = 0; /* what varies must be learnt anew: other handles are no variation */
    }
}

void ocl_recording_discard(ocl_device *device) {
    if (device->recording != NULL) {
        let_go(device->recording);
    }
}

void ocl_recording_close(ocl_device *device) {
    if (device->recording == NULL) {
        return;
    }
    ocl_recording_forget(device);
    for (size_t i = 0; i < LISTS; i++) {
        device->host->free(device->recording->lists[i].launches);
    }
    device->host->free(device->recording->waiting);
    device->host->free(device->recording);
    device->recording = NULL;
}

static bool same_argument(const ocl_arg *a, const ocl_arg *b) {
    return a->bytes == b->bytes && (a->data == NULL) == (b->data == NULL) &&
           memcmp(a->data != NULL ? a->data : &a->value, b->data != NULL ? b->data : &b->value, a->bytes) == 0;
}

static bool same_arguments(const kept *a, const kept *b) {
    for (size_t i = 0; i < OCL_MAX_ARGS && a->call.args[i].bytes + b->call.args[i].bytes > 0; i++) {
        if (!same_argument(&a->call.args[i], &b->call.args[i])) {
            return false;
        }
    }
    return true;
}

/* Whether a list's launches are of the same kernels and sizes. */
static bool is_like(const list *known, const ocl_recording *r) {
    size_t i = 0;
    while (known->launches != NULL && known->n == r->n && i < r->n &&
           known->launches[i].kernel == r->waiting[i].kernel &&
           known->launches[i].call.group == r->waiting[i].call.group &&
           memcmp(known->launches[i].call.items, r->waiting[i].call.items, sizeof r->waiting[i].call.items) == 0) {
        i++;
    }
    return i == r->n;
}

/* The arguments of `to` point into its own copies, not into those of `from`. */
static void copy_kept(kept *to, const kept *from) {
    *to = *from;
    for (size_t i = 0; i < OCL_MAX_ARGS && to->call.args[i].bytes > 0; i++) {
        ocl_arg *arg = &to->call.args[i];
        if (arg->data != NULL) {
            arg->data = to->data + ((const unsigned char *)from->call.args[i].data - from->data);
        }
    }
}

/* Keeps what waits as a list, in place of the oldest; without memory for it nothing is lost. */
static void remember(ocl_device *device) {
    ocl_recording *r = device->recording;
    list *known = &r->lists[r->next];
    forget(r, known);
    device->host->free(known->launches);
    *known = (list){.launches = device->host->alloc(r->n * sizeof *known->launches), .n = r->n};
    for (size_t i = 0; known->launches != NULL && i < r->n; i++) {
        copy_kept(&known->launches[i], &r->waiting[i]);
    }
    r->next = (r->next + 1) % LISTS;
}

/* Which launches are not what they were. */
static void compare(ocl_recording *r, list *known) {
    bool changed = false;
    for (size_t i = 0; i < known->n; i++) {
        kept *launch = &known->launches[i];
        if (!launch->varies && !same_arguments(launch, &r->waiting[i])) {
            launch->varies = changed = true;
        }
    }
    if (changed) {
        forget(r, known);
    } else if (known->steady <= STEADY) {
        known->steady++;
    }
}

/* A command buffer of the launches begin..end-1, each after the one before it; false: the driver would not. */
static bool record(ocl_device *device, list *known, size_t begin, size_t end) {
    ocl_recording *r = device->recording;
    const cl_command_buffer_properties_khr properties[] = {CL_COMMAND_BUFFER_FLAGS_KHR,
                                                           CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR, 0};
    cl_int code;
    cl_command_buffer_khr buffer = r->create(1, &device->queue, properties, &code);
    cl_sync_point_khr before = 0, point = 0;
    bool good = buffer != NULL;
    for (size_t i = begin; good && i < end; i++, before = point) {
        ocl_ready ready;
        good = ocl_ready_kernel(device, known->launches[i].kernel, &known->launches[i].call, &ready) == CG_OK &&
               r->add(buffer, NULL, NULL, ready.handle, ready.dimensions, NULL, ready.global, ready.local, i > begin,
                      i > begin ? &before : NULL, &point, NULL) == CL_SUCCESS;
    }
    if (good && r->finalize(buffer) == CL_SUCCESS) {
        known->launches[begin].buffer = buffer;
        known->launches[begin].end = end;
        known->recorded = true;
        return true;
    }
    if (buffer != NULL) {
        r->release(buffer);
    }
    return false;
}

static void record_runs(ocl_device *device, list *known) {
    for (size_t begin = 0, end; begin < known->n; begin = end) {
        end = begin + 1;
        while (!known->launches[begin].varies && end < known->n && !known->launches[end].varies) {
            end++;
        }
        if (end - begin >= LEAST_RUN && !record(device, known, begin, end)) {
            device->recording->fails = true;
            forget(device->recording, known);
            return;
        }
    }
}

static cg_status queue_all(ocl_device *device, const list *known) {
    ocl_recording *r = device->recording;
    for (size_t i = 0; i < r->n;) {
        const kept *recorded = known != NULL ? &known->launches[i] : NULL;
        if (recorded == NULL || recorded->buffer == NULL) {
            CG_TRY(ocl_launch_kernel(device, r->waiting[i].kernel, &r->waiting[i].call));
            i++;
            continue;
        }
        cl_int code = r->enqueue(0, NULL, recorded->buffer, 0, NULL, NULL);
        if (code != CL_SUCCESS) {
            return ocl_fail(device, code, "clEnqueueCommandBufferKHR", recorded->call.kernel);
        }
        i = recorded->end;
    }
    return CG_OK;
}

cg_status ocl_play(ocl_device *device) {
    ocl_recording *r = device->recording;
    if (r == NULL || r->n == 0) {
        return CG_OK;
    }
    list *known = NULL;
    for (size_t i = 0; i < LISTS && known == NULL; i++) {
        known = is_like(&r->lists[i], r) ? &r->lists[i] : NULL;
    }
    if (known == NULL) {
        remember(device);
    } else {
        compare(r, known);
        if (known->steady == STEADY && !r->fails) {
            record_runs(device, known);
        }
    }
    cg_status status = queue_all(device, known);
    let_go(r);
    return status;
}

/* Copies what an argument points to, and holds memory. */
static cg_status keep_argument(ocl_device *device, kept *launch, ocl_arg *arg) {
    if (arg->data != NULL) {
        memcpy(launch->data + launch->bytes, arg->data, arg->bytes);
        arg->data = launch->data + launch->bytes;
        launch->bytes += arg->bytes;
    }
    cl_int code = arg->memory && arg->value.memory != NULL ? clRetainMemObject(arg->value.memory) : CL_SUCCESS;
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clRetainMemObject", launch->call.kernel);
}

static size_t bytes_of(const ocl_call *call) {
    size_t bytes = 0;
    for (size_t i = 0; i < OCL_MAX_ARGS && call->args[i].bytes > 0; i++) {
        bytes += call->args[i].data != NULL ? call->args[i].bytes : 0;
    }
    return bytes;
}

bool ocl_records(const ocl_device *device, const ocl_call *call) {
    return device->recording != NULL && device->timing == NULL && bytes_of(call) <= DATA_BYTES;
}

cg_status ocl_record(ocl_device *device, size_t kernel, const ocl_call *call) {
    ocl_recording *r = device->recording;
    if (r->n == MOST_KEPT) {
        CG_TRY(ocl_play(device));
    }
    kept *launch = &r->waiting[r->n];
    launch->kernel = kernel;
    launch->call = *call;
    launch->call.defines = NULL; /* does not live that long */
    launch->varies = false;
    launch->buffer = NULL;
    launch->bytes = 0;
    for (size_t i = 0; i < OCL_MAX_ARGS && launch->call.args[i].bytes > 0; i++) {
        cg_status status = keep_argument(device, launch, &launch->call.args[i]);
        if (status != CG_OK) {
            let_go_of(launch, i);
            return status;
        }
    }
    r->n++;
    return CG_OK;
}
