/* The only caller of a backend's transfers and ops: support, fallback and counting are here, once for every op. */
#ifndef CLGRAD_DISPATCH_H
#define CLGRAD_DISPATCH_H

#include "device.h"

/* Runs an op on the device, or on the CPU where the device cannot. */
cg_status cg_dispatch_run(cg_device *device, const cg_op *op) CG_MUST_USE;

/* Runs a chain, on a device that has run_chain. */
cg_status cg_dispatch_chain(cg_device *device, const cg_chain *chain) CG_MUST_USE;

/* Runs optimizer steps as one, on a device that has run_steps. */
cg_status cg_dispatch_steps(cg_device *device, const cg_op *ops, size_t n_ops) CG_MUST_USE;

/* Can the device run it? The reason is static text when it cannot. Cached. */
bool cg_dispatch_supports(cg_device *device, const cg_op *op, const char **reason);

/* Moves an op to the CPU: inputs there, outputs back. */
cg_status cg_dispatch_fallback(cg_device *device, const cg_op *op, const char *reason) CG_MUST_USE;

/* Byte offsets into a buffer of the device's pool. */
cg_status cg_dispatch_write(cg_device *device, cg_buffer *buffer, size_t offset, const void *source,
                            size_t bytes) CG_MUST_USE;
cg_status cg_dispatch_read(cg_device *device, cg_buffer *buffer, size_t offset, void *destination,
                           size_t bytes) CG_MUST_USE;

#endif
