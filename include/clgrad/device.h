/* Devices: listing, choosing by a string, opening, and what happened on them. */
#ifndef CLGRAD_DEVICE_H
#define CLGRAD_DEVICE_H

#include <clgrad/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_device cg_device;

/* What dispatch does with an op that the device cannot run. */
typedef enum cg_fallback {
    CG_FALLBACK_ALLOW = 0, /* run it on the CPU */
    CG_FALLBACK_WARN = 1,  /* the same; the caller reports cg_device_fallbacks at the end */
    CG_FALLBACK_ERROR = 2, /* fail with CG_ERR_FALLBACK */
} cg_fallback;

/* One kind of op that fell back. */
typedef struct cg_fallback_info {
    const char *op;
    const char *reason;
    uint64_t count;
    uint64_t bytes; /* moved to the CPU and back */
} cg_fallback_info;

/* Counters of one device since it was opened. */
typedef struct cg_device_stats {
    uint64_t ops; /* run on the device */
    uint64_t fallback_ops;
    uint64_t buffer_allocations; /* calls of the backend's buffer_create */
    uint64_t bytes_in_use;       /* buffers that hold something */
    uint64_t bytes_allocated;    /* with those waiting in the pool */
    uint64_t bytes_peak;
} cg_device_stats;

/* A backend that could not be used, and why. */
typedef struct cg_backend_problem {
    char backend[64];
    char reason[512];
} cg_backend_problem;

/* Writes up to `capacity` descriptions of all devices of all backends, `string` filled in, and their number. The order:
 * cpu, reference, then each plug-in's in the order of its list (OpenCL: GPUs, accelerators, CPUs, simulators; ties in
 * the order of the platforms). */
CG_API cg_status cg_device_list(cg_device_info *infos, size_t capacity, size_t *count) CG_MUST_USE;

/* Up to `capacity` backends that could not be loaded or listed, and their number. Fills after cg_device_list. */
CG_API size_t cg_backend_problems(cg_backend_problem *problems, size_t capacity);

/* Loads a backend from a file, a shared object as backend.h describes it, in addition to those that are found by
 * themselves: in clgrad-backends beside the library, and in CLGRAD_BACKEND_PATH (folders and files, separated by
 * colons). The first of a name is used: call this before anything else to go before those. CG_ERR_DEVICE with the
 * reason when the file is not usable: no shared object, cut short, a library missing, another ABI, a required function
 * that is NULL. Any thread. */
CG_API cg_status cg_backend_load(const char *file) CG_MUST_USE;

/* Opens a device by its string: "auto", "cpu", "cpu,threads=4", "reference,dtype=f64", "opencl", "opencl:1",
 * "opencl:gpu", "opencl:pocl,profile=gpu", "opencl:uuid=...", part of a name. In front of it may stand decorators, the
 * outermost first: "check:" (every op against the reference in double; CG_ERR_WRONG at the first that disagrees),
 * "trace,file=run.json:" (device time of every op), "fault,at=N,kind=op:" (fails on purpose). NULL: CLGRAD_DEVICE, else
 * "auto". Errors:
 * CG_ERR_SYNTAX for a string that is not one, CG_ERR_DEVICE, which lists the candidates, for one that fits no device or
 * several. */
CG_API cg_status cg_device_open(const char *string, cg_device **device) CG_MUST_USE;

/* Closes a device. Its tensors and tapes must be gone. NULL does nothing. */
CG_API void cg_device_close(cg_device *device);

CG_API const cg_device_info *cg_device_describe(const cg_device *device);

/* Why this device was chosen when the string was "auto"; "" otherwise. */
CG_API const char *cg_device_choice(const cg_device *device);

/* The dtype of parameters and activations on this device: CG_F32; CG_F64 on the reference opened with dtype=f64. */
CG_API cg_dtype cg_device_real(const cg_device *device);

/* What tapes that are made from now on keep between ops: CG_F32, as it is computed, or CG_F16 or CG_BF16, which take
 * half of the memory. Parameters, their gradients, sums, losses and statistics stay f32, and every op computes in f32.
 * Gradients in f16 want a loss that is scaled up (a cg_trainer does it by itself). CG_ERR_DTYPE for another dtype,
 * and for 16 bits on a device that computes in f64. */
CG_API cg_status cg_device_set_precision(cg_device *device, cg_dtype precision) CG_MUST_USE;
CG_API cg_dtype cg_device_precision(const cg_device *device);

/* What the decorators have to say of the run so far, lines of text; "" without any. Valid until the next call or until
 * the device is closed. */
CG_API const char *cg_device_report(cg_device *device);

CG_API void cg_device_set_fallback(cg_device *device, cg_fallback fallback);

/* Waits until all queued work is done; reports what failed in it. */
CG_API cg_status cg_device_wait(cg_device *device) CG_MUST_USE;

CG_API void cg_device_stats_get(const cg_device *device, cg_device_stats *stats);

/* Writes up to `capacity` rows, one a kind and reason, and returns how many there are. */
CG_API size_t cg_device_fallbacks(const cg_device *device, cg_fallback_info *rows, size_t capacity);

/* Finds out which way of multiplying matrices is the fastest on this device, by trying all on products of up to `most`
 * multiply-adds (0: as large as they come), tells `watcher` (NULL: nobody) of each, and keeps the result in the cache
 * folder for this device and driver. From then on results may differ in their last bits. CG_ERR_UNSUPPORTED where there
 * is nothing to choose, CG_ERR_FILE when it cannot be kept. */
CG_API cg_status cg_device_tune(cg_device *device, uint64_t most, cg_tune_watcher watcher, void *context) CG_MUST_USE;

/* From now on `watcher` is called on this thread before a device compiles a program, with its name, and with NULL when
 * it has: the first run on a new driver may compile for many seconds. NULL: nobody. */
typedef void (*cg_compile_watcher)(void *context, const char *what);
CG_API void cg_compile_watch(cg_compile_watcher watcher, void *context);

/* The folder where compiled programs are kept: CLGRAD_CACHE_DIR, else clgrad in XDG_CACHE_HOME, else ~/.cache/clgrad;
 * NULL when there is none, or it is a link (what is loaded from there is run). */
CG_API const char *cg_cache_folder(void);

/* Removes the compiled programs that are kept there, and nothing else, and tells their number and bytes (NULL: not
 * wanted). CG_ERR_FILE when one cannot be removed. */
CG_API cg_status cg_cache_clear(size_t *files, uint64_t *bytes) CG_MUST_USE;

/* What multiplies matrices on the cpu: "oneDNN 2.6.3", "OpenBLAS 0.3.21", "built in". */
CG_API const char *cg_cpu_blas_name(void);

/* Number of calls to the host allocator by this library in this process so far (not the drivers' own). */
CG_API uint64_t cg_host_allocations(void);

#ifdef __cplusplus
}
#endif
#endif
