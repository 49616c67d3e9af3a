/* log_softmax, softmax and their gradients along the fastest axis; along others the reference's loops serve. */
#include "cpu.h"
#include "host_memory.h"
#include "vector_math.h"

#define GRAIN 4096
#define TILE 512

/* What is not a number is passed over: the sum that follows meets it. */
CPU_CLONES static float row_max(const float *x, int64_t n) {
    float lane[CPU_LANES], largest = -INFINITY;
    for (int k = 0; k < CPU_LANES; k++) {
        lane[k] = -INFINITY;
    }
    int64_t i = 0;
    for (; i + CPU_LANES <= n; i += CPU_LANES) {
#pragma omp simd
        for (int k = 0; k < CPU_LANES; k++) {
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
        }
    }
    for (int k = 0; k < CPU_LANES; k++) {
        largest = lane[k] > largest ? lane[k] : largest;
    }
    for (; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

CPU_CLONES static void exp_shifted(const float *x, cpu_log_sum sum, float scale, float *out, int64_t n, bool add) {
    if (add) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            out[i] += scale * vector_exp((x[i] - sum.largest) - sum.log);
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            out[i] = scale * vector_exp((x[i] - sum.largest) - sum.log);
        }
    }
}

void cpu_exp_shifted(const float *x, cpu_log_sum sum, float scale, float *out, int64_t n, bool add) {
    exp_shifted(x, sum, scale, out, n, add);
}

cpu_log_sum cpu_log_sum_exp(const float *x, int64_t n) {
    float largest = row_max(x, n), tile[TILE];
    double sum = 0.0;
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t count = n - i < TILE ? n - i : TILE;
        exp_shifted(x + i, (cpu_log_sum){largest, 0.0f}, 1.0f, tile, count, false);
        sum += (double)cpu_row_sum(tile, count);
    }
    return (cpu_log_sum){largest, vector_log((float)sum)};
}

CPU_CLONES static void subtract(const float *x, cpu_log_sum sum, float *y, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = (x[i] - sum.largest) - sum.log;
    }
}

typedef struct softmax_job {
    const float *x, *dy; /* of the gradient: x is the forward output */
    float *out;
    int64_t dim;
    bool add;
} softmax_job;

static void log_softmax_rows(void *context, int64_t begin, int64_t end) {
    const softmax_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->x + row * work->dim;
        subtract(x, cpu_log_sum_exp(x, work->dim), work->out + row * work->dim, work->dim);
    }
}

static void softmax_rows(void *context, int64_t begin, int64_t end) {
    const softmax_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = work->x + row * work->dim;
        exp_shifted(x, cpu_log_sum_exp(x, work->dim), 1.0f, work->out + row * work->dim, work->dim, false);
    }
}

/* Both directions of both ops, by the function of their rows. */
static cg_status run_rows(cpu_device *device, const cg_op *op, cpu_range_fn rows) {
    const int64_t *dim = op->inputs[0].shape.dim;
    if (dim[2] != 1) {
        return ref_run(op);
    }
    softmax_job work = {.x = cpu_floats(&op->inputs[0]),
                        .dy = op->n_inputs > 1 ? cpu_floats(&op->inputs[1]) : NULL,
                        .out = cpu_floats(&op->outputs[0]),
                        .dim = dim[1],
                        .add = cpu_adds(op)};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, rows, &work);
    return CG_OK;
}

cg_status cpu_log_softmax(cpu_device *device, const cg_op *op) {
    return run_rows(device, op, log_softmax_rows);
}

cg_status cpu_softmax(cpu_device *device, const cg_op *op) {
    return run_rows(device, op, softmax_rows);
}

/* dx = dy - exp(y) sum(dy) */
CPU_CLONES static void gradient_row(const float *y, const float *dy, float sum, float *dx, int64_t n, bool add) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float result = dy[i] - vector_exp(y[i]) * sum;
        dx[i] = add ? dx[i] + result : result;
    }
}

static void gradient_rows(void *context, int64_t begin, int64_t end) {
    const softmax_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = work->dy + row * work->dim;
        gradient_row(work->x + row * work->dim, dy, cpu_row_sum(dy, work->dim), work->out + row * work->dim, work->dim,
                     work->add);
    }
}

cg_status cpu_log_softmax_backward(cpu_device *device, const cg_op *op) {
    return run_rows(device, op, gradient_rows);
}

/* The sum of y dy in lanes, so that its order is the same for every instruction set. */
CPU_CLONES static float dot_row(const float *y, const float *dy, int64_t n) {
    float lane[CPU_LANES] = {0}, sum = 0.0f;
    int64_t i = 0;
    for (; i + CPU_LANES <= n; i += CPU_LANES) {
#pragma omp simd
        for (int k = 0; k < CPU_LANES; k++) {
            lane[k] += y[i + k] * dy[i + k];
        }
    }
    for (int k = 0; k < CPU_LANES; k++) {
        sum += lane[k];
    }
    for (; i < n; i++) {
        sum += y[i] * dy[i];
    }
    return sum;
}

/* dx = y (dy - sum(y dy)) */
CPU_CLONES static void softmax_gradient_row(const float *y, const float *dy, float sum, float *dx, int64_t n,
                                            bool add) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float result = y[i] * (dy[i] - sum);
        dx[i] = add ? dx[i] + result : result;
    }
}

static void softmax_gradient_rows(void *context, int64_t begin, int64_t end) {
    const softmax_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = row * work->dim;
        float sum = dot_row(work->x + at, work->dy + at, work->dim);
        softmax_gradient_row(work->x + at, work->dy + at, sum, work->out + at, work->dim, work->add);
    }
}

cg_status cpu_softmax_backward(cpu_device *device, const cg_op *op) {
    return run_rows(device, op, softmax_gradient_rows);
}
