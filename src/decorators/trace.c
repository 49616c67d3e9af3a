/*
 * trace: when each op and transfer ran and for how long, as a file that Perfetto and Chrome (chrome://tracing) show,
 * and a table. Device time is the device's own where it can tell, else the host's around run and wait.
 */
#include "decorators.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "op_text.h"

#define BATCH 512 /* ops between two looks at the device's clock */

/* An op that was queued and whose device time is not known yet. */
typedef struct queued {
    const char *name;
    char *facts; /* cg_alloc'ed */
    double flops;
    uint64_t bytes;
} queued;

/* All runs of one name. */
typedef struct row {
    const char *name, *where;
    uint64_t times, bytes;
    double seconds, flops;
} row;

typedef struct tracer {
    cg_inner inner;
    FILE *file;
    char path[256];
    uint64_t host_zero;   /* the host's clock when the trace began */
    int64_t device_shift; /* from the device's clock to the trace's; known after the first batch */
    bool shifted, own_clock;
    queued batch[BATCH];
    size_t n_batch;
    cg_timing timings[BATCH];
    row *rows;
    size_t n_rows, capacity;
} tracer;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static const char *const lanes[] = {"ops", "transfers", "ops that fell back to the CPU"};
enum lane { LANE_OPS, LANE_TRANSFERS, LANE_CPU };

static void write_text(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
}

/* The names of process and threads as the viewers show them. */
static void write_head(const tracer *t) {
    fputs("[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"", t->file);
    write_text(t->file, t->inner.info->string);
    fputs("\"}}", t->file);
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0]; i++) {
        fprintf(t->file, ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"args\":{\"name\":\"%s\"}}",
                i, lanes[i]);
    }
}

/* Times in nanoseconds since the trace began; facts may be NULL. */
static void write_event(const tracer *t, const char *name, enum lane lane, int64_t start, double seconds,
                        uint64_t bytes, double flops, const char *facts) {
    fputs(",\n{\"name\":\"", t->file);
    write_text(t->file, name);
    fprintf(t->file,
            "\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"bytes\":%llu",
            lane == LANE_TRANSFERS ? "transfer" : "op", (int)lane, (double)start / 1e3, seconds * 1e6,
            (unsigned long long)bytes);
    if (facts != NULL) {
        fprintf(t->file, ",\"flops\":%.0f,\"op\":\"", flops);
        write_text(t->file, facts);
        fputc('"', t->file);
    }
    fputs("}}", t->file);
}

static void add_to_row(tracer *t, const char *name, const char *where, double seconds, uint64_t bytes, double flops) {
    size_t i = 0;
    while (i < t->n_rows && (strcmp(t->rows[i].name, name) != 0 || strcmp(t->rows[i].where, where) != 0)) {
        i++;
    }
    if (i == t->n_rows) {
        if (!CG_GROW(t->rows, t->n_rows, t->capacity)) {
            return; /* the table lacks it; the training goes on */
        }
        t->rows[t->n_rows++] = (row){.name = name, .where = where};
    }
    row *one = &t->rows[i];
    one->times++;
    one->seconds += seconds;
    one->bytes += bytes;
    one->flops += flops;
}

static void finish_op(tracer *t, queued *op, int64_t start, double seconds) {
    write_event(t, op->name, LANE_OPS, start, seconds, op->bytes, op->flops, op->facts);
    add_to_row(t, op->name, "", seconds, op->bytes, op->flops);
    cg_free(op->facts);
}

/* The device's clock may begin anywhere: the end of the first batch is taken to be when the wait for it was over. */
static void place_clock(tracer *t, size_t count) {
    if (!t->shifted && count > 0) {
        t->device_shift = (int64_t)(now() - t->host_zero) - (int64_t)t->timings[count - 1].end;
        t->shifted = true;
    }
}

/* Asks the device for the times of the ops in the batch. */
static cg_status drain(tracer *t) {
    size_t count = 0, n_batch = t->n_batch;
    if (n_batch == 0) {
        return CG_OK;
    }
    t->n_batch = 0;
    cg_status status = t->inner.backend->timing_take(t->inner.handle, t->timings, n_batch, &count);
    place_clock(t, count);
    for (size_t i = 0; i < n_batch; i++) {
        cg_timing time = i < count ? t->timings[i] : (cg_timing){0};
        if (time.end > time.start) {
            finish_op(t, &t->batch[i], (int64_t)time.start + t->device_shift, (double)(time.end - time.start) * 1e-9);
        } else {
            cg_free(t->batch[i].facts);
        }
    }
    return status;
}

static queued describe_op(const cg_op *op) {
    cg_text facts = {0};
    cg_op_print(op, &facts);
    return (queued){op->kind->name, facts.bytes, cg_op_flops(op), cg_op_bytes(op)};
}

/* An op on a device with a clock: its time is asked for later. */
static cg_status run_timed(tracer *t, const cg_op *op) {
    CG_TRY(t->n_batch == BATCH ? drain(t) : CG_OK);
    cg_status status = cg_inner_run(t, op);
    if (status == CG_OK) {
        t->batch[t->n_batch++] = describe_op(op);
    }
    return status;
}

static cg_status run(void *device, const cg_op *op) {
    tracer *t = device;
    if (t->own_clock) {
        return run_timed(t, op);
    }
    uint64_t start = now();
    CG_TRY(cg_inner_run(t, op));
    CG_TRY(cg_inner_wait(t));
    uint64_t end = now();
    queued one = describe_op(op);
    finish_op(t, &one, (int64_t)(start - t->host_zero), (double)(end - start) * 1e-9);
    return CG_OK;
}

static void note_transfer(tracer *t, const char *name, uint64_t start, size_t bytes) {
    double seconds = (double)(now() - start) * 1e-9;
    write_event(t, name, LANE_TRANSFERS, (int64_t)(start - t->host_zero), seconds, bytes, 0, NULL);
    add_to_row(t, name, " (host's clock)", seconds, bytes, 0);
}

static cg_status write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    tracer *t = device;
    uint64_t start = now();
    CG_TRY(cg_inner_write(t, buffer, offset, source, bytes));
    note_transfer(t, "write", start, bytes);
    return CG_OK;
}

/* What is queued before it would count as the read's own time, so it is waited for first. */
static cg_status read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    tracer *t = device;
    CG_TRY(t->own_clock ? drain(t) : CG_OK);
    uint64_t start = now();
    CG_TRY(cg_inner_read(t, buffer, offset, destination, bytes));
    note_transfer(t, "read", start, bytes);
    return CG_OK;
}

static cg_status wait(void *device) {
    tracer *t = device;
    CG_TRY(t->own_clock ? drain(t) : CG_OK);
    return cg_inner_wait(t);
}

static void fell_back(void *handle, const cg_op *op, double seconds) {
    tracer *t = handle;
    queued one = describe_op(op);
    int64_t end = (int64_t)(now() - t->host_zero);
    write_event(t, one.name, LANE_CPU, end - (int64_t)(seconds * 1e9), seconds, one.bytes, one.flops, one.facts);
    add_to_row(t, one.name, " (on the CPU)", seconds, one.bytes, one.flops);
    cg_free(one.facts);
}

static int by_time(const void *a, const void *b) {
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void report(void *handle, cg_text *text) {
    tracer *t = handle;
    cg_status status = t->own_clock ? drain(t) : CG_OK;
    bool written = fflush(t->file) == 0 && ferror(t->file) == 0;
    double total = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        total += t->rows[i].seconds;
    }
    if (t->n_rows > 0) {
        qsort(t->rows, t->n_rows, sizeof *t->rows, by_time);
    }
    cg_text_append(text, "trace: %s%s\n", written && status == CG_OK ? "written to " : "could not be written whole to ",
                   t->path);
    cg_text_append(text, "%10s %10s %7s %10s %9s %9s  %s\n", "times", "seconds", "share", "us each", "GB/s", "GFLOP/s",
                   t->own_clock ? "op (device's clock)" : "op (host's clock)");
    for (size_t i = 0; i < t->n_rows; i++) {
        const row *one = &t->rows[i];
        double seconds = one->seconds > 0 ? one->seconds : 1e-9;
        cg_text_append(text, "%10llu %10.6f %5.1f %% %10.2f %9.3f %9.3f  %s%s\n", (unsigned long long)one->times,
                       one->seconds, total > 0 ? 100 * one->seconds / total : 0,
                       1e6 * one->seconds / (double)one->times, (double)one->bytes / seconds * 1e-9,
                       one->flops / seconds * 1e-9, one->name, one->where);
    }
}

static void close(void *handle) {
    tracer *t = handle;
    cg_status ignored = t->own_clock ? drain(t) : CG_OK; /* nobody is left to hear of it */
    (void)ignored;
    fputs("\n]\n", t->file);
    fclose(t->file);
    cg_free(t->rows);
    cg_inner_close(t);
}

static cg_status open_file(tracer *t, const cg_option *options, size_t n_options) {
    const char *path = "clgrad-trace.json";
    for (size_t i = 0; i < n_options; i++) {
        if (strcmp(options[i].key, "file") != 0) {
            return cg_fail(CG_ERR_ARGUMENT, "trace has no option '%s'; it has file=NAME", options[i].key);
        }
        path = options[i].value;
    }
    if (strlen(path) >= sizeof t->path) {
        return cg_fail(CG_ERR_ARGUMENT, "trace: file=%s: at most %zu characters", path, sizeof t->path - 1);
    }
    memcpy(t->path, path, strlen(path) + 1);
    t->file = fopen(path, "w");
    return t->file != NULL ? CG_OK : cg_fail(CG_ERR_FILE, "trace: cannot write '%s': %s", path, strerror(errno));
}

static cg_status wrap(const cg_inner *inner, const cg_option *options, size_t n_options, void **handle) {
    tracer *t = cg_alloc_zero(1, sizeof *t);
    if (t == NULL) {
        return CG_ERR_MEMORY;
    }
    t->inner = *inner;
    t->host_zero = now();
    t->own_clock = inner->backend->timing_start != NULL && inner->backend->timing_take != NULL;
    cg_status status = open_file(t, options, n_options);
    if (status == CG_OK && t->own_clock) {
        status = inner->backend->timing_start(inner->handle);
    }
    if (status != CG_OK) {
        if (t->file != NULL) {
            fclose(t->file);
        }
        cg_free(t);
        return status;
    }
    write_head(t);
    *handle = t;
    return CG_OK;
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "trace",
    .close = close,
    .buffer_create = cg_inner_buffer_create,
    .buffer_destroy = cg_inner_buffer_destroy,
    .write = write,
    .read = read,
    .supports = cg_inner_supports,
    .run = run,
    .flush = cg_inner_flush,
    .wait = wait,
};

const cg_decorator cg_decorator_trace = {
    .name = "trace", .table = &table, .wrap = wrap, .report = report, .fell_back = fell_back};
