/*
 * The device table: what a backend is. cpu, reference and opencl come through this door, and so does a plug-in
 * that somebody else wrote: a shared object with one exported function, CG_BACKEND_ENTRY, which imports no symbol of
 * clgrad's. Calls for one device never overlap; different devices may be used by different threads.
 */
#ifndef CLGRAD_BACKEND_H
#define CLGRAD_BACKEND_H

#include <clgrad/op_kinds.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when the table, the operands or the meaning of a function change. A plug-in of another number is refused. */
#define CG_BACKEND_ABI 1u

typedef enum cg_device_type {
    CG_DEVICE_CPU = 1,
    CG_DEVICE_GPU = 2,
    CG_DEVICE_ACCELERATOR = 3,
} cg_device_type;

/* What a device is. Texts are cut to fit, unknown numbers are 0, unknown texts "". */
typedef struct cg_device_info {
    char string[96]; /* the device string that opens it, filled in by clgrad */
    char name[128];
    char vendor[128];
    char driver[64];    /* the implementation, short: pocl, intel, rusticl, nvidia ...; cpu's own name for itself */
    char platform[128]; /* the OpenCL platform's name; "" elsewhere */
    char driver_version[128];
    char api_version[64]; /* "OpenCL 3.0 ..." */
    char profile[8];      /* shape of the kernels: "cpu" or "gpu"; "" where there is only one */
    char uuid[40];        /* 32 hex digits */
    char pci[16];         /* 0000:65:00.0 */
    cg_device_type type;
    bool integrated; /* shares its memory with the host */
    bool simulator;  /* never chosen by auto or gpu */
    bool fp16, fp64, subgroups, command_buffers;
    uint32_t units; /* compute units or threads */
    uint64_t memory_bytes, max_allocation_bytes, local_memory_bytes;
} cg_device_info;

/* One key=value of a device string. */
typedef struct cg_option {
    const char *key;
    const char *value;
} cg_option;

/* What clgrad gives a backend. Valid as long as the process lives. */
typedef struct cg_host {
    uint32_t abi;
    uint32_t size;
    /* Leaves an error text and returns status. */
    cg_status (*fail)(cg_status status, const char *format, ...);
    /* One line for a person who asked to see more (CLGRAD_LOG=1), without a newline. */
    void (*log)(const char *format, ...);
    /* Host memory, counted by clgrad; alloc may return NULL. */
    void *(*alloc)(size_t bytes);
    void (*free)(void *memory);
    /* The folder for files that save time the next time (created if missing); NULL when there is none. */
    const char *(*cache_folder)(void);
    /* To be called before a program is compiled or loaded, with its name; a failure is to be passed on. */
    cg_status (*building)(const char *what);
} cg_host;

/* When a device began and ended an op, in nanoseconds of its own clock; both 0 where it had nothing to do. */
typedef struct cg_timing {
    uint64_t start, end;
} cg_timing;

typedef struct cg_backend {
    uint32_t abi;  /* CG_BACKEND_ABI */
    uint32_t size; /* sizeof(cg_backend) */
    const char *name;

    /* Required. Writes up to `capacity` descriptions in a fixed order and the number of devices. No device is not an
     * error; an error here means that the backend as a whole cannot work, and its text says why. */
    cg_status (*list)(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count);
    /* Required. Opens the device at `index` of list. An option it does not know, or a value, is CG_ERR_ARGUMENT. */
    cg_status (*open)(const cg_host *host, size_t index, const cg_option *options, size_t n_options, void **device);
    /* Required. All buffers are destroyed before. */
    void (*close)(void *device);
    /* Optional: the same as list's entry, after the options have had their effect. NULL: nothing changes. */
    cg_status (*describe)(void *device, cg_device_info *info);

    /* Required. bytes > 0; contents undefined. CG_ERR_DEVICE_MEMORY when it does not fit. */
    cg_status (*buffer_create)(void *device, size_t bytes, void **buffer);
    void (*buffer_destroy)(void *device, void *buffer);

    /* Required. Byte offsets. `source` may be reused as soon as write returns; read waits for the data. In order with
     * run. */
    cg_status (*write)(void *device, void *buffer, size_t offset, const void *source, size_t bytes);
    cg_status (*read)(void *device, void *buffer, size_t offset, void *destination, size_t bytes);
    /* Optional: both buffers on this device, not overlapping. NULL: read, then write. */
    cg_status (*copy)(void *device, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes);

    /* Required. Can this device run this op? False with a reason (static text) makes clgrad run it on the CPU. Asked
     * once for each kind, attributes, dtypes and shapes; buffers are not looked at. */
    bool (*supports)(void *device, const cg_op *op, const char **reason);
    /* Required. Queues the op: may return before it is done. What fails later is reported by read or wait. */
    cg_status (*run)(void *device, const cg_op *op);
    /* Optional: start what is queued; NULL: nothing to do. */
    cg_status (*flush)(void *device);
    /* Required. Wait for all that is queued. */
    cg_status (*wait)(void *device);

    /* Optional, both or neither. timing_start: from now on the device keeps the time of every run. timing_take waits,
     * gives the times of the runs since the last call in their order, up to `capacity`, and forgets all. NULL: the
     * host's clock around run and wait is taken instead. */
    cg_status (*timing_start)(void *device);
    cg_status (*timing_take)(void *device, cg_timing *timings, size_t capacity, size_t *count);
} cg_backend;

/* The one symbol of a plug-in: gives its table, or NULL when `host` does not suit it. */
#define CG_BACKEND_ENTRY clgrad_backend
typedef const cg_backend *(*cg_backend_entry)(const cg_host *host);

#ifdef __cplusplus
}
#endif
#endif
