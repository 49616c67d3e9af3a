#include "bench_batches.h"

#include <math.h>
#include <stdio.h>

#include "terminal.h"

static const double batches[] = {16, 32, 64, 128, 256, 512, 1024};

#define COUNT (sizeof batches / sizeof *batches)

/* The line through 0 at -`rows`, as long before the first row as the constant takes: its slope is in the middle of the
 * least and the largest that the points ask for. */
static bench_line line_from(double rows, const double *x, const double *ms, size_t count) {
    double least = INFINITY, most = 0;
    bench_line line = {0};
    for (size_t i = 0; i < count; i++) {
        double slope = ms[i] / (rows + x[i]);
        line.farthest = slope > most || slope < least ? x[i] : line.farthest; /* both ends are as far */
        least = fmin(least, slope);
        most = fmax(most, slope);
    }
    line.slope = (least + most) / 2;
    line.constant = rows * line.slope;
    line.error = (most - least) / (most + least);
    return line;
}

bench_line bench_fit(const double *x, const double *ms, size_t count) {
    bench_line best = {.error = INFINITY};
    for (int i = 0; i <= 16 * (int)x[count - 1]; i++) {
        bench_line line = line_from(i / 16.0, x, ms, count);
        best = line.error < best.error ? line : best;
    }
    return best;
}

/* The work with another batch: an epoch of as many steps as are waited for together. */
static bench_work with_batch(const bench_work *work, int64_t batch) {
    bench_work changed = *work;
    changed.inputs[0].dim[0] = changed.inputs[1].dim[0] = batch;
    changed.images = batch * work->steps;
    return changed;
}

/* A batch, ready to be trained with again and again. */
typedef struct point {
    bench_work work;
    bench_runner *runner;
    bench_times epochs;
} point;

static cg_status open_points(cg_device *device, const char *name, point *points) {
    for (size_t i = 0; i < COUNT; i++) {
        double first;
        points[i].work = with_batch(bench_work_find(name), (int64_t)batches[i]);
        CG_TRY(bench_runner_open(&points[i].work, device, &points[i].runner));
        CG_TRY(bench_runner_call(points[i].runner, BENCH_TRAIN, &first));
    }
    return CG_OK;
}

#define TURN 0.1 /* of the seconds for a batch */

/* In turns, since a machine's speed changes from one second to the next: all batches see the same of it. */
static cg_status take_turns(point *points, const bench_options *options) {
    const size_t count = COUNT;
    double begin = monotonic_seconds(), wanted = options->seconds * (double)count;
    for (int64_t i = 0; i < options->repeats || monotonic_seconds() - begin < wanted; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            CG_TRY(bench_measure_calls(points[k].runner, BENCH_TRAIN, 1, options->seconds * TURN, &points[k].epochs));
        }
    }
    return CG_OK;
}

/* The median in ms of a step; the row goes to the output. */
static cg_status add_row(bench_output *output, cg_device *device, const point *at, double *ms) {
    bench_times times = {0};
    cg_status status = CG_OK;
    for (size_t i = 0; i < at->epochs.count && status == CG_OK; i++) {
        bool added = bench_times_add(&times, at->epochs.ms[i] / at->work.steps);
        status = added ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    if (status == CG_OK) {
        const bench_row row = {.name = "batches",
                               .device = cg_device_describe(device)->string,
                               .pass = at->work.name,
                               .n = (double)at->work.inputs[0].dim[0]};
        *ms = bench_times_at(&times, 0.5);
        bench_output_add(output, &row, &times);
    }
    bench_times_free(&times);
    return status;
}

static cg_status measure_points(bench_output *output, cg_device *device, const char *name, point *points,
                                const bench_options *options) {
    double ms[COUNT];
    CG_TRY(open_points(device, name, points));
    CG_TRY(take_turns(points, options));
    for (size_t i = 0; i < COUNT; i++) {
        CG_TRY(add_row(output, device, &points[i], &ms[i]));
    }
    if (!output->json) {
        bench_line line = bench_fit(batches, ms, COUNT);
        printf("%s: a step of n rows takes %.3f ms + n * %.3f us; %.0f %% from that at most, at n = %.0f\n", name,
               line.constant, line.slope * 1e3, line.error * 100, line.farthest);
    }
    return CG_OK;
}

static cg_status measure(bench_output *output, cg_device *device, const char *name, const bench_options *options) {
    point points[COUNT] = {0};
    cg_status status = measure_points(output, device, name, points, options);
    for (size_t i = 0; i < COUNT; i++) {
        bench_times_free(&points[i].epochs);
        bench_runner_close(points[i].runner);
    }
    return status;
}

cg_status bench_batches(bench_output *output, cg_device *device, const bench_options *options) {
    CG_TRY(measure(output, device, "mlp", options));
    return measure(output, device, "lenet", options);
}
