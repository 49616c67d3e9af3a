/* The OpenCL backend's table: opening and closing a device, and which function runs which op. */
#include "half.h"
#include "ocl.h"

#include <stdio.h>
#include <string.h>

typedef cg_status (*run_fn)(ocl_device *device, const cg_op *op);

static const run_fn structured[] = {
    [CG_OP_COPY] = ocl_copy_op,
    [CG_OP_FILL] = ocl_fill,
    [CG_OP_MATMUL] = ocl_matmul,
    [CG_OP_MATMUL_RELU] = ocl_matmul,
    [CG_OP_SUM] = ocl_sum,
    [CG_OP_EXPAND] = ocl_expand,
    [CG_OP_ARGMAX] = ocl_argmax,
    [CG_OP_LOG_SOFTMAX] = ocl_log_softmax,
    [CG_OP_LOG_SOFTMAX_BACKWARD] = ocl_log_softmax_backward,
    [CG_OP_SOFTMAX] = ocl_softmax,
    [CG_OP_SOFTMAX_BACKWARD] = ocl_softmax_backward,
    [CG_OP_CROSS_ENTROPY] = ocl_cross_entropy,
    [CG_OP_CROSS_ENTROPY_BACKWARD] = ocl_cross_entropy_backward,
    [CG_OP_CLASS_WEIGHTS] = ocl_class_weights,
    [CG_OP_STRIDED_COPY] = ocl_strided_copy,
    [CG_OP_CAST] = ocl_cast,
    [CG_OP_INDEX_SELECT] = ocl_index_select,
    [CG_OP_INDEX_ADD] = ocl_index_add,
    [CG_OP_GATHER] = ocl_gather,
    [CG_OP_SCATTER_ADD] = ocl_scatter_add,
    [CG_OP_ONE_HOT] = ocl_one_hot,
    [CG_OP_CUMSUM] = ocl_cumsum,
    [CG_OP_NORMALIZE] = ocl_normalize,
    [CG_OP_NORMALIZE_RELU] = ocl_normalize,
    [CG_OP_NORMALIZE_BACKWARD] = ocl_normalize_backward,
    [CG_OP_NORMALIZE_WEIGHT_BACKWARD] = ocl_normalize_weight_backward,
    [CG_OP_BATCH_NORM_BACKWARD] = ocl_batch_norm_backward,
    [CG_OP_RUNNING_STATS] = ocl_running_stats,
    [CG_OP_RANDOM] = ocl_random,
#define CG_UPDATE(NAME, name, statements) [CG_OP_##NAME] = ocl_update,
#include <clgrad/updates.def>
#undef CG_UPDATE
    [CG_OP_CONV] = ocl_conv,
    [CG_OP_CONV_BACKWARD_INPUT] = ocl_conv_backward_input,
    [CG_OP_CONV_BACKWARD_WEIGHT] = ocl_conv_backward_weight,
    [CG_OP_MAX_POOL] = ocl_max_pool,
    [CG_OP_MAX_POOL_BACKWARD] = ocl_max_pool_backward,
    [CG_OP_AVG_POOL] = ocl_avg_pool,
    [CG_OP_AVG_POOL_BACKWARD] = ocl_avg_pool_backward,
    [CG_OP_PAD] = ocl_pad,
    [CG_OP_PAD_BACKWARD] = ocl_pad_backward,
    [CG_OP_INTERPOLATE] = ocl_interpolate,
    [CG_OP_INTERPOLATE_BACKWARD] = ocl_interpolate_backward,
};

static run_fn function_of(const cg_op_kind *kind) {
    uint32_t number = kind->number;
    if (kind->opencl_source != NULL) {
        return ocl_custom;
    }
    if (ocl_is_elementwise(number)) {
        return ocl_elementwise;
    }
    return number < sizeof structured / sizeof structured[0] ? structured[number] : NULL;
}

#define INPUT(i) (1u << (i))
#define OUTPUT(i) (1u << (CG_MAX_INPUTS + (i)))

/* The operands that hold integers: classes, indices, counts. */
static uint32_t integer_operands(uint32_t number) {
    switch (number) {
    case CG_OP_CROSS_ENTROPY:
    case CG_OP_CROSS_ENTROPY_BACKWARD:
    case CG_OP_INDEX_SELECT:
    case CG_OP_INDEX_ADD:
    case CG_OP_GATHER:
    case CG_OP_SCATTER_ADD:
        return INPUT(1);
    case CG_OP_CLASS_WEIGHTS:
        return INPUT(0) | OUTPUT(1);
    case CG_OP_ONE_HOT:
    case CG_OP_RANDOM:
        return INPUT(0);
    case CG_OP_RUNNING_STATS:
        return OUTPUT(2);
    case CG_OP_ARGMAX:
        return OUTPUT(0);
    default:
        return 0;
    }
}

/* Copies move any dtype unless they add; so do fills and casts. */
static bool moves_anything(const cg_op *op) {
    switch (op->kind->number) {
    case CG_OP_FILL:
    case CG_OP_CAST:
        return true;
    case CG_OP_COPY:
    case CG_OP_STRIDED_COPY:
        return (op->accumulate & 1) == 0;
    default:
        return false;
    }
}

static bool dtype_fits(const cg_op *op, const cg_operand *operand) {
    bool is_input = operand >= op->inputs && operand < op->inputs + CG_MAX_INPUTS;
    uint32_t bit = is_input ? INPUT(operand - op->inputs) : OUTPUT(operand - op->outputs);
    if (moves_anything(op)) {
        return true;
    }
    if (integer_operands(op->kind->number) & bit) {
        return operand->dtype == CG_I64 || (is_input && operand->dtype == CG_I32);
    }
    bool place = (op->kind->number == CG_OP_MAX_POOL && operand == &op->outputs[1]) ||
                 (op->kind->number == CG_OP_MAX_POOL_BACKWARD && operand == &op->inputs[1]);
    return operand->dtype == (place ? CG_I32 : CG_F32);
}

/* Numbers of 16 bits are copied, and cast from and to f32: dispatch asks for no more. */
static bool half_fits(const cg_op *op) {
    cg_dtype from = op->inputs[0].dtype, to = op->outputs[0].dtype;
    return (op->kind->number == CG_OP_COPY && from == to) ||
           (op->kind->number == CG_OP_CAST && (from == CG_F32 || to == CG_F32));
}

#define LARGEST_SPATIAL (1u << 30)

/* Convolution, pooling, padding and interpolation. */
static bool is_spatial(uint32_t number) {
    return number >= CG_OP_CONV && number <= CG_OP_INTERPOLATE_BACKWARD;
}

/* An operand that is absent has no dtype. */
static bool supports_operand(const cg_op *op, const cg_operand *operand, const char **reason) {
    if (operand->dtype == CG_F64) {
        *reason = "f64 tensors: OpenCL devices here compute in f32";
        return false;
    }
    if (is_spatial(op->kind->number) && ocl_numel(operand) > LARGEST_SPATIAL) {
        *reason = "more than 2^30 elements: the kernels of spatial ops count with int";
        return false;
    }
    bool half = cg_is_half(operand->dtype);
    if (operand->dtype != 0 && (half ? !half_fits(op) : !dtype_fits(op, operand))) {
        *reason = "this data type: the kernel computes in f32";
        return false;
    }
    return true;
}

static bool supports(void *device, const cg_op *op, const char **reason) {
    (void)device;
    if (function_of(op->kind) == NULL) {
        *reason = "there is no OpenCL kernel for it yet";
        return false;
    }
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (!supports_operand(op, &op->inputs[i], reason)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        if (!supports_operand(op, &op->outputs[i], reason)) {
            return false;
        }
    }
    return op->kind->opencl_source == NULL || ocl_custom_supports(op, reason);
}

static cg_status run(void *device, const cg_op *op) {
    run_fn function = function_of(op->kind);
    ocl_device *opened = device;
    if (function == NULL) {
        return opened->host->fail(CG_ERR_UNSUPPORTED, "%s: there is no OpenCL kernel for it yet", op->kind->name);
    }
    ocl_timing_begin(opened);
    cg_status status = ocl_numel(&op->outputs[0]) > 0 ? function(opened, op) : CG_OK;
    ocl_timing_end(opened);
    return status;
}

static cl_uint device_uint(cl_device_id device, cl_device_info what) {
    cl_uint value = 0;
    return clGetDeviceInfo(device, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

#define GROUP 256          /* a power of two; the tiles of matrix products take as many */
#define SIMULATED_GROUP 32 /* a simulator runs items one after the other, also those that have nothing to do */
#define LOCAL_NEEDED 32768 /* what OpenCL 1.2 promises */

/* The GPU shape's work-groups. */
static cg_status choose_group(ocl_device *device) {
    size_t largest = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof largest, &largest, NULL);
    device->group = device->info.simulator ? SIMULATED_GROUP : GROUP;
    if (!device->cpu_shape && (largest < GROUP || device->info.local_memory_bytes < LOCAL_NEEDED)) {
        return device->host->fail(
            CG_ERR_DEVICE,
            "%s has work-groups of %zu and %llu bytes of local memory; profile=gpu needs %d and %d: use profile=cpu",
            device->info.name, largest, (unsigned long long)device->info.local_memory_bytes, GROUP, LOCAL_NEEDED);
    }
    return CG_OK;
}

#ifndef CL_DEVICE_SUB_GROUP_SIZES_INTEL
#define CL_DEVICE_SUB_GROUP_SIZES_INTEL 0x4108
#endif

/* Of Intel's GPUs those whose smallest sub-group has 16 items run out of registers with the 32 that their compiler
 * chooses. */
static void choose_subgroup(ocl_device *device) {
    size_t sizes[8], bytes = 0, smallest = SIZE_MAX;
    device->shuffles = device->info.subgroups && ocl_has_extension(device, "cl_khr_subgroup_shuffle_relative");
    if (device->info.type != CG_DEVICE_GPU ||
        clGetDeviceInfo(device->id, CL_DEVICE_SUB_GROUP_SIZES_INTEL, sizeof sizes, sizes, &bytes) != CL_SUCCESS) {
        return;
    }
    for (size_t i = 0; i < bytes / sizeof sizes[0]; i++) {
        smallest = sizes[i] < smallest ? sizes[i] : smallest;
    }
    device->subgroup = smallest == 16 ? 16 : 0;
}

static void choose_width(ocl_device *device) {
    cl_uint native = device_uint(device->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    device->width = !device->cpu_shape ? 4 : native >= 16 ? 16 : native >= 8 ? 8 : 4;
}

/* Division and square root rounded correctly where the device can: PyTorch's are. */
static void choose_options(ocl_device *device) {
    cl_device_fp_config config = 0;
    clGetDeviceInfo(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, NULL);
    bool exact = (config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
    snprintf(device->options, sizeof device->options,
             "-cl-std=CL1.2%s -DCG_CPU=%d -DCG_WIDTH=%u -DCG_GROUP=%zu -DCG_FMA=%d",
             exact ? " -cl-fp32-correctly-rounded-divide-sqrt" : "", device->cpu_shape, device->width, device->group,
             (config & CL_FP_FMA) != 0);
}

static cg_status check_device(ocl_device *device) {
    unsigned major = 0, minor = 0;
    sscanf(device->info.api_version, "OpenCL %u.%u", &major, &minor);
    if (major < 1 || (major == 1 && minor < 2)) {
        return device->host->fail(CG_ERR_DEVICE, "%s speaks %s; OpenCL 1.2 is needed", device->info.name,
                                  device->info.api_version);
    }
    if (!device_uint(device->id, CL_DEVICE_AVAILABLE) || !device_uint(device->id, CL_DEVICE_COMPILER_AVAILABLE)) {
        return device->host->fail(CG_ERR_DEVICE, "%s is not available, or its driver has no compiler",
                                  device->info.name);
    }
    return CG_OK;
}

static void identify(ocl_device *device) {
    cl_platform_id platform = NULL;
    char version[192] = "";
    clGetDeviceInfo(device->id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
    clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL);
    snprintf(device->identity, sizeof device->identity, "%s|%s|%s|%s", device->info.name, device->info.driver_version,
             device->info.api_version, version);
}

static cg_status create_queue(ocl_device *device) {
    cl_int code;
    device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (device->context == NULL) {
        return ocl_fail(device, code, "clCreateContext", NULL);
    }
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    if (device->queue == NULL) {
        return ocl_fail(device, code, "clCreateCommandQueue", NULL);
    }
    const cl_long zero[4] = {0};
    CG_TRY(ocl_memory_create(device, sizeof zero, &device->errors));
    code = clEnqueueWriteBuffer(device->queue, device->errors, CL_TRUE, 0, sizeof zero, zero, 0, NULL, NULL);
    return code == CL_SUCCESS ? CG_OK : ocl_fail(device, code, "clEnqueueWriteBuffer", "error words");
}

/* Until no command runs and the driver's thread holds none. A thread of rusticl (Mesa 22.3) lets go of a command after
 * clFinish: it would destroy the command's kernel while the program that closed the device already ends, and crash.
 * Once a second command is done, the first ones are gone. */
static void finish(cl_command_queue queue) {
    clFinish(queue);
    if (clEnqueueMarkerWithWaitList(queue, 0, NULL, NULL) == CL_SUCCESS) {
        clFinish(queue);
    }
}

static void close_device(void *handle) {
    ocl_device *device = handle;
    ocl_recording_discard(device);
    if (device->queue != NULL) {
        finish(device->queue);
    }
    ocl_recording_close(device);
    ocl_blas_close(device);
    ocl_tuned_release(device);
    ocl_timing_release(device);
    ocl_kernels_release(device);
    ocl_programs_release(device);
    ocl_chains_release(device);
    ocl_memory_release(device, device->errors);
    ocl_scratch_release(device);
    if (device->queue != NULL) {
        clReleaseCommandQueue(device->queue);
    }
    if (device->context != NULL) {
        clReleaseContext(device->context);
    }
    device->host->free(device);
}

static cg_status prepare(ocl_device *device, size_t index, const cg_option *options, size_t n_options) {
    CG_TRY(ocl_device_at(device->host, index, &device->id, &device->info));
    CG_TRY(ocl_options(device, options, n_options));
    CG_TRY(check_device(device));
    CG_TRY(choose_group(device));
    choose_width(device);
    choose_subgroup(device);
    choose_options(device);
    identify(device);
    CG_TRY(create_queue(device));
    CG_TRY(ocl_recording_open(device));
    CG_TRY(ocl_blas_open(device));
    ocl_tuned_load(device);
    return CG_OK;
}

static cg_status open_device(const cg_host *host, size_t index, const cg_option *options, size_t n_options,
                             void **handle) {
    ocl_device *device = host->alloc(sizeof *device);
    if (device == NULL) {
        return CG_ERR_MEMORY;
    }
    memset(device, 0, sizeof *device);
    device->host = host;
    cg_status status = prepare(device, index, options, n_options);
    if (status != CG_OK) {
        close_device(device);
        return status;
    }
    *handle = device;
    return CG_OK;
}

static cg_status describe(void *handle, cg_device_info *info) {
    *info = ((const ocl_device *)handle)->info;
    return CG_OK;
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "opencl",
    .list = ocl_list,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .buffer_create = ocl_buffer_create,
    .buffer_destroy = ocl_buffer_destroy,
    .write = ocl_write,
    .read = ocl_read,
    .copy = ocl_copy,
    .supports = supports,
    .run = run,
    .flush = ocl_flush,
    .wait = ocl_wait,
    .timing_start = ocl_timing_start,
    .timing_take = ocl_timing_take,
    .build = ocl_build,
    .tune = ocl_tune,
    .run_chain = ocl_run_chain,
    .run_steps = ocl_run_steps,
    .chain_least = 32768, /* below that a launch takes longer than what its ops move */
};

CG_API const cg_backend *clgrad_backend(const cg_host *host);

const cg_backend *clgrad_backend(const cg_host *host) {
    return host->abi == CG_BACKEND_ABI && host->size >= sizeof *host ? &table : NULL;
}
