#include "bare_opencl.h"

#ifndef CLGRAD_BARE_OPENCL

bare_opencl *bare_opencl_open(const cg_device_info *info, size_t n, const char **reason) {
    (void)info, (void)n;
    *reason = "this command was built without OpenCL";
    return NULL;
}

void bare_opencl_close(bare_opencl *bare) {
    (void)bare;
}

bool bare_opencl_run(bare_opencl *bare, size_t count) {
    (void)bare, (void)count;
    return false;
}

#else

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

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
    cl_mem x, y;
    cl_uint n;
    size_t global, local;
};

/* One item does all, or items take turns: as clgrad's two profiles. */
static const char source[] = "kernel void relu(global const float *x, global float *y, uint n) {\n"
                             "    for (uint i = get_global_id(0); i < n; i += get_global_size(0))\n"
                             "        y[i] = x[i] <= 0.0f ? 0.0f : x[i];\n"
                             "}\n";

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

static bool prepare(bare_opencl *bare, cl_device_id device) {
    const char *text = source;
    const size_t bytes = bare->n * sizeof(cl_float);
    const cl_float one = 1;
    cl_int code;
    bare->context = cl.clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    bare->queue = bare->context ? cl.clCreateCommandQueue(bare->context, device, 0, &code) : NULL;
    bare->program = bare->queue ? cl.clCreateProgramWithSource(bare->context, 1, &text, NULL, &code) : NULL;
    if (!bare->program || cl.clBuildProgram(bare->program, 1, &device, "-cl-std=CL1.2", NULL, NULL) != CL_SUCCESS) {
        return false;
    }
    bare->kernel = cl.clCreateKernel(bare->program, "relu", &code);
    bare->x = cl.clCreateBuffer(bare->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    bare->y = cl.clCreateBuffer(bare->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    return bare->kernel && bare->x && bare->y &&
           cl.clEnqueueFillBuffer(bare->queue, bare->x, &one, sizeof one, 0, bytes, 0, NULL, NULL) == CL_SUCCESS;
}

bare_opencl *bare_opencl_open(const cg_device_info *info, size_t n, const char **reason) {
    cl_device_id device = load() ? find(info) : NULL;
    bare_opencl *bare = device ? calloc(1, sizeof *bare) : NULL;
    *reason = "OpenCL does not find the device";
    if (!bare) {
        return NULL;
    }
    bool items = strcmp(info->profile, "gpu") == 0;
    bare->n = (cl_uint)n;
    bare->global = items ? 64 : 1;
    bare->local = items ? 64 : 1;
    if (!prepare(bare, device)) {
        *reason = "the driver does not take the kernel";
        bare_opencl_close(bare);
        return NULL;
    }
    return bare;
}

bool bare_opencl_run(bare_opencl *bare, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (cl.clSetKernelArg(bare->kernel, 0, sizeof bare->x, &bare->x) != CL_SUCCESS ||
            cl.clSetKernelArg(bare->kernel, 1, sizeof bare->y, &bare->y) != CL_SUCCESS ||
            cl.clSetKernelArg(bare->kernel, 2, sizeof bare->n, &bare->n) != CL_SUCCESS ||
            cl.clEnqueueNDRangeKernel(bare->queue, bare->kernel, 1, NULL, &bare->global, &bare->local, 0, NULL, NULL) !=
                CL_SUCCESS) {
            return false;
        }
    }
    return cl.clFinish(bare->queue) == CL_SUCCESS;
}

void bare_opencl_close(bare_opencl *bare) {
    if (!bare) {
        return;
    }
    if (bare->x) {
        cl.clReleaseMemObject(bare->x);
    }
    if (bare->y) {
        cl.clReleaseMemObject(bare->y);
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
