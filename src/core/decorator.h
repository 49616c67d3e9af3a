/*
 * Decorators: devices that wrap a device, chosen by the device string ("check:opencl:0"). Since ops are data, one is a
 * backend's table whose functions look at what passes and hand it on. Buffers are the wrapped device's own.
 */
#ifndef CLGRAD_DECORATOR_H
#define CLGRAD_DECORATOR_H

#include <clgrad/backend.h>

#include "text.h"

/* The wrapped device. Every decorator's handle begins with it, so that the functions below serve them all. */
typedef struct cg_inner {
    const cg_backend *backend;
    void *handle;
    const cg_device_info *info; /* the opened device's, alive as long as the decorator */
} cg_inner;

typedef struct cg_decorator {
    const char *name;
    const cg_backend *table; /* list and open are NULL: wrap opens; close closes the wrapped device, too */
    /* Makes a handle around an open device, which stays open when this fails. */
    cg_status (*wrap)(const cg_inner *inner, const cg_option *options, size_t n_options, void **handle);
    /* Optional: what there is to say of the run so far, as lines of text. */
    void (*report)(void *handle, cg_text *text);
    /* Optional: an op that the device could not run took so long on the CPU. */
    void (*fell_back)(void *handle, const cg_op *op, double seconds);
} cg_decorator;

/* The decorator of that name; NULL when there is none. */
const cg_decorator *cg_decorator_find(const char *name, size_t length);

/* Entries for the table of a decorator that has nothing to add: they hand on. */
cg_status cg_inner_buffer_create(void *device, size_t bytes, void **buffer);
void cg_inner_buffer_destroy(void *device, void *buffer);
cg_status cg_inner_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes);
cg_status cg_inner_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes);
bool cg_inner_supports(void *device, const cg_op *op, const char **reason);
cg_status cg_inner_run(void *device, const cg_op *op);
cg_status cg_inner_flush(void *device);
cg_status cg_inner_wait(void *device);

/* Closes the wrapped device and frees the handle. */
void cg_inner_close(void *device);

#endif
