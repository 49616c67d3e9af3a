/* Platforms and devices: one flat list in a fixed order, and the facts of each. */
#include "ocl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CL/cl_ext.h>

/* Newer than the headers of OpenCL 1.2, or a vendor's. */
#define DEVICE_UUID 0x106A
#define DEVICE_PCI_INFO 0x410F
#define NVIDIA_PCI_BUS 0x4008
#define NVIDIA_PCI_SLOT 0x4009
#define NVIDIA_PCI_DOMAIN 0x400A
#define PLATFORM_NOT_FOUND (-1001)

typedef struct found {
    cl_platform_id platform;
    cl_device_id device;
    cl_device_type type;
    int rank; /* place of its sort in the list */
} found;

static const struct {
    const char *platform, *driver;
} drivers[] = {
    {"Portable Computing Language", "pocl"},
    {"Intel(R) OpenCL", "intel"},
    {"rusticl", "rusticl"},
    {"Oclgrind", "oclgrind"},
    {"NVIDIA CUDA", "nvidia"},
    {"AMD Accelerated Parallel Processing", "amd"},
};

/* Texts are asked for whole, and cut then: a driver refuses to give a part. */
#define TEXT_SIZE 1024

static void platform_text(cl_platform_id platform, cl_platform_info what, char *text, size_t size) {
    char whole[TEXT_SIZE] = "";
    clGetPlatformInfo(platform, what, sizeof whole - 1, whole, NULL);
    snprintf(text, size, "%.*s", (int)size - 1, whole);
}

static void device_text(cl_device_id device, cl_device_info what, char *text, size_t size) {
    char whole[TEXT_SIZE] = "";
    clGetDeviceInfo(device, what, sizeof whole - 1, whole, NULL);
    snprintf(text, size, "%.*s", (int)size - 1, whole);
}

static cl_ulong device_number(cl_device_id device, cl_device_info what, size_t size) {
    union {
        cl_uint small;
        cl_ulong large;
    } value = {.large = 0};
    if (clGetDeviceInfo(device, what, size, &value, NULL) != CL_SUCCESS) {
        return 0;
    }
    return size == sizeof value.small ? value.small : value.large;
}

/* The driver's short name; a platform that is not in the table gives its own, in small letters with dashes. */
static void driver_name(cl_platform_id platform, char *text, size_t size) {
    char name[128];
    platform_text(platform, CL_PLATFORM_NAME, name, sizeof name);
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(name, drivers[i].platform) == 0) {
            snprintf(text, size, "%s", drivers[i].driver);
            return;
        }
    }
    for (char *c = name; *c != '\0'; c++) {
        *c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    }
    snprintf(text, size, "%.*s", (int)size - 1, name);
}

/* Discrete GPUs, integrated GPUs, accelerators, CPUs, simulators. A device that claims to be a CPU is one. */
static int rank_of(cl_platform_id platform, cl_device_id device, cl_device_type type) {
    char driver[64];
    driver_name(platform, driver, sizeof driver);
    if (strcmp(driver, "oclgrind") == 0) {
        return 4;
    }
    if (type & CL_DEVICE_TYPE_CPU) {
        return 3;
    }
    if (type & CL_DEVICE_TYPE_GPU) {
        return device_number(device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_bool)) ? 1 : 0;
    }
    return 2;
}

static cg_status platform_error(const cg_host *host, cl_int code, const char *call) {
    return host->fail(CG_ERR_DEVICE, "%s: %s (%d)", call, ocl_error_name(code), code);
}

/* No device is no fault: the hardware that the driver is for may be elsewhere. */
static void report_platform(const cg_host *host, cl_platform_id platform, cl_int code) {
    char driver[64], what[80], reason[96];
    if (code != CL_DEVICE_NOT_FOUND) {
        driver_name(platform, driver, sizeof driver);
        snprintf(what, sizeof what, "opencl:%s", driver);
        snprintf(reason, sizeof reason, "clGetDeviceIDs: %s (%d)", ocl_error_name(code), code);
        host->problem(what, reason);
    }
}

#define MAX_PLATFORMS 32
#define MAX_DEVICES 128

/* The list, unsorted; a platform whose devices cannot be asked for counts as one without devices. */
static cg_status find_devices(const cg_host *host, found *list, size_t *count) {
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint n_platforms = 0;
    ocl_start_loader();
    cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &n_platforms);
    *count = 0;
    if (code == PLATFORM_NOT_FOUND) {
        return CG_OK;
    }
    if (code != CL_SUCCESS) {
        return platform_error(host, code, "clGetPlatformIDs");
    }
    for (cl_uint i = 0; i < n_platforms && i < MAX_PLATFORMS; i++) {
        cl_device_id devices[MAX_DEVICES];
        cl_uint room = (cl_uint)(MAX_DEVICES - *count), n_devices = 0;
        code = room > 0 ? clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, room, devices, &n_devices) : CL_SUCCESS;
        if (code != CL_SUCCESS) {
            report_platform(host, platforms[i], code);
        }
        for (cl_uint j = 0; j < n_devices && j < room; j++) {
            cl_device_type type = 0;
            clGetDeviceInfo(devices[j], CL_DEVICE_TYPE, sizeof type, &type, NULL);
            list[(*count)++] = (found){platforms[i], devices[j], type, rank_of(platforms[i], devices[j], type)};
        }
    }
    return CG_OK;
}

/* Insertion sort: ties stay in the order of the platforms. */
static void sort(found *list, size_t count) {
    for (size_t i = 1; i < count; i++) {
        found moved = list[i];
        size_t j = i;
        for (; j > 0 && list[j - 1].rank > moved.rank; j--) {
            list[j] = list[j - 1];
        }
        list[j] = moved;
    }
}

static bool has_extension(const char *extensions, const char *name) {
    size_t length = strlen(name);
    for (const char *at = strstr(extensions, name); at != NULL; at = strstr(at + length, name)) {
        if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static void describe_pci(cl_device_id device, const char *extensions, cg_device_info *info) {
    cl_uint place[4] = {0}; /* domain, bus, device, function */
    bool known = false;
    if (has_extension(extensions, "cl_khr_pci_bus_info")) {
        known = clGetDeviceInfo(device, DEVICE_PCI_INFO, sizeof place, place, NULL) == CL_SUCCESS;
    } else if (has_extension(extensions, "cl_nv_device_attribute_query")) {
        cl_uint slot = (cl_uint)device_number(device, NVIDIA_PCI_SLOT, sizeof slot);
        place[0] = (cl_uint)device_number(device, NVIDIA_PCI_DOMAIN, sizeof slot);
        place[1] = (cl_uint)device_number(device, NVIDIA_PCI_BUS, sizeof slot);
        place[2] = slot >> 3;
        place[3] = slot & 7;
        known = true;
    }
    if (known) {
        snprintf(info->pci, sizeof info->pci, "%04x:%02x:%02x.%x", place[0] & 0xffff, place[1] & 0xff, place[2] & 0xff,
                 place[3] & 7);
    }
}

/* The device's list, to be freed by the caller; NULL when memory is out. */
static char *extensions_of(const cg_host *host, cl_device_id device) {
    size_t bytes = 0;
    clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, NULL, &bytes);
    char *extensions = host->alloc(bytes + 1);
    if (extensions != NULL) {
        extensions[0] = extensions[bytes] = '\0';
        clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, bytes, extensions, NULL);
    }
    return extensions;
}

bool ocl_has_extension(const ocl_device *device, const char *name) {
    char *extensions = extensions_of(device->host, device->id);
    bool has = extensions != NULL && has_extension(extensions, name);
    device->host->free(extensions);
    return has;
}

static void describe_extensions(const cg_host *host, cl_device_id device, cg_device_info *info) {
    char *extensions = extensions_of(host, device);
    if (extensions == NULL) {
        return;
    }
    info->fp16 = has_extension(extensions, "cl_khr_fp16");
    info->fp64 = has_extension(extensions, "cl_khr_fp64");
    info->subgroups = has_extension(extensions, "cl_khr_subgroups") || has_extension(extensions, "cl_intel_subgroups");
    info->atomics64 = has_extension(extensions, "cl_khr_int64_base_atomics");
    info->command_buffers = has_extension(extensions, "cl_khr_command_buffer");
    unsigned char uuid[16];
    if (has_extension(extensions, "cl_khr_device_uuid") &&
        clGetDeviceInfo(device, DEVICE_UUID, sizeof uuid, uuid, NULL) == CL_SUCCESS) {
        for (size_t i = 0; i < sizeof uuid; i++) {
            snprintf(info->uuid + 2 * i, 3, "%02x", uuid[i]);
        }
    }
    describe_pci(device, extensions, info);
    host->free(extensions);
}

/* Some names come with spaces before or after. */
static void trim(char *text) {
    size_t start = strspn(text, " "), length = strlen(text);
    while (length > start && text[length - 1] == ' ') {
        length--;
    }
    memmove(text, text + start, length - start);
    text[length - start] = '\0';
}

static void describe(const cg_host *host, const found *entry, cg_device_info *info) {
    cl_device_id device = entry->device;
    *info = (cg_device_info){0};
    device_text(device, CL_DEVICE_NAME, info->name, sizeof info->name);
    trim(info->name);
    device_text(device, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    trim(info->vendor);
    driver_name(entry->platform, info->driver, sizeof info->driver);
    device_text(device, CL_DRIVER_VERSION, info->driver_version, sizeof info->driver_version);
    device_text(device, CL_DEVICE_VERSION, info->api_version, sizeof info->api_version);
    trim(info->api_version);
    info->type = entry->type & CL_DEVICE_TYPE_CPU   ? CG_DEVICE_CPU
                 : entry->type & CL_DEVICE_TYPE_GPU ? CG_DEVICE_GPU
                                                    : CG_DEVICE_ACCELERATOR;
    snprintf(info->profile, sizeof info->profile,
             info->type == CG_DEVICE_CPU ? "cpu" : "gpu"); /* unless told otherwise */
    info->integrated = device_number(device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_bool)) != 0;
    info->simulator = entry->rank == 4;
    uint64_t units = device_number(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
    info->units = units > 0 ? (uint32_t)units : 1; /* OpenCL: at least 1; 0: the driver did not answer */
    info->memory_bytes = device_number(device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    info->max_allocation_bytes = device_number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    info->local_memory_bytes = device_number(device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    describe_extensions(host, device, info);
}

cg_status ocl_list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    found list[MAX_DEVICES];
    CG_TRY(find_devices(host, list, count));
    if (capacity == 0) { /* the first of the two calls of a listing */
        ocl_check_drivers(host);
    }
    sort(list, *count);
    for (size_t i = 0; i < *count && i < capacity; i++) {
        describe(host, &list[i], &infos[i]);
    }
    return CG_OK;
}

cg_status ocl_device_at(const cg_host *host, size_t index, cl_device_id *id, cg_device_info *info) {
    found list[MAX_DEVICES];
    size_t count;
    CG_TRY(find_devices(host, list, &count));
    sort(list, count);
    if (index >= count) {
        return host->fail(CG_ERR_DEVICE, "OpenCL device %zu: there are %zu", index, count);
    }
    *id = list[index].device;
    describe(host, &list[index], info);
    return CG_OK;
}

bool ocl_few_registers(const ocl_device *device) {
    return strstr(device->info.vendor, "Intel") != NULL;
}
