/*
 * An OpenCL layer (cl_layer.h) that fails the calls that a test asks it to and counts objects that are alive: see
 * support/opencl_faults.h. A call that fails creates nothing and does nothing, but for those that release or wait: the
 * object is gone and the queue is empty all the same, as it is where a driver reports a failure late.
 */
#define CL_TARGET_OPENCL_VERSION 300
#define CL_ENABLE_BETA_EXTENSIONS
#include <CL/cl_layer.h>

#include <string.h>

#include "opencl_faults.h"

#define EXPORT __attribute__((visibility("default")))

#define WATCHED(X)                                                                                                     \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clRetainContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clCreateBuffer)                                                                                                  \
    X(clRetainMemObject)                                                                                               \
    X(clReleaseMemObject)                                                                                              \
    X(clGetMemObjectInfo)                                                                                              \
    X(clCreateProgramWithSource)                                                                                       \
    X(clCreateProgramWithBinary)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clGetProgramInfo)                                                                                                \
    X(clGetProgramBuildInfo)                                                                                           \
    X(clReleaseProgram)                                                                                                \
    X(clGetKernelWorkGroupInfo)                                                                                        \
    X(clGetEventProfilingInfo)                                                                                         \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clSetKernelArg)                                                                                                  \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clEnqueueReadBuffer)                                                                                             \
    X(clEnqueueWriteBuffer)                                                                                            \
    X(clEnqueueCopyBuffer)                                                                                             \
    X(clEnqueueFillBuffer)                                                                                             \
    X(clEnqueueMarkerWithWaitList)                                                                                     \
    X(clWaitForEvents)                                                                                                 \
    X(clReleaseEvent)                                                                                                  \
    X(clFlush)                                                                                                         \
    X(clFinish)                                                                                                        \
    X(clGetExtensionFunctionAddressForPlatform)                                                                        \
    X(clCreateCommandBufferKHR)                                                                                        \
    X(clCommandNDRangeKernelKHR)                                                                                       \
    X(clFinalizeCommandBufferKHR)                                                                                      \
    X(clEnqueueCommandBufferKHR)                                                                                       \
    X(clReleaseCommandBufferKHR)

#define NAME(call) #call,
static const char *const names[] = {WATCHED(NAME) NULL};

EXPORT opencl_faults opencl_faults_state = {.names = names};

static opencl_faults *const state = &opencl_faults_state;
static const cl_icd_dispatch *driver; /* what the calls go on to */

/* CL_SUCCESS, or the code that this call must end with. */
static cl_int fault(const char *call) {
    if (state->only != NULL && strstr(call, state->only) == NULL) {
        return CL_SUCCESS;
    }
    state->calls++;
    if (state->at == 0 || (state->all_after ? state->calls < state->at : state->calls != state->at)) {
        return CL_SUCCESS;
    }
    state->failed = state->failed != NULL ? state->failed : call;
    return state->code;
}

/* Goes on to the driver unless the call is to fail. */
#define PASS(call, ...)                                                                                                \
    do {                                                                                                               \
        cl_int code = fault(#call);                                                                                    \
        return code != CL_SUCCESS ? code : driver->call(__VA_ARGS__);                                                  \
    } while (0)

/* The same, and counts the object. */
#define CREATE(type, call, ...)                                                                                        \
    do {                                                                                                               \
        cl_int code = fault(#call);                                                                                    \
        type object = code == CL_SUCCESS ? driver->call(__VA_ARGS__, &code) : NULL;                                    \
        state->live += object != NULL;                                                                                 \
        if (error != NULL) {                                                                                           \
            *error = code;                                                                                             \
        }                                                                                                              \
        return object;                                                                                                 \
    } while (0)

/* Releases in any case. */
#define RELEASE(call, object)                                                                                          \
    do {                                                                                                               \
        cl_int wanted = fault(#call), code = driver->call(object);                                                     \
        state->live -= code == CL_SUCCESS;                                                                             \
        return wanted != CL_SUCCESS ? wanted : code;                                                                   \
    } while (0)

/* Waits in any case. */
#define WAIT(call, ...)                                                                                                \
    do {                                                                                                               \
        cl_int wanted = fault(#call), code = driver->call(__VA_ARGS__);                                                \
        return wanted != CL_SUCCESS ? wanted : code;                                                                   \
    } while (0)

/* As PASS, for a command that may leave an event. */
#define ENQUEUE(call, ...)                                                                                             \
    do {                                                                                                               \
        cl_int code = fault(#call);                                                                                    \
        code = code != CL_SUCCESS ? code : driver->call(__VA_ARGS__, event);                                           \
        state->live += code == CL_SUCCESS && event != NULL;                                                            \
        return code;                                                                                                   \
    } while (0)

static cl_int CL_API_CALL get_platform_ids(cl_uint room, cl_platform_id *platforms, cl_uint *count) {
    PASS(clGetPlatformIDs, room, platforms, count);
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id platform, cl_platform_info what, size_t size, void *value,
                                            size_t *needed) {
    PASS(clGetPlatformInfo, platform, what, size, value, needed);
}

static cl_int CL_API_CALL get_device_ids(cl_platform_id platform, cl_device_type type, cl_uint room,
                                         cl_device_id *devices, cl_uint *count) {
    PASS(clGetDeviceIDs, platform, type, room, devices, count);
}

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info what, size_t size, void *value,
                                          size_t *needed) {
    PASS(clGetDeviceInfo, device, what, size, value, needed);
}

static cl_context CL_API_CALL create_context(const cl_context_properties *properties, cl_uint count,
                                             const cl_device_id *devices,
                                             void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                                             void *user, cl_int *error) {
    CREATE(cl_context, clCreateContext, properties, count, devices, notify, user);
}

static cl_int CL_API_CALL retain_context(cl_context context) {
    cl_int code = fault("clRetainContext");
    code = code != CL_SUCCESS ? code : driver->clRetainContext(context);
    state->live += code == CL_SUCCESS;
    return code;
}

static cl_int CL_API_CALL release_context(cl_context context) {
    RELEASE(clReleaseContext, context);
}

static cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                 cl_command_queue_properties properties, cl_int *error) {
    CREATE(cl_command_queue, clCreateCommandQueue, context, device, properties);
}

static cl_int CL_API_CALL release_queue(cl_command_queue queue) {
    RELEASE(clReleaseCommandQueue, queue);
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host,
                                        cl_int *error) {
    CREATE(cl_mem, clCreateBuffer, context, flags, size, host);
}

static cl_int CL_API_CALL retain_memory(cl_mem memory) {
    cl_int code = fault("clRetainMemObject");
    code = code != CL_SUCCESS ? code : driver->clRetainMemObject(memory);
    state->live += code == CL_SUCCESS;
    return code;
}

static cl_int CL_API_CALL release_memory(cl_mem memory) {
    RELEASE(clReleaseMemObject, memory);
}

static cl_int CL_API_CALL get_memory_info(cl_mem memory, cl_mem_info what, size_t size, void *value, size_t *needed) {
    PASS(clGetMemObjectInfo, memory, what, size, value, needed);
}

static cl_program CL_API_CALL create_from_source(cl_context context, cl_uint count, const char **texts,
                                                 const size_t *lengths, cl_int *error) {
    CREATE(cl_program, clCreateProgramWithSource, context, count, texts, lengths);
}

static cl_program CL_API_CALL create_from_binary(cl_context context, cl_uint count, const cl_device_id *devices,
                                                 const size_t *lengths, const unsigned char **binaries, cl_int *status,
                                                 cl_int *error) {
    CREATE(cl_program, clCreateProgramWithBinary, context, count, devices, lengths, binaries, status);
}

static cl_int CL_API_CALL build_program(cl_program program, cl_uint count, const cl_device_id *devices,
                                        const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                                        void *user) {
    PASS(clBuildProgram, program, count, devices, options, notify, user);
}

static cl_int CL_API_CALL get_program_info(cl_program program, cl_program_info what, size_t size, void *value,
                                           size_t *needed) {
    PASS(clGetProgramInfo, program, what, size, value, needed);
}

static cl_int CL_API_CALL get_build_info(cl_program program, cl_device_id device, cl_program_build_info what,
                                         size_t size, void *value, size_t *needed) {
    PASS(clGetProgramBuildInfo, program, device, what, size, value, needed);
}

static cl_int CL_API_CALL release_program(cl_program program) {
    RELEASE(clReleaseProgram, program);
}

static cl_kernel CL_API_CALL create_kernel(cl_program program, const char *name, cl_int *error) {
    CREATE(cl_kernel, clCreateKernel, program, name);
}

static cl_int CL_API_CALL release_kernel(cl_kernel kernel) {
    RELEASE(clReleaseKernel, kernel);
}

static cl_int CL_API_CALL get_group_info(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what,
                                         size_t size, void *value, size_t *needed) {
    PASS(clGetKernelWorkGroupInfo, kernel, device, what, size, value, needed);
}

static cl_int CL_API_CALL get_profiling_info(cl_event event, cl_profiling_info what, size_t size, void *value,
                                             size_t *needed) {
    PASS(clGetEventProfilingInfo, event, what, size, value, needed);
}

static cl_int CL_API_CALL set_kernel_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value) {
    PASS(clSetKernelArg, kernel, index, size, value);
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                         const size_t *offset, const size_t *global, const size_t *local,
                                         cl_uint n_events, const cl_event *events, cl_event *event) {
    ENQUEUE(clEnqueueNDRangeKernel, queue, kernel, dimensions, offset, global, local, n_events, events);
}

static cl_int CL_API_CALL enqueue_read(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset,
                                       size_t size, void *to, cl_uint n_events, const cl_event *events,
                                       cl_event *event) {
    ENQUEUE(clEnqueueReadBuffer, queue, memory, blocking, offset, size, to, n_events, events);
}

static cl_int CL_API_CALL enqueue_write(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset,
                                        size_t size, const void *from, cl_uint n_events, const cl_event *events,
                                        cl_event *event) {
    ENQUEUE(clEnqueueWriteBuffer, queue, memory, blocking, offset, size, from, n_events, events);
}

static cl_int CL_API_CALL enqueue_copy(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_at, size_t to_at,
                                       size_t size, cl_uint n_events, const cl_event *events, cl_event *event) {
    ENQUEUE(clEnqueueCopyBuffer, queue, from, to, from_at, to_at, size, n_events, events);
}

static cl_int CL_API_CALL enqueue_fill(cl_command_queue queue, cl_mem memory, const void *pattern, size_t pattern_size,
                                       size_t offset, size_t size, cl_uint n_events, const cl_event *events,
                                       cl_event *event) {
    ENQUEUE(clEnqueueFillBuffer, queue, memory, pattern, pattern_size, offset, size, n_events, events);
}

static cl_int CL_API_CALL enqueue_marker(cl_command_queue queue, cl_uint n_events, const cl_event *events,
                                         cl_event *event) {
    ENQUEUE(clEnqueueMarkerWithWaitList, queue, n_events, events);
}

static cl_int CL_API_CALL wait_for_events(cl_uint count, const cl_event *events) {
    WAIT(clWaitForEvents, count, events);
}

static cl_int CL_API_CALL release_event(cl_event event) {
    RELEASE(clReleaseEvent, event);
}

static cl_int CL_API_CALL flush(cl_command_queue queue) {
    WAIT(clFlush, queue);
}

static cl_int CL_API_CALL finish(cl_command_queue queue) {
    WAIT(clFinish, queue);
}

/* The driver's own functions of cl_khr_command_buffer, which no loader stands in front of. */
static struct {
    clCreateCommandBufferKHR_fn create;
    clCommandNDRangeKernelKHR_fn add;
    clFinalizeCommandBufferKHR_fn finalize;
    clEnqueueCommandBufferKHR_fn enqueue;
    clReleaseCommandBufferKHR_fn release;
} real;

static cl_command_buffer_khr CL_API_CALL create_command_buffer(cl_uint count, const cl_command_queue *queues,
                                                               const cl_command_buffer_properties_khr *properties,
                                                               cl_int *error) {
    *error = fault("clCreateCommandBufferKHR");
    cl_command_buffer_khr made = *error == CL_SUCCESS ? real.create(count, queues, properties, error) : NULL;
    state->live += made != NULL;
    return made;
}

static cl_int CL_API_CALL add_kernel(cl_command_buffer_khr buffer, cl_command_queue queue,
                                     const cl_properties *properties, cl_kernel kernel, cl_uint dimensions,
                                     const size_t *offset, const size_t *global, const size_t *local, cl_uint n_points,
                                     const cl_sync_point_khr *points, cl_sync_point_khr *point,
                                     cl_mutable_command_khr *handle) {
    cl_int code = fault("clCommandNDRangeKernelKHR");
    return code != CL_SUCCESS ? code
                              : real.add(buffer, queue, properties, kernel, dimensions, offset, global, local, n_points,
                                         points, point, handle);
}

static cl_int CL_API_CALL finalize_command_buffer(cl_command_buffer_khr buffer) {
    cl_int code = fault("clFinalizeCommandBufferKHR");
    return code != CL_SUCCESS ? code : real.finalize(buffer);
}

static cl_int CL_API_CALL enqueue_command_buffer(cl_uint count, cl_command_queue *queues, cl_command_buffer_khr buffer,
                                                 cl_uint n_events, const cl_event *events, cl_event *event) {
    cl_int code = fault("clEnqueueCommandBufferKHR");
    return code != CL_SUCCESS ? code : real.enqueue(count, queues, buffer, n_events, events, event);
}

static cl_int CL_API_CALL release_command_buffer(cl_command_buffer_khr buffer) {
    cl_int wanted = fault("clReleaseCommandBufferKHR"), code = real.release(buffer);
    state->live -= code == CL_SUCCESS;
    return wanted != CL_SUCCESS ? wanted : code;
}

/* Puts the driver's function where ours find it, and ours in its place. */
#define STAND_FOR(function, theirs, ours)                                                                              \
    if (strcmp(name, #function) == 0 && address != NULL) {                                                             \
        function##_fn own = ours;                                                                                      \
        memcpy(&theirs, &address, sizeof address);                                                                     \
        memcpy(&address, &own, sizeof address);                                                                        \
    }

static void *CL_API_CALL find_function(cl_platform_id platform, const char *name) {
    bool fails = fault("clGetExtensionFunctionAddressForPlatform") != CL_SUCCESS;
    void *address = fails ? NULL : driver->clGetExtensionFunctionAddressForPlatform(platform, name);
    STAND_FOR(clCreateCommandBufferKHR, real.create, create_command_buffer)
    STAND_FOR(clCommandNDRangeKernelKHR, real.add, add_kernel)
    STAND_FOR(clFinalizeCommandBufferKHR, real.finalize, finalize_command_buffer)
    STAND_FOR(clEnqueueCommandBufferKHR, real.enqueue, enqueue_command_buffer)
    STAND_FOR(clReleaseCommandBufferKHR, real.release, release_command_buffer)
    return address;
}

static const cl_icd_dispatch layer = {
    .clGetPlatformIDs = get_platform_ids,
    .clGetPlatformInfo = get_platform_info,
    .clGetDeviceIDs = get_device_ids,
    .clGetDeviceInfo = get_device_info,
    .clCreateContext = create_context,
    .clRetainContext = retain_context,
    .clReleaseContext = release_context,
    .clCreateCommandQueue = create_queue,
    .clReleaseCommandQueue = release_queue,
    .clCreateBuffer = create_buffer,
    .clRetainMemObject = retain_memory,
    .clReleaseMemObject = release_memory,
    .clGetMemObjectInfo = get_memory_info,
    .clCreateProgramWithSource = create_from_source,
    .clCreateProgramWithBinary = create_from_binary,
    .clBuildProgram = build_program,
    .clGetProgramInfo = get_program_info,
    .clGetProgramBuildInfo = get_build_info,
    .clReleaseProgram = release_program,
    .clCreateKernel = create_kernel,
    .clReleaseKernel = release_kernel,
    .clGetKernelWorkGroupInfo = get_group_info,
    .clGetEventProfilingInfo = get_profiling_info,
    .clSetKernelArg = set_kernel_arg,
    .clEnqueueNDRangeKernel = enqueue_kernel,
    .clEnqueueReadBuffer = enqueue_read,
    .clEnqueueWriteBuffer = enqueue_write,
    .clEnqueueCopyBuffer = enqueue_copy,
    .clEnqueueFillBuffer = enqueue_fill,
    .clEnqueueMarkerWithWaitList = enqueue_marker,
    .clWaitForEvents = wait_for_events,
    .clReleaseEvent = release_event,
    .clFlush = flush,
    .clFinish = finish,
    .clGetExtensionFunctionAddressForPlatform = find_function,
};

EXPORT cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *needed) {
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (what != CL_LAYER_API_VERSION || (value != NULL && size < sizeof version)) {
        return CL_INVALID_VALUE;
    }
    if (value != NULL) {
        memcpy(value, &version, sizeof version);
    }
    if (needed != NULL) {
        *needed = sizeof version;
    }
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *own_count,
                                      const cl_icd_dispatch **own) {
    if (count < sizeof layer / sizeof layer.clGetPlatformIDs) {
        return CL_INVALID_VALUE;
    }
    driver = target;
    *own = &layer;
    *own_count = sizeof layer / sizeof layer.clGetPlatformIDs;
    return CL_SUCCESS;
}
