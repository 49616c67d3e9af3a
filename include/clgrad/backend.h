/*
 * The device table: what a backend is. cpu, reference and opencl come through this door, and so does a plug-in
 * that somebody else wrote: a shared object with one exported function, clgrad_backend (see the end of this file),
 * which imports no symbol of clgrad's. docs/adding-a-device.md walks through one.
 *
 * Found: in clgrad-backends/ beside the library, in CLGRAD_BACKEND_PATH, by cg_backend_load or the command's --backend.
 * One that cannot be used is reported with the reason and skipped.
 *
 * Versions: both tables begin with `abi` and `size`, in every version. clgrad refuses a plug-in of another ABI number;
 * the plug-in may refuse clgrad: host->fail with the reason, and return NULL. Within one number both tables only grow
 * at their end: clgrad takes what lies behind a plug-in's `size` for NULL, and a plug-in that wants a host function
 * which a later version added looks at host->size first.
 *
 * Threads: calls for one device never overlap, but they may come from different threads; calls for different devices
 * may overlap, and so may list and open. What a backend shares between its devices it must guard itself.
 *
 * Failures: a status other than CG_OK, after host->fail has left the text. Nothing may be printed, and nothing may end
 * the process. Out pointers need not be set then.
 *
 * Ownership: texts and arrays that clgrad hands over are valid during the call only, the host table as long as the
 * process lives. Texts that a backend hands over (name, reasons) must be valid as long as the process lives: literals.
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
    char string[192]; /* the device string that opens it, filled in by clgrad */
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
    bool atomics64; /* on 64-bit integers */
} cg_device_info;

/* One key=value of a device string. */
typedef struct cg_option {
    const char *key;
    const char *value;
} cg_option;

/* What clgrad gives a backend. Valid as long as the process lives; any thread may call any of it. No entry is NULL. */
typedef struct cg_host {
    uint32_t abi;  /* CG_BACKEND_ABI of clgrad */
    uint32_t size; /* sizeof(cg_host) of clgrad */
    /* Leaves an error text for this thread and returns status: return host->fail(CG_ERR_..., ...). */
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
    /* To be called after a file was added to the cache folder. Files whose names end in -HASH.bin, HASH being 32
     * hexadecimal digits, are kept as long as all of them take 256 MB together; then those that were not used (whose
     * time of change is) longest go. */
    void (*cache_added)(void);
    /* To be called with the name of a program before it is compiled, and with NULL when that is done, so that a user
     * can be told what takes so long. */
    void (*compiling)(const char *what);
    /* A part of the backend, a driver for example, that cannot be used while the rest can: `what` and why stand in the
     * list of devices from then on. */
    void (*problem)(const char *what, const char *reason);
} cg_host;

/* When a device began and ended an op, in nanoseconds of its own clock; both 0 where it had nothing to do. */
typedef struct cg_timing {
    uint64_t start, end;
} cg_timing;

/* What tuning has found for one product c [m, n] = a b, b transposed or a: the name of the fastest way (static text),
 * its speed, and that of the way that is taken without tuning, in GFLOP/s. */
typedef struct cg_tuned_product {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    const char *way;
    double speed, usual;
} cg_tuned_product;

/* Optimizer steps that run_steps takes at once. */
#define CG_MAX_STEPS 16

/* Elementwise ops that follow each other, whose operands all have as many elements, f32 in a row: element i of an
 * output depends on element i of the inputs alone. An operand whose buffer is inner + s, s < CG_MAX_INNER, is number s
 * of those that only the chain uses: no memory is behind it, and an op of the chain writes it before others read it. */
#define CG_MAX_CHAIN 16
#define CG_MAX_INNER 8
#define CG_MAX_CHAIN_OPERANDS 16 /* different ones, those without memory among them */
typedef struct cg_chain {
    const cg_op *ops;
    size_t n_ops;
    const char *inner;
} cg_chain;

/* A failure ends the tuning. */
typedef cg_status (*cg_tune_watcher)(void *context, const cg_tuned_product *product);

typedef struct cg_backend {
    uint32_t abi;  /* CG_BACKEND_ABI */
    uint32_t size; /* sizeof(cg_backend) */
    /* Required. How device strings begin: small letters, digits, _ and -; not a built-in name. */
    const char *name;

    /* Required. Sets *count to the number of devices and writes the first `capacity` of them to `infos` (zeroed; NULL
     * when capacity is 0), in the same order every time. Called often: it should be fast. No device is not an error; an
     * error means that the backend as a whole cannot work, and its text is what the user reads. */
    cg_status (*list)(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count);
    /* Required. Opens the device at `index` of list's order and sets *device, which is the backend's own and never
     * NULL. May be called again for a device that is open. `options` are the string's key=value pairs; one that the
     * backend does not know, or a value it does not like, is CG_ERR_ARGUMENT. */
    cg_status (*open)(const cg_host *host, size_t index, const cg_option *options, size_t n_options, void **device);
    /* Required. Frees what open made. All buffers are destroyed before; work may still be queued. */
    void (*close)(void *device);
    /* Optional: list's entry for an opened device, after its options have had their effect; `info` comes filled in as
     * list left it. NULL: nothing changes. */
    cg_status (*describe)(void *device, cg_device_info *info);

    /* Required. Sets *buffer to memory for that many bytes (> 0), aligned for any type; contents undefined. The pointer
     * is the backend's own: clgrad only hands it back. CG_ERR_DEVICE_MEMORY when it does not fit: clgrad then gives
     * back what it keeps in reserve and asks once more. */
    cg_status (*buffer_create)(void *device, size_t bytes, void **buffer);
    /* Required. Work that is queued may still use it: the backend waits, or keeps the memory until then. */
    void (*buffer_destroy)(void *device, void *buffer);

    /* Required, both. Offsets and sizes are bytes within the buffer. In the order of the calls, with run: a read sees
     * what was queued before it. write may return before it is done, but `source` may be reused at once; read returns
     * when all `bytes` are there, or fails: fewer bytes and CG_OK is a wrong result. bytes may be 0. */
    cg_status (*write)(void *device, void *buffer, size_t offset, const void *source, size_t bytes);
    cg_status (*read)(void *device, void *buffer, size_t offset, void *destination, size_t bytes);
    /* Optional: the same between two buffers of this device; the ranges do not overlap. NULL: read, then write. */
    cg_status (*copy)(void *device, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes);

    /* Required. Can this device run this op (see op_kinds.h)? False with *reason set makes clgrad run it on the CPU and
     * move its operands there and back; the reason is shown to the user. A kind that is not known is answered with
     * false: later versions have more. Asked once for each kind, attributes, dtypes and shapes, and remembered: the
     * answer must not depend on anything else. An operand's buffer is only told from NULL, which is an operand that is
     * absent. */
    bool (*supports)(void *device, const cg_op *op, const char **reason);
    /* Required. Runs or queues an op that supports took. Operands are buffers of this device, none with 0 elements;
     * inputs and outputs overlap only where they are the same (an op that updates in place). bit i of op->accumulate:
     * add to output i. `op` and its attributes are valid during the call only. A failure later on is reported by the
     * next read or wait. */
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

    /* Optional: compiles the program number `index` with its defaults and leaves its name (static text); a name of
     * NULL: there are no more. Only the doctor asks. NULL: nothing is compiled. */
    cg_status (*build)(void *device, size_t index, const char **name);

    /* Optional: times the ways that the device has for matrix products of up to `most` multiply-adds, tells of each
     * product, and keeps what it found for the next time that this device is opened with this driver. NULL: there is
     * nothing to choose. */
    cg_status (*tune)(void *device, uint64_t most, cg_tune_watcher watcher, void *context);

    /* Optional: runs a chain with the results of its ops one after the other, bit for bit. It is asked for the kinds
     * that supports took, none of them new ones. NULL: ops come one by one, with memory for all of their operands. */
    cg_status (*run_chain)(void *device, const cg_chain *chain);
    /* The least number of elements of a chain that is worth running as one; shorter ones come op by op. */
    int64_t chain_least;

    /* Optional: runs optimizer steps of one kind (updates.def), at most CG_MAX_STEPS, f32, as `run` would one after the
     * other, bit for bit. None writes what another reads or writes. NULL: they come one by one. */
    cg_status (*run_steps)(void *device, const cg_op *ops, size_t n_ops);
} cg_backend;

/* The one symbol of a plug-in:
 *
 *     CG_API const cg_backend *clgrad_backend(const cg_host *host);
 *
 * Called once. Gives the table, which must be valid as long as the process lives, or NULL when this clgrad does not
 * suit it, with the reason left by host->fail. */
#define CG_BACKEND_ENTRY clgrad_backend
typedef const cg_backend *(*cg_backend_entry)(const cg_host *host);

#ifdef __cplusplus
}
#endif
#endif
