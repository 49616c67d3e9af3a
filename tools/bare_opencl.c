#include "bare_opencl.h"

#include <string.h>

/* One item does all, or items take turns: as clgrad's two profiles. */
bare_kernel bare_relu(const cg_device_info *info, uint32_t n) {
    bool items = strcmp(info->profile, "gpu") == 0;
    return (bare_kernel){.source = "kernel void relu(global const float *x, global float *y, uint n) {\n"
                                   "    for (uint i = get_global_id(0); i < n; i += get_global_size(0))\n"
                                   "        y[i] = x[i] <= 0.0f ? 0.0f : x[i];\n"
                                   "}\n",
                         .name = "relu",
                         .options = "",
                         .n_buffers = 2,
                         .bytes = n * sizeof(float),
                         .n = n,
                         .global = items ? 64 : 1,
                         .local = items ? 64 : 1};
}

#ifndef CLGRAD_BARE_OPENCL

bare_opencl *bare_opencl_open(const cg_device_info *info, const bare_kernel *kernel, const char **reason) {
    (void)info, (void)kernel;
    *reason = "this command was built without OpenCL";
    return NULL;
}

void bare_opencl_close(bare_opencl *bare) {
    (void)bare;
}

void bare_opencl_set_n(bare_opencl *bare, uint32_t n) {
    (void)bare, (void)n;
}

bool bare_opencl_run(bare_opencl *bare, size_t count) {
    (void)bare, (void)count;
    return false;
}

bool bare_opencl_context(const cg_device_info *info) {
    (void)info;
    return false;
}

#else

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Taken from the library at run time: the command works where there is none. */
#define FUNCTIONS(X)                                                                                                   \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clCreateCommandQueue)                                                                                            \
    X(clCreateProgramWithSource)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clCreateKernel)                                                                                                  \
    X(clCreateBuffer)                                                                                                  \
    X(clEnqueueFillBuffer)                                                                                             \
    X(clSetKernelArg)                                                                                                  \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clFinish)                                                                                                        \
    X(clReleaseMemObject)                                                                                              \
    X(clReleaseKernel)                                                                                                 \
    X(clReleaseProgram)                                                                                                \
    X(clReleaseCommandQueue)                                                                                           \
    X(clReleaseContext)

static struct {
#define X(name) __typeof__(&name) name;
    FUNCTIONS(X)
#undef X
} cl;

struct bare_opencl {
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernel;
    cl_mem buffers[BARE_MAX_BUFFERS];
    cl_uint n_buffers, n;
    size_t global, local;
};

static bool load(void) {
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return false;
    }
#define X(name)                                                                                                        \
    *(void **)&cl.name = dlsym(library, #name);                                                                        \
    if (!cl.name) {                                                                                                    \
        return false;                                                                                                  \
    }
    FUNCTIONS(X)
#undef X
    return true;
}

#define MOST 32

/* Platforms and devices by name, as clgrad shows it: without spaces around it. */
static cl_device_id find(const cg_device_info *info) {
    cl_platform_id platforms[MOST];
    cl_uint n_platforms = 0;
    cl.clGetPlatformIDs(MOST, platforms, &n_platforms);
    for (cl_uint i = 0; i < n_platforms && i < MOST; i++) {
        cl_device_id ids[MOST];
        cl_uint count = 0;
        cl.clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MOST, ids, &count);
        for (cl_uint j = 0; j < count && j < MOST; j++) {
            char name[1024] = "", version[1024] = "";
            cl.clGetDeviceInfo(ids[j], CL_DEVICE_NAME, sizeof name - 1, name, NULL);
            cl.clGetDeviceInfo(ids[j], CL_DRIVER_VERSION, sizeof version - 1, version, NULL);
            if (strstr(name, info->name) && strcmp(version, info->driver_version) == 0) {
                return ids[j];
            }
        }
    }
    return NULL;
}

static bool open_queue(bare_opencl *bare, cl_device_id device) {
    cl_int code;
    bare->context = cl.clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    bare->queue = bare->context ? cl.clCreateCommandQueue(bare->context, device, 0, &code) : NULL;
    return bare->queue;
}

static bool build(bare_opencl *bare, cl_device_id device, const bare_kernel *kernel) {
    char options[128];
    cl_int code;
    snprintf(options, sizeof options, "-cl-std=CL1.2 %s", kernel->options);
    const char *text = kernel->source;
    bare->program =
        open_queue(bare, device) ? cl.clCreateProgramWithSource(bare->context, 1, &text, NULL, &code) : NULL;
    if (!bare->program || cl.clBuildProgram(bare->program, 1, &device, options, NULL, NULL) != CL_SUCCESS) {
        return false;
    }
    bare->kernel = cl.clCreateKernel(bare->program, kernel->name, &code);
    return bare->kernel;
}

/* Written once, so that the memory is there before anything is timed. */
static bool fill_buffers(bare_opencl *bare, const bare_kernel *kernel) {
    const cl_float one = 1;
    cl_int code;
    for (size_t i = 0; i < kernel->n_buffers; i++) {
        cl_mem buffer = cl.clCreateBuffer(bare->context, CL_MEM_READ_WRITE, kernel->bytes, NULL, &code);
        bare->buffers[i] = buffer;
        if (!buffer || cl.clEnqueueFillBuffer(bare->queue, buffer, &one, sizeof one, 0, kernel->bytes, 0, NULL, NULL) !=
                           CL_SUCCESS) {
            return false;
        }
    }
    return cl.clFinish(bare->queue) == CL_SUCCESS;
}

bare_opencl *bare_opencl_open(const cg_device_info *info, const bare_kernel *kernel, const char **reason) {
    cl_device_id device = load() ? find(info) : NULL;
    bare_opencl *bare = device ? calloc(1, sizeof *bare) : NULL;
    *reason = "OpenCL does not find the device";
    if (!bare) {
        return NULL;
    }
    bare->n_buffers = (cl_uint)kernel->n_buffers;
    bare->n = kernel->n;
    bare->global = kernel->global;
    bare->local = kernel->local;
    bool built = build(bare, device, kernel);
    if (!built || !fill_buffers(bare, kernel)) {
        *reason = built ? "the driver does not give the memory" : "the driver does not take the kernel";
        bare_opencl_close(bare);
        return NULL;
    }
    return bare;
}

void bare_opencl_set_n(bare_opencl *bare, uint32_t n) {
    bare->n = n;
}

bool bare_opencl_context(const cg_device_info *info) {
    cl_device_id device = load() ? find(info) : NULL;
    bare_opencl *bare = device ? calloc(1, sizeof *bare) : NULL;
    bool opened = bare && open_queue(bare, device);
    bare_opencl_close(bare);
    return opened;
}

static bool set_arguments(bare_opencl *bare) {
    bool good = true;
    for (cl_uint i = 0; i < bare->n_buffers; i++) {
        good = good && cl.clSetKernelArg(bare->kernel, i, sizeof bare->buffers[i], &bare->buffers[i]) == CL_SUCCESS;
    }
    return good && cl.clSetKernelArg(bare->kernel, bare->n_buffers, sizeof bare->n, &bare->n) == CL_SUCCESS;
}

bool bare_opencl_run(bare_opencl *bare, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!set_arguments(bare) || cl.clEnqueueNDRangeKernel(bare->queue, bare->kernel, 1, NULL, &bare->global,
                                                              &bare->local, 0, NULL, NULL) != CL_SUCCESS) {
            return false;
        }
    }
    return cl.clFinish(bare->queue) == CL_SUCCESS;
}

void bare_opencl_close(bare_opencl *bare) {
    if (!bare) {
        return;
    }
    for (cl_uint i = 0; i < BARE_MAX_BUFFERS; i++) {
        if (bare->buffers[i]) {
            cl.clReleaseMemObject(bare->buffers[i]);
        }
    }
    if (bare->kernel) {
        cl.clReleaseKernel(bare->kernel);
    }
    if (bare->program) {
        cl.clReleaseProgram(bare->program);
    }
    if (bare->queue) {
        cl.clReleaseCommandQueue(bare->queue);
    }
    if (bare->context) {
        cl.clReleaseContext(bare->context);
    }
    free(bare);
}

#endif
