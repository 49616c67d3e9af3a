/* An OpenCL driver with a platform and no device, as drivers are on a machine without their hardware. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct _cl_platform_id {
    const cl_icd_dispatch *dispatch; /* what the loader calls */
};

static cl_int CL_API_CALL platform_info(cl_platform_id platform, cl_platform_info what, size_t size, void *value,
                                        size_t *size_out) {
    (void)platform;
    const char *text = what == CL_PLATFORM_NAME         ? "Empty Driver"
                       : what == CL_PLATFORM_VERSION    ? "OpenCL 1.2 empty"
                       : what == CL_PLATFORM_PROFILE    ? "FULL_PROFILE"
                       : what == CL_PLATFORM_EXTENSIONS ? "cl_khr_icd"
                                                        : "EMPTY";
    size_t needed = strlen(text) + 1;
    if (size_out != NULL) {
        *size_out = needed;
    }
    if (value != NULL && size < needed) {
        return CL_INVALID_VALUE;
    }
    if (value != NULL) {
        memcpy(value, text, needed);
    }
    return CL_SUCCESS;
}

static cl_int CL_API_CALL device_ids(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *devices,
                                     cl_uint *count) {
    (void)platform, (void)type, (void)room, (void)devices;
    if (count != NULL) {
        *count = 0;
    }
    return CL_DEVICE_NOT_FOUND;
}

static const cl_icd_dispatch dispatch = {.clGetPlatformInfo = platform_info, .clGetDeviceIDs = device_ids};
static struct _cl_platform_id platform = {&dispatch};

static cl_int CL_API_CALL platform_ids(cl_uint room, cl_platform_id *platforms, cl_uint *count) {
    if (platforms != NULL && room > 0) {
        platforms[0] = &platform;
    }
    if (count != NULL) {
        *count = 1;
    }
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id which, cl_platform_info what, size_t size, void *value,
                                            size_t *size_out) {
    return platform_info(which, what, size, value, size_out);
}

EXPORT void *CL_API_CALL clGetExtensionFunctionAddress(const char *name) {
    cl_int(CL_API_CALL * function)(cl_uint, cl_platform_id *, cl_uint *) = platform_ids;
    void *address = NULL;
    if (strcmp(name, "clIcdGetPlatformIDsKHR") == 0) {
        memcpy(&address, &function, sizeof address);
    }
    return address;
}
