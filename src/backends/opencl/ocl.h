/*
 * One opened OpenCL device, and what the files of this backend give each other. Each family of ops has a file with its
 * host side (ocl_<family>) and its kernels in cl/<family>.cl; they all go through ocl_launch.
 */
#ifndef CLGRAD_OCL_H
#define CLGRAD_OCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include <clgrad/backend.h>

#include "embedded.h"

typedef struct ocl_program ocl_program;
typedef struct ocl_kernel ocl_kernel;
typedef struct ocl_blas ocl_blas;
typedef struct ocl_timing ocl_timing;
typedef struct ocl_recording ocl_recording;

/* What ops need between their kernels: memory that is kept and grown. */
typedef enum ocl_scratch_use {
    OCL_SCRATCH_A,
    OCL_SCRATCH_B,
    OCL_SCRATCH_PARTS,
    OCL_SCRATCH_STAGE,
    OCL_SCRATCH_COLUMNS,
    OCL_SCRATCH_PRODUCTS,
    OCL_SCRATCH_SIDES,
    OCL_SCRATCH_COUNT,
} ocl_scratch_use;

typedef struct ocl_scratch {
    cl_mem memory;
    size_t bytes;
} ocl_scratch;

/* How a GPU's product is computed: CLBlast, or OCL_WAY_TILE + i: tile i of matmul.c. */
typedef cl_uint ocl_way;
#define OCL_WAY_USUAL 0u
#define OCL_WAY_CLBLAST 1u
#define OCL_WAY_TILE 2u

#define OCL_A_TRANSPOSED 1u
#define OCL_B_TRANSPOSED 2u

/* The fastest way for a product; a file has these. */
typedef struct ocl_tuned {
    cl_ulong m, n, k;
    cl_uint transposed;
    ocl_way way;
} ocl_tuned;

#define OCL_STAGES 4
#define OCL_RETIRED 256

/* Copies of what write was given, so that it need not wait for the queue. */
typedef struct ocl_stages {
    unsigned char *memory; /* OCL_STAGES times bytes */
    size_t bytes;
    unsigned next;
    cl_event event[OCL_STAGES];
} ocl_stages;

typedef struct ocl_device {
    const cg_host *host;
    cg_device_info info;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    bool cpu_shape;     /* the profile: kernels shaped for a CPU, or for a GPU */
    unsigned width;     /* floats in the kernels' vectors: 4, 8 or 16 */
    size_t group;       /* items in a work-group of the GPU shape */
    unsigned subgroup;  /* what kernels that need many registers ask Intel's compiler for; 0: it may choose */
    bool shuffles;      /* items of a sub-group hand one another numbers: cl/rows.cl */
    char options[192];  /* for the compiler, of every program */
    char identity[512]; /* device, driver and platform with their versions: what a compiled program depends on */
    uint64_t allocated;
    cl_mem retired[OCL_RETIRED]; /* of a simulator: buffer.c says why */
    size_t n_retired;
    ocl_scratch scratch[OCL_SCRATCH_COUNT];
    ocl_stages stages;
    ocl_program *programs;
    size_t n_programs, programs_capacity;
    double compiled_seconds; /* by the driver, from source */
    bool saves_late;         /* the driver is slow to hand out binaries: program.c */
    ocl_kernel *kernels;
    size_t n_kernels, kernels_capacity;
    struct ocl_chain *chains;
    cl_mem errors; /* 4 longs: see cl/cross_entropy.cl */
    bool may_have_errors;
    ocl_blas *blas;     /* NULL: our own matrix products */
    ocl_way way;        /* that products are to take; OCL_WAY_USUAL: as tuned, or by the device's kind and the shape */
    bool usual_library; /* CLBlast where nothing was tuned */
    ocl_tuned *tuned;   /* by tune.c; NULL: nothing was tuned */
    size_t n_tuned;
    ocl_timing *timing;       /* NULL: nobody asked for times */
    bool wants_recording;     /* launches as command buffers: command_buffers=on */
    ocl_recording *recording; /* NULL: launches go to the queue at once */
} ocl_device;

/* info.c: devices and what they are. */
cg_status ocl_list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count);
/* drivers.c: tells host->problem about installed drivers that the loader has left out. */
void ocl_check_drivers(const cg_host *host);
/* To be called before anything else of OpenCL: keeps libraries that are cut short from the loader, which dies of them.
 */
void ocl_start_loader(void);
cg_status ocl_device_at(const cg_host *host, size_t index, cl_device_id *id, cg_device_info *info);
bool ocl_has_extension(const ocl_device *device, const char *name);
/* Whether 8 x 8 sums an item are too many: Intel's GPUs. */
bool ocl_few_registers(const ocl_device *device);

/* options.c: what the device string asks for, put into device->info and cpu_shape before the device is used. */
cg_status ocl_options(ocl_device *device, const cg_option *options, size_t count);

/* error.c: an OpenCL code as a status and a text that names call, detail (may be NULL), code and device. */
const char *ocl_error_name(cl_int code);
cg_status ocl_fail(const ocl_device *device, cl_int code, const char *call, const char *detail);

/* buffer.c: memory and transfers; the table's entries of the same names. */
cg_status ocl_memory_create(ocl_device *device, size_t bytes, cl_mem *memory);
void ocl_memory_release(ocl_device *device, cl_mem memory);
cg_status ocl_scratch_get(ocl_device *device, ocl_scratch_use use, size_t bytes, cl_mem *memory);
void ocl_scratch_release(ocl_device *device);
cg_status ocl_buffer_create(void *device, size_t bytes, void **buffer);
void ocl_buffer_destroy(void *device, void *buffer);
cg_status ocl_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes);
cg_status ocl_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes);
cg_status ocl_copy(void *device, void *source, size_t source_offset, void *destination, size_t offset, size_t bytes);
cg_status ocl_flush(void *device);
cg_status ocl_wait(void *device);

/* timing.c: when each op ran. `event` is where a command of an op's puts its event, NULL when nobody wants it. */
cg_status ocl_timing_start(void *device);
cg_status ocl_timing_take(void *device, cg_timing *timings, size_t capacity, size_t *count);
void ocl_timing_begin(ocl_device *device);
void ocl_timing_end(ocl_device *device);
cl_event *ocl_timing_event(ocl_device *device);
void ocl_timing_release(ocl_device *device);

double ocl_seconds(void); /* of a clock that is never set */

/* tune.c: the table's entry; the way for a product that is like one that was tuned, else OCL_WAY_USUAL. */
cg_status ocl_tune(void *device, uint64_t most, cg_tune_watcher watcher, void *context);
void ocl_tuned_load(ocl_device *device);
void ocl_tuned_release(ocl_device *device);
ocl_way ocl_tuned_way(const ocl_device *device, const ocl_tuned *product);

/* program.c: the program of a file with these defines, compiled when first asked for. `program_save` keeps its binary,
 * `programs_release` those that had to wait. */
cg_status ocl_program_get(ocl_device *device, const char *file, const char *source, const char *defines,
                          ocl_program **program);
cl_program ocl_program_handle(const ocl_program *program);
void ocl_program_save(ocl_device *device, ocl_program *program);
cg_status ocl_build(void *device, size_t index, const char **name); /* the table's entry */
void ocl_programs_release(ocl_device *device);

/* source.c: a kernel file with its #include lines resolved, or the text of a program's own kernel; host->alloc'ed. */
cg_status ocl_source_copy(const cg_host *host, const char *name, const char *source, char **text, size_t *length);
const char *ocl_source_name(size_t index); /* of the file number `index`; NULL: there are no more */
cg_status ocl_source(const cg_host *host, const char *file, char **text, size_t *length);

/* cache.c: compiled programs on disk, by the whole of what they were made from. load: NULL when there is none. */
typedef struct ocl_cache_key {
    const char *parts[3]; /* identity, options, source */
} ocl_cache_key;
unsigned char *ocl_cache_load(const cg_host *host, const ocl_cache_key *key, size_t *bytes);
bool ocl_cache_save(const cg_host *host, const ocl_cache_key *key, const unsigned char *binary, size_t bytes);

/* launch.c: one call queues one kernel. */
typedef struct ocl_arg {
    size_t bytes;     /* 0: no more arguments */
    const void *data; /* NULL: `value` */
    bool memory;
    union {
        cl_mem memory;
        cl_ulong count;
        cl_float real;
        cl_int flag;
    } value;
} ocl_arg;

#define OCL_MAX_ARGS 22

typedef struct ocl_call {
    const char *file, *kernel; /* as long as the process lives */
    const char *source;        /* NULL: what is built in as `file` */
    const char *defines;       /* NULL: none */
    size_t items[3];           /* 0 in the second or third: 1; rounded up to a multiple of group */
    size_t group;              /* work-group size in the first dimension; the others have 1 */
    ocl_arg args[OCL_MAX_ARGS];
} ocl_call;

ocl_arg ocl_memory(cl_mem memory);
ocl_arg ocl_count(uint64_t count);
ocl_arg ocl_real(double value);
ocl_arg ocl_flag(int value);
ocl_arg ocl_struct(const void *data, size_t bytes);
cg_status ocl_launch(ocl_device *device, const ocl_call *call);
/* The kernel device->kernels[kernel], which is `call`'s, with its arguments set, and what it is to be queued with. */
typedef struct ocl_ready {
    cl_kernel handle;
    cl_uint dimensions;
    size_t global[3], local[3];
} ocl_ready;
cg_status ocl_ready_kernel(ocl_device *device, size_t kernel, const ocl_call *call, ocl_ready *ready);
cg_status ocl_launch_kernel(ocl_device *device, size_t kernel, const ocl_call *call);
/* FNV-1a: goes on from the hash of what stands before. */
#define OCL_HASH_BEGIN 0xcbf29ce484222325u
uint64_t ocl_hash_text(uint64_t hash, const char *text);
void ocl_kernels_release(ocl_device *device);

/* recording.c: launches that wait to become command buffers. ocl_play queues them; it comes before whatever else is
 * asked of the queue. */
cg_status ocl_recording_open(ocl_device *device);
bool ocl_records(const ocl_device *device, const ocl_call *call);
cg_status ocl_record(ocl_device *device, size_t kernel, const ocl_call *call);
cg_status ocl_play(ocl_device *device);
/* Memory is about to go, and its handle may come again: nothing recorded holds. */
void ocl_recording_forget(ocl_device *device);
void ocl_recording_discard(ocl_device *device); /* what waits will not be queued */
void ocl_recording_close(ocl_device *device);

/* An operand as the two arguments that every kernel takes: memory and first element. */
#define OCL_OPERAND(operand) ocl_memory((operand).buffer), ocl_count((operand).offset)

/* share.c: how rows are cut into items: runs along a row, or whole rows together. */
typedef struct ocl_share {
    cl_ulong rows, length, run, pieces, rows_each;
} ocl_share;
ocl_share ocl_share_rows(const ocl_device *device, uint64_t rows, uint64_t length);
size_t ocl_share_items(const ocl_share *share);
size_t ocl_group(const ocl_device *device);
uint64_t ocl_numel(const cg_operand *operand);
size_t ocl_element_size(cg_dtype dtype);
/* How many things of `size` elements one item should do, and how many items that makes. */
uint64_t ocl_each(const ocl_device *device, uint64_t size);

/* Whether an item may do many elements each of which is a loop with bounds of its own. rusticl (Mesa 22.3) loses sums
 * there: it gets one element, or one vector, an item. */
bool ocl_nests_loops(const ocl_device *device);
size_t ocl_items(uint64_t things, uint64_t each);

/* As in cl/axes.cl: the axes above the fastest one, and how rows are shared out. */
typedef struct ocl_axes {
    cl_ulong rank;
    cl_ulong dim[CG_MAX_RANK], a[CG_MAX_RANK], b[CG_MAX_RANK];
} ocl_axes;

typedef struct ocl_steps {
    ocl_share rows;
    cl_ulong step_a, step_b;
} ocl_steps;

/* How rows that are reduced as a whole meet items: CG_LANES of cl/rows.cl. */
typedef struct ocl_lanes {
    char defines[64];
    size_t items, group;
    uint64_t rows_each;
} ocl_lanes;
ocl_lanes ocl_lanes_for(const ocl_device *device, uint64_t rows, uint64_t length);

/* An input that may be absent: the first stands in, and the kernel is told. */
cg_operand ocl_present(const cg_op *op, uint32_t input, bool *there);

/* The families. An op with no element never comes here. */
cg_status ocl_elementwise(ocl_device *device, const cg_op *op);
bool ocl_is_elementwise(uint32_t number);
/* The name of the row of elementwise.def that a kind with this number, which is elementwise, belongs to. */
const char *ocl_elementwise_row(uint32_t number, bool *unary);
/* chain.c: the table's entry; kernels that are written for a chain when it is first met, and kept. */
cg_status ocl_run_chain(void *device, const cg_chain *chain);
cg_status ocl_run_steps(void *device, const cg_op *ops, size_t n_ops);
void ocl_chains_release(ocl_device *device);
cg_status ocl_copy_op(ocl_device *device, const cg_op *op);
cg_status ocl_fill(ocl_device *device, const cg_op *op);
cg_status ocl_copy_bytes(ocl_device *device, cl_mem source, size_t source_offset, cl_mem destination, size_t offset,
                         size_t bytes);
cg_status ocl_strided_copy(ocl_device *device, const cg_op *op);
cg_status ocl_cast(ocl_device *device, const cg_op *op);
cg_status ocl_index_select(ocl_device *device, const cg_op *op);
cg_status ocl_index_add(ocl_device *device, const cg_op *op);
cg_status ocl_gather(ocl_device *device, const cg_op *op);
cg_status ocl_scatter_add(ocl_device *device, const cg_op *op);
cg_status ocl_one_hot(ocl_device *device, const cg_op *op);
cg_status ocl_normalize(ocl_device *device, const cg_op *op);
cg_status ocl_normalize_backward(ocl_device *device, const cg_op *op);
cg_status ocl_normalize_weight_backward(ocl_device *device, const cg_op *op);
cg_status ocl_batch_norm_backward(ocl_device *device, const cg_op *op);
cg_status ocl_running_stats(ocl_device *device, const cg_op *op);
cg_status ocl_random(ocl_device *device, const cg_op *op);
cg_status ocl_cumsum(ocl_device *device, const cg_op *op);
cg_status ocl_matmul(ocl_device *device, const cg_op *op);
const char *ocl_way_name(const ocl_device *device, ocl_way way); /* NULL: this device has it not, nor any after it */
cg_status ocl_sum(ocl_device *device, const cg_op *op);
cg_status ocl_expand(ocl_device *device, const cg_op *op);
cg_status ocl_argmax(ocl_device *device, const cg_op *op);
cg_status ocl_log_softmax(ocl_device *device, const cg_op *op);
cg_status ocl_log_softmax_backward(ocl_device *device, const cg_op *op);
cg_status ocl_softmax(ocl_device *device, const cg_op *op);
cg_status ocl_softmax_backward(ocl_device *device, const cg_op *op);
cg_status ocl_cross_entropy(ocl_device *device, const cg_op *op);
cg_status ocl_cross_entropy_backward(ocl_device *device, const cg_op *op);
cg_status ocl_class_weights(ocl_device *device, const cg_op *op);
cg_status ocl_update(ocl_device *device, const cg_op *op); /* every row of updates.def */
cg_status ocl_conv(ocl_device *device, const cg_op *op);
cg_status ocl_conv_backward_input(ocl_device *device, const cg_op *op);
cg_status ocl_conv_backward_weight(ocl_device *device, const cg_op *op);
cg_status ocl_max_pool(ocl_device *device, const cg_op *op);
cg_status ocl_max_pool_backward(ocl_device *device, const cg_op *op);
cg_status ocl_avg_pool(ocl_device *device, const cg_op *op);
cg_status ocl_avg_pool_backward(ocl_device *device, const cg_op *op);
cg_status ocl_pad(ocl_device *device, const cg_op *op);
cg_status ocl_pad_backward(ocl_device *device, const cg_op *op);
cg_status ocl_interpolate(ocl_device *device, const cg_op *op);
cg_status ocl_interpolate_backward(ocl_device *device, const cg_op *op);

/* custom.c: kinds that a program registered with a kernel. */
bool ocl_custom_supports(const cg_op *op, const char **reason);
cg_status ocl_custom(ocl_device *device, const cg_op *op);

/* The sum of x [outer, reduce, inner] in place of `out`; what the sum op and a product that was cut into parts share.
 */
typedef struct ocl_sum_job {
    cl_mem from, to;
    uint64_t from_at, to_at;
    uint64_t outer, reduce, inner;
    double scale;
    bool add;
} ocl_sum_job;
cg_status ocl_sum_run(ocl_device *device, const ocl_sum_job *job);

/* x [outer, inner] repeated to y [outer, reduce, inner]; what expand and a bias in front of CLBlast share. */
typedef struct ocl_expand_job {
    uint64_t outer, reduce, inner;
    double scale;
    bool add;
} ocl_expand_job;
cg_status ocl_expand_run(ocl_device *device, const cg_operand *x, const cg_operand *y, const ocl_expand_job *job);

/* clblast.c: CLBlast, where it was built with it and finds it. */
cg_status ocl_blas_open(ocl_device *device);
cg_status ocl_blas_want(ocl_device *device); /* loads it if it is not loaded */
void ocl_blas_close(ocl_device *device);
bool ocl_blas_takes(const ocl_device *device, const cg_op *op);
cg_status ocl_blas_matmul(ocl_device *device, const cg_op *op);

/* The least number of steps of `step` that cover n. */
static inline uint64_t ocl_ceil(uint64_t n, uint64_t step) {
    return (n + step - 1) / step;
}

#endif
