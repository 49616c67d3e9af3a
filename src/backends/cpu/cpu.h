/*
 * What the files of the cpu backend share: the device, work split over its threads, scratch memory and one run
 * function for each op kind that has a fast version. Such a function hands what it does not take to ref_run.
 */
#ifndef CLGRAD_CPU_H
#define CLGRAD_CPU_H

#include <stdatomic.h>

#include <clgrad/backend.h>

/* The loops are compiled for several instruction sets and chosen when the library is loaded. Sanitizers are not ready
 * that early, and coverage would count each of them by itself. For static functions only: the others' resolvers would
 * be exported. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(CLGRAD_COVERAGE)
#define CPU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CPU_CLONES
#endif

/* Floats that are added lane by lane: the order of a sum does not depend on the instruction set. No more of them: what
 * is larger than a register is kept in memory. Several sums side by side hide how long an addition takes. */
#define CPU_LANES 8
typedef float cpu_lanes __attribute__((vector_size(4 * CPU_LANES), aligned(4), may_alias));

/* By address: how a vector this long is passed depends on the instruction set. */
static inline __attribute__((always_inline)) float cpu_lanes_sum(float lane[CPU_LANES]) {
    for (int width = CPU_LANES / 2; width > 0; width /= 2) {
        for (int k = 0; k < width; k++) {
            lane[k] += lane[k + width];
        }
    }
    return lane[0];
}

static inline int64_t cpu_smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

typedef struct cpu_conv_plans cpu_conv_plans;

/* Of the ranges that are one thread's share, how many any thread has begun; a line of the cache each. */
typedef struct cpu_share {
    _Alignas(64) atomic_llong begun;
} cpu_share;

typedef struct cpu_device {
    int threads;
    cpu_share *shares;          /* [threads] */
    cpu_conv_plans *conv_plans; /* NULL: the library has not been asked for a convolution yet */
    void *scratch;              /* grows, and is kept: no allocation after the first step */
    size_t scratch_bytes;
} cpu_device;

/* Work on the items begin..end-1. */
typedef void (*cpu_range_fn)(void *context, int64_t begin, int64_t end);

/* Calls fn for ranges that cover 0..n-1, at least `grain` items each, on all threads. Where the ranges begin depends on
 * n, grain and the number of threads; which thread runs which does not show. */
void cpu_parallel(const cpu_device *device, int64_t n, int64_t grain, cpu_range_fn fn, void *context);

/* Memory aligned to 64 bytes, valid until the next call; NULL when memory is out, with its message left. */
void *cpu_scratch(cpu_device *device, size_t bytes);

/* Threads that the process may use by default: OMP_NUM_THREADS, else its cores. 1 in a build without OpenMP. */
int cpu_default_threads(void);

static inline float *cpu_floats(const cg_operand *operand) {
    return (float *)operand->buffer + operand->offset;
}

/* The same of an input that may be absent: NULL. */
static inline const float *cpu_optional(const cg_op *op, uint32_t input) {
    return op->n_inputs > input && op->inputs[input].buffer != NULL ? cpu_floats(&op->inputs[input]) : NULL;
}

static inline bool cpu_adds(const cg_op *op) {
    return (op->accumulate & 1u) != 0;
}

/* The outputs first..end-1 of an axis whose window has a tap inside the input. */
typedef struct cpu_overlap {
    int64_t first, end;
} cpu_overlap;

/* start: the input's element that the tap of output 0 meets. */
static inline cpu_overlap cpu_overlap_of(int64_t start, int64_t stride, int64_t in, int64_t out) {
    int64_t left = in - start, first = start >= 0 ? 0 : (-start + stride - 1) / stride;
    int64_t end = left <= 0 ? 0 : (left + stride - 1) / stride;
    end = end < out ? end : out;
    return (cpu_overlap){first < end ? first : end, end};
}

typedef cg_status (*cpu_run_fn)(cpu_device *device, const cg_op *op);

/* Whether the number is that of a built-in elementwise kind. */
bool cpu_is_elementwise(uint32_t number);

cg_status cpu_elementwise(cpu_device *device, const cg_op *op);
cg_status cpu_matmul(cpu_device *device, const cg_op *op);
cg_status cpu_matmul_relu(cpu_device *device, const cg_op *op);
cg_status cpu_sum(cpu_device *device, const cg_op *op);
cg_status cpu_expand(cpu_device *device, const cg_op *op);
cg_status cpu_log_softmax(cpu_device *device, const cg_op *op);
cg_status cpu_log_softmax_backward(cpu_device *device, const cg_op *op);
cg_status cpu_softmax(cpu_device *device, const cg_op *op);
cg_status cpu_softmax_backward(cpu_device *device, const cg_op *op);
cg_status cpu_cross_entropy(cpu_device *device, const cg_op *op);
cg_status cpu_cross_entropy_backward(cpu_device *device, const cg_op *op);
cg_status cpu_strided_copy(cpu_device *device, const cg_op *op);
cg_status cpu_normalize(cpu_device *device, const cg_op *op);
cg_status cpu_normalize_backward(cpu_device *device, const cg_op *op);
cg_status cpu_normalize_weight_backward(cpu_device *device, const cg_op *op);
cg_status cpu_batch_norm_backward(cpu_device *device, const cg_op *op);
cg_status cpu_update(cpu_device *device, const cg_op *op); /* every row of updates.def */
cg_status cpu_conv(cpu_device *device, const cg_op *op);
cg_status cpu_conv_backward_input(cpu_device *device, const cg_op *op);
cg_status cpu_conv_backward_weight(cpu_device *device, const cg_op *op);
void cpu_conv_library_close(cpu_conv_plans *plans);
cg_status cpu_max_pool(cpu_device *device, const cg_op *op);
cg_status cpu_max_pool_backward(cpu_device *device, const cg_op *op);
cg_status cpu_planes(cpu_device *device, const cg_op *op); /* other pooling, padding, interpolation */
cg_status cpu_copy(cpu_device *device, const cg_op *op);
cg_status cpu_run_chain(void *device, const cg_chain *chain);          /* the table's entry */
cg_status cpu_run_steps(void *device, const cg_op *ops, size_t n_ops); /* the table's entry */
cg_status cpu_cast(cpu_device *device, const cg_op *op);
cg_status cpu_fill(cpu_device *device, const cg_op *op);

/* Sum of n floats in an order that depends on n alone. */
float cpu_row_sum(const float *x, int64_t n);

/* The largest of n floats and log(sum(exp(x - largest))): their sum loses digits where the largest is large. */
typedef struct cpu_log_sum {
    float largest, log;
} cpu_log_sum;

cpu_log_sum cpu_log_sum_exp(const float *x, int64_t n);

/* out = scale exp(x - sum.largest - sum.log); added to out where `add`. */
void cpu_exp_shifted(const float *x, cpu_log_sum sum, float scale, float *out, int64_t n, bool add);

#endif
