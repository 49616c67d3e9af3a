/* Buffers in host memory and ops by their plain loops: what the reference and the cpu backend share. */
#ifndef CLGRAD_HOST_MEMORY_H
#define CLGRAD_HOST_MEMORY_H

#include <clgrad/backend.h>

/* The functions of a backend's table of the same names; a buffer is a pointer, aligned to 64 bytes. */
cg_status ref_buffer_create(void *device, size_t bytes, void **buffer);
void ref_buffer_destroy(void *device, void *buffer);
cg_status ref_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes);
cg_status ref_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes);
cg_status ref_copy(void *device, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes);
cg_status ref_wait(void *device);

/* Whether an operand is f64. */
bool ref_has_f64(const cg_op *op);

/* Runs the reference function of the op's kind: the double one where an operand is f64. */
cg_status ref_run(const cg_op *op);

/* True where ref_run can: the kind has that function. Every built-in kind has both. */
bool ref_supports(const cg_op *op, const char **reason);

/* Fills in what is known of the machine: name, vendor and memory. */
void ref_describe_host(cg_device_info *info);

#endif
