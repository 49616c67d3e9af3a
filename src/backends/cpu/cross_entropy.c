/* Cross-entropy and its gradient: row by row, or where rows are short, a block of them at a time. */
#include <math.h>
#include <string.h>

#include "../reference/target.h"
#include "cpu.h"
#include "vector_math.h"

#define GRAIN 4096
#define SHORT 32 /* classes: so few leave most of a vector empty */
#define ROWS 64  /* of short rows in a block */

typedef struct loss_job {
    const float *logits, *sums_in, *dloss, *factor; /* factor NULL: 1 for all */
    const cg_operand *target;
    float *loss, *sums, *dlogits;
    int64_t classes, ignored;
    bool add;
} loss_job;

static float factor_of(const loss_job *work, int64_t row) {
    return work->factor != NULL ? work->factor[row] : 1.0f;
}

/* Of at most ROWS rows of n <= SHORT elements: the largest of each and the logarithm of sum(exp(x - largest)), one
 * element of all rows after the other. What is not a number is no largest, and is in the sum. */
CPU_CLONES static void sums_of_block(const float *x, int64_t rows, int64_t n, float *sums) {
    float tile[ROWS * SHORT], largest[ROWS], total[ROWS];
    for (int64_t r = 0; r < rows; r++) {
        largest[r] = -INFINITY;
        total[r] = 0.0f;
    }
    for (int64_t i = 0; i < n; i++) {
#pragma omp simd
        for (int64_t r = 0; r < rows; r++) {
            largest[r] = x[r * n + i] > largest[r] ? x[r * n + i] : largest[r];
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < n; i++) {
            tile[r * n + i] = x[r * n + i] - largest[r];
        }
    }
#pragma omp simd
    for (int64_t i = 0; i < rows * n; i++) {
        tile[i] = vector_exp(tile[i]);
    }
    for (int64_t i = 0; i < n; i++) {
#pragma omp simd
        for (int64_t r = 0; r < rows; r++) {
            total[r] += tile[r * n + i];
        }
    }
#pragma omp simd
    for (int64_t r = 0; r < rows; r++) {
        total[r] = vector_log(total[r]);
    }
    for (int64_t r = 0; r < rows; r++) {
        sums[2 * r] = largest[r];
        sums[2 * r + 1] = total[r];
    }
}

static void sums_of_rows(const loss_job *work, int64_t begin, int64_t end) {
    const float *x = work->logits;
    int64_t n = work->classes;
    for (int64_t row = begin; row < end && n > SHORT; row++) {
        cpu_log_sum sum = cpu_log_sum_exp(x + row * n, n);
        work->sums[2 * row] = sum.largest;
        work->sums[2 * row + 1] = sum.log;
    }
    for (int64_t row = begin; row < end && n <= SHORT; row += ROWS) {
        sums_of_block(x + row * n, end - row < ROWS ? end - row : ROWS, n, work->sums + 2 * row);
    }
}

static void loss_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    sums_of_rows(work, begin, end);
    for (int64_t row = begin; row < end; row++) {
        const float *sum = work->sums + 2 * row;
        int64_t label = target_class(work->target, row);
        float loss = label == work->ignored ? 0.0f : (sum[0] - work->logits[row * work->classes + label]) + sum[1];
        work->loss[row] = factor_of(work, row) * loss;
    }
}

cg_status cpu_cross_entropy(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(op, &op->inputs[1], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .loss = cpu_floats(&op->outputs[0]),
                     .sums = cpu_floats(&op->outputs[1]),
                     .factor = cpu_optional(op, 2),
                     .ignored = ((const cg_class_attrs *)op->attrs)->ignored,
                     .classes = dim[1]};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, loss_rows, &work);
    return CG_OK;
}

static void gradient_of_none(float *dx, int64_t classes, bool add) {
    if (!add) {
        memset(dx, 0, (size_t)classes * sizeof *dx);
    }
}

/* exp((x - largest) - log), of at most ROWS rows of n <= SHORT elements. */
CPU_CLONES static void shares_of_block(const float *x, const float *sums, int64_t rows, int64_t n, float *shares) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < n; i++) {
            shares[r * n + i] = (x[r * n + i] - sums[2 * r]) - sums[2 * r + 1];
        }
    }
#pragma omp simd
    for (int64_t i = 0; i < rows * n; i++) {
        shares[i] = vector_exp(shares[i]);
    }
}

/* `shares`: the row's exponentials, where they are there already; else NULL. */
static void gradient_of_row(const loss_job *work, int64_t row, const float *shares) {
    const float *x = work->logits + row * work->classes;
    float *dx = work->dlogits + row * work->classes;
    int64_t label = target_class(work->target, row);
    if (label == work->ignored) {
        gradient_of_none(dx, work->classes, work->add);
        return;
    }
    float scale = work->dloss[row] * factor_of(work, row), before = work->add ? dx[label] : 0.0f;
    cpu_log_sum sum = {work->sums_in[2 * row], work->sums_in[2 * row + 1]};
    float share = shares != NULL ? shares[label] : vector_exp((x[label] - sum.largest) - sum.log);
    if (shares == NULL) {
        cpu_exp_shifted(x, sum, scale, dx, work->classes, work->add);
    }
    for (int64_t i = 0; i < work->classes && shares != NULL; i++) {
        dx[i] = work->add ? dx[i] + scale * shares[i] : scale * shares[i];
    }
    dx[label] = before + scale * (share - 1.0f);
}

static void gradient_rows(void *context, int64_t begin, int64_t end) {
    const loss_job *work = context;
    int64_t n = work->classes;
    for (int64_t row = begin; row < end && n > SHORT; row++) {
        gradient_of_row(work, row, NULL);
    }
    for (int64_t row = begin; row < end && n <= SHORT; row += ROWS) {
        float shares[ROWS * SHORT];
        int64_t rows = end - row < ROWS ? end - row : ROWS;
        shares_of_block(work->logits + row * n, work->sums_in + 2 * row, rows, n, shares);
        for (int64_t r = 0; r < rows; r++) {
            gradient_of_row(work, row + r, shares + r * n);
        }
    }
}

cg_status cpu_cross_entropy_backward(cpu_device *device, const cg_op *op) {
    const int64_t *dim = op->inputs[0].shape.dim;
    CG_TRY(target_check(op, &op->inputs[1], dim[1]));
    loss_job work = {.logits = cpu_floats(&op->inputs[0]),
                     .target = &op->inputs[1],
                     .sums_in = cpu_floats(&op->inputs[2]),
                     .dloss = cpu_floats(&op->inputs[3]),
                     .dlogits = cpu_floats(&op->outputs[0]),
                     .factor = cpu_optional(op, 4),
                     .ignored = ((const cg_class_attrs *)op->attrs)->ignored,
                     .classes = dim[1],
                     .add = cpu_adds(op)};
    cpu_parallel(device, dim[0], GRAIN / (dim[1] + 1) + 1, gradient_rows, &work);
    return CG_OK;
}
