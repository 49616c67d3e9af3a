/*
 * What a launch costs in a queue and in a command buffer (cl_khr_command_buffer), by OpenCL alone.
 *
 *     cc -O2 tools/bench/command_buffers.c -o command_buffers -lOpenCL
 *     OCL_ICD_VENDORS=build/drivers/vendors/intel.icd ./command_buffers
 *
 * The first device of the first platform. A sequence of 30 launches, each of which needs the one before it, is queued
 * and waited for, or recorded once and queued as a command buffer; the two take turns, and the medians are shown.
 */
#define _POSIX_C_SOURCE 200809L
#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_ENABLE_BETA_EXTENSIONS
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LAUNCHES 30
#define TURNS 1001

typedef struct sequence {
    cl_command_queue queue;
    cl_kernel kernel;
    cl_mem memory;
    size_t items;
    cl_command_buffer_khr recorded;
    clEnqueueCommandBufferKHR_fn enqueue;
} sequence;

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void check(cl_int code, const char *call) {
    if (code != CL_SUCCESS) {
        fprintf(stderr, "command_buffers: %s: %d\n", call, code);
        exit(1);
    }
}

static void *function_of(cl_platform_id platform, const char *name) {
    void *function = clGetExtensionFunctionAddressForPlatform(platform, name);
    if (function == NULL) {
        fprintf(stderr, "command_buffers: the driver has no %s\n", name);
        exit(77);
    }
    return function;
}

static void record(sequence *s, cl_platform_id platform) {
    clCreateCommandBufferKHR_fn create = (clCreateCommandBufferKHR_fn)function_of(platform, "clCreateCommandBufferKHR");
    clCommandNDRangeKernelKHR_fn add = (clCommandNDRangeKernelKHR_fn)function_of(platform, "clCommandNDRangeKernelKHR");
    clFinalizeCommandBufferKHR_fn end =
        (clFinalizeCommandBufferKHR_fn)function_of(platform, "clFinalizeCommandBufferKHR");
    cl_sync_point_khr before, point;
    cl_int code;
    s->enqueue = (clEnqueueCommandBufferKHR_fn)function_of(platform, "clEnqueueCommandBufferKHR");
    s->recorded = create(1, &s->queue, NULL, &code);
    check(code, "clCreateCommandBufferKHR");
    for (int i = 0; i < LAUNCHES; i++, before = point) {
        code = add(s->recorded, NULL, NULL, s->kernel, 1, NULL, &s->items, NULL, i > 0, i > 0 ? &before : NULL, &point,
                   NULL);
        check(code, "clCommandNDRangeKernelKHR");
    }
    check(end(s->recorded), "clFinalizeCommandBufferKHR");
}

/* Microseconds a launch. */
static double run_queued(sequence *s) {
    double begin = now_us();
    for (int i = 0; i < LAUNCHES; i++) {
        check(clSetKernelArg(s->kernel, 0, sizeof s->memory, &s->memory), "clSetKernelArg");
        check(clEnqueueNDRangeKernel(s->queue, s->kernel, 1, NULL, &s->items, NULL, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
    }
    check(clFinish(s->queue), "clFinish");
    return (now_us() - begin) / LAUNCHES;
}

static double run_recorded(sequence *s) {
    double begin = now_us();
    check(s->enqueue(0, NULL, s->recorded, 0, NULL, NULL), "clEnqueueCommandBufferKHR");
    check(clFinish(s->queue), "clFinish");
    return (now_us() - begin) / LAUNCHES;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(cl_platform_id platform, cl_device_id device, size_t items) {
    static const char *source = "kernel void add_one(global float *x) { x[get_global_id(0)] += 1.0f; }";
    static double queued[TURNS], recorded[TURNS];
    sequence s = {.items = items};
    cl_int code;
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    check(code, "clCreateContext");
    s.queue = clCreateCommandQueue(context, device, 0, &code);
    check(code, "clCreateCommandQueue");
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
    check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
    s.kernel = clCreateKernel(program, "add_one", &code);
    check(code, "clCreateKernel");
    s.memory = clCreateBuffer(context, CL_MEM_READ_WRITE, items * sizeof(cl_float), NULL, &code);
    check(code, "clCreateBuffer");
    check(clSetKernelArg(s.kernel, 0, sizeof s.memory, &s.memory), "clSetKernelArg");
    record(&s, platform);
    for (int i = 0; i < TURNS; i++) {
        queued[i] = run_queued(&s);
        recorded[i] = run_recorded(&s);
    }
    qsort(queued, TURNS, sizeof *queued, compare);
    qsort(recorded, TURNS, sizeof *recorded, compare);
    printf("%6zu items: queued %.1f us a launch, recorded %.1f us\n", items, queued[TURNS / 2], recorded[TURNS / 2]);
}

int main(void) {
    cl_platform_id platform;
    cl_device_id device;
    char name[256];
    check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    check(clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name, name, NULL), "clGetPlatformInfo");
    puts(name);
    for (size_t items = 64; items <= 16384; items *= 16) {
        measure(platform, device, items);
    }
    return 0;
}
