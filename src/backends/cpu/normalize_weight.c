/*
 * The gradient of a normalization's weight: sums of dy (x - mean) rstd over each channel, lane by lane over runs of
 * neighbours, or where channels are neighbours (layers of rows) columns side by side. Work is cut by the shapes alone.
 */
#include <string.h>

#include "cpu.h"
#include "host_memory.h"
#include "normalize.h"

#define GRAIN 8192   /* elements worth a thread */
#define COLUMNS 64   /* of rows, summed side by side */
#define ROWS 32      /* that are added in float */
#define PART_ROWS 64 /* the least for a part of its own */
#define PARTS 16

typedef struct weight_job {
    const float *x, *stats, *dy;
    float *out;
    int64_t outer, channels, inner, groups, parts;
    double *partial; /* [parts, channels] */
    bool add;
} weight_job;

static void sum_channels(void *context, int64_t begin, int64_t end) {
    const weight_job *work = context;
    for (int64_t c = begin; c < end; c++) {
        double sum = work->add ? (double)work->out[c] : 0.0;
        for (int64_t o = 0; o < work->outer; o++) {
            int64_t each = work->channels / (work->groups > 0 ? work->groups : 1);
            const float *stats = work->stats + 3 * (work->groups > 0 ? o * work->groups + c / each : c);
            int64_t at = (o * work->channels + c) * work->inner;
            const cpu_run_weights none = {.one = 1.0f};
            sum += (double)cpu_run_sums(work->x + at, work->dy + at, stats[0], stats[1], none, work->inner).along;
        }
        work->out[c] = (float)sum;
    }
}

/* Adds the rows begin..end-1, at most ROWS, of n columns from `first` on. */
CPU_CLONES static void add_rows(const weight_job *work, int64_t begin, int64_t end, int64_t first, int64_t n,
                                double *to) {
    float sums[COLUMNS] = {0};
    for (int64_t o = begin; o < end; o++) {
        const float *x = work->x + o * work->channels + first, *dy = work->dy + o * work->channels + first;
        float mean = work->stats[3 * o], rstd = work->stats[3 * o + 1];
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            sums[i] += dy[i] * ((x[i] - mean) * rstd);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        to[first + i] += (double)sums[i];
    }
}

/* The sums of some parts of the rows. */
static void sum_parts(void *context, int64_t begin, int64_t end) {
    const weight_job *work = context;
    for (int64_t part = begin; part < end; part++) {
        double *to = work->partial + part * work->channels;
        int64_t last = work->outer * (part + 1) / work->parts;
        memset(to, 0, (size_t)work->channels * sizeof *to);
        for (int64_t o = work->outer * part / work->parts; o < last; o += ROWS) {
            for (int64_t c = 0; c < work->channels; c += COLUMNS) {
                add_rows(work, o, cpu_smaller(o + ROWS, last), c, cpu_smaller(COLUMNS, work->channels - c), to);
            }
        }
    }
}

static cg_status sum_columns(cpu_device *device, weight_job *work) {
    work->parts = cpu_smaller(work->outer / PART_ROWS + 1, PARTS);
    work->partial = cpu_scratch(device, (size_t)(work->parts * work->channels) * sizeof *work->partial);
    if (work->partial == NULL) {
        return CG_ERR_MEMORY;
    }
    int64_t each = work->outer / work->parts * work->channels;
    cpu_parallel(device, work->parts, GRAIN / (each + 1) + 1, sum_parts, work);
    for (int64_t c = 0; c < work->channels; c++) {
        double sum = work->add ? (double)work->out[c] : 0.0;
        for (int64_t part = 0; part < work->parts; part++) {
            sum += work->partial[part * work->channels + c];
        }
        work->out[c] = (float)sum;
    }
    return CG_OK;
}

cg_status cpu_normalize_weight_backward(cpu_device *device, const cg_op *op) {
    const cg_normalize_attrs *attrs = op->attrs;
    const int64_t *dim = op->inputs[0].shape.dim;
    weight_job work = {.x = cpu_floats(&op->inputs[0]),
                       .stats = cpu_floats(&op->inputs[1]),
                       .dy = cpu_floats(&op->inputs[2]),
                       .out = cpu_floats(&op->outputs[0]),
                       .outer = dim[0],
                       .channels = dim[1],
                       .inner = dim[2],
                       .groups = attrs->groups,
                       .add = cpu_adds(op)};
    if (work.inner > 1) {
        cpu_parallel(device, work.channels, GRAIN / (work.outer * work.inner + 1) + 1, sum_channels, &work);
        return CG_OK;
    }
    return work.groups == 1 ? sum_columns(device, &work) : ref_run(op);
}
