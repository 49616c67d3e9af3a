/* The driver alone: what launching a kernel costs, and what the device can do, without clgrad. */
#ifndef CLGRAD_TOOLS_BARE_OPENCL_H
#define CLGRAD_TOOLS_BARE_OPENCL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clgrad/device.h>

#define BARE_MAX_BUFFERS 3

/* A kernel whose arguments are so many buffers, filled with ones, and a uint. */
typedef struct bare_kernel {
    const char *source, *name, *options;
    size_t n_buffers, bytes; /* of each buffer */
    uint32_t n;              /* the last argument */
    size_t global, local;
} bare_kernel;

typedef struct bare_opencl bare_opencl;

/* relu of n floats, shaped as clgrad's own kernels on that device. */
bare_kernel bare_relu(const cg_device_info *info, uint32_t n);

/* Opens the device that `info` describes, with its own context and queue, and builds the kernel. NULL when OpenCL or
 * the device is not to be had, or does not take the kernel or its buffers; the reason is then in *reason. */
bare_opencl *bare_opencl_open(const cg_device_info *info, const bare_kernel *kernel, const char **reason);
void bare_opencl_close(bare_opencl *bare);

/* Changes the kernel's last argument. */
void bare_opencl_set_n(bare_opencl *bare, uint32_t n);

/* Opens a context and a queue on that device, and closes them. */
bool bare_opencl_context(const cg_device_info *info);

/* Sets the kernel's arguments and queues it `count` times, then waits. */
bool bare_opencl_run(bare_opencl *bare, size_t count);

#endif
