/* The driver alone: what launching a small kernel costs without clgrad. */
#ifndef CLGRAD_TOOLS_BARE_OPENCL_H
#define CLGRAD_TOOLS_BARE_OPENCL_H

#include <stdbool.h>
#include <stddef.h>

#include <clgrad/device.h>

typedef struct bare_opencl bare_opencl;

/* Opens the device that `info` describes, with its own context and queue, and a kernel that computes relu of n floats.
 * NULL when OpenCL or the device is not to be had; the reason is then in *reason. */
bare_opencl *bare_opencl_open(const cg_device_info *info, size_t n, const char **reason);
void bare_opencl_close(bare_opencl *bare);

/* Sets the kernel's arguments and queues it `count` times, then waits. */
bool bare_opencl_run(bare_opencl *bare, size_t count);

#endif
