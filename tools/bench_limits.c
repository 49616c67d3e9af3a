#include "bench_limits.h"

#include <stdio.h>
#include <string.h>

#include <clgrad/ops.h>

#include "bare_opencl.h"
#include "bench_host.h"
#include "terminal.h"

#define SAMPLES 9
#define LAUNCHES 200
#define SAMPLE_SECONDS 0.008
#define PROBE_SECONDS 0.5 /* for all samples: some drivers take a second for one */

static const struct {
    const char *pass;
    size_t bytes; /* of three arrays together */
} sizes[BENCH_SIZES] = {{"triad-6MiB", (size_t)6 << 20}, {"triad-192MiB", (size_t)192 << 20}};

/* What is repeated until it takes long enough to be timed. */
typedef struct probe {
    bool (*run)(void *context, long rounds, double *seconds);
    void *context;
    double flops, bytes; /* of one round */
    long rounds;
    bench_times times; /* of all rounds */
} probe;

/* The shorter of two runs: the machine may have done something else during one. */
static bool time_rounds(const probe *self, double *seconds) {
    double again;
    if (!self->run(self->context, self->rounds, seconds)) {
        return false;
    }
    if (*seconds >= PROBE_SECONDS) {
        return true;
    }
    bool good = self->run(self->context, self->rounds, &again);
    *seconds = good && again < *seconds ? again : *seconds;
    return good;
}

/* The first run of all is not looked at: drivers compile in it. */
static bool calibrate(probe *self) {
    double seconds;
    if (!self->run(self->context, 1, &seconds)) {
        return false;
    }
    for (self->rounds = 1;; self->rounds *= 2) {
        if (!time_rounds(self, &seconds)) {
            return false;
        }
        if (seconds >= SAMPLE_SECONDS || self->rounds >= 1L << 30) {
            return true;
        }
    }
}

static bool measure(probe *self) {
    double seconds;
    bool good = calibrate(self);
    double begin = monotonic_seconds();
    for (int i = 0; good && (i == 0 || (i < SAMPLES && monotonic_seconds() - begin < PROBE_SECONDS)); i++) {
        good = self->run(self->context, self->rounds, &seconds) && bench_times_add(&self->times, seconds * 1e3);
    }
    return good;
}

/* A limit is what was reached once. */
static double per_second(probe *self, double amount) {
    return amount * (double)self->rounds / bench_times_at(&self->times, 0) * 1e3;
}

static void add_row(bench_output *output, const cg_device_info *info, const char *pass, probe *self) {
    if (output) {
        double rounds = (double)self->rounds;
        const bench_row row = {.name = "limits",
                               .device = info->string,
                               .pass = pass,
                               .n = rounds,
                               .flops = self->flops * rounds,
                               .bytes = self->bytes * rounds};
        bench_output_add(output, &row, &self->times);
    }
}

/* Keeps the better of two probes, which have one kind of amount, and releases the other. */
static void keep_better(probe *best, probe *other, bool good) {
    double flops = good ? per_second(other, other->flops) : 0, bytes = good ? per_second(other, other->bytes) : 0;
    bool better = good && (best->times.count == 0 || flops > per_second(best, best->flops) ||
                           bytes > per_second(best, best->bytes));
    bench_times_free(better ? &best->times : &other->times);
    if (better) {
        *best = *other;
    }
}

/* The processor's own, on as many threads as the device has. */

#define HOST_ROUNDS 10000

typedef struct host_chains {
    unsigned threads;
    double flops;
} host_chains;

static bool run_host_fma(void *context, long rounds, double *seconds) {
    host_chains *chains = context;
    bool good = host_fma(chains->threads, rounds * HOST_ROUNDS, seconds, &chains->flops);
    chains->flops /= (double)rounds;
    return good;
}

static bool run_host_triad(void *context, long rounds, double *seconds) {
    return host_triad_run(context, rounds, seconds);
}

static void probe_host_fma(const cg_device_info *info, probe *best) {
    host_chains chains = {.threads = info->units};
    probe host = {.run = run_host_fma, .context = &chains};
    bool good = measure(&host);
    host.flops = chains.flops;
    keep_better(best, &host, good);
}

static void probe_host_triad(const cg_device_info *info, size_t bytes, probe *best) {
    host_triad *triad = host_triad_create(info->units, bytes / sizeof(float));
    probe host = {.run = run_host_triad, .context = triad, .bytes = (double)bytes};
    bool good = triad && measure(&host);
    keep_better(best, &host, good);
    host_triad_destroy(triad);
}

/*
 * OpenCL: shapes of one kernel. Wide vectors, one item a group and few of them are a processor's way, narrow ones
 * and many items in groups a GPU's; what the driver makes of either is its business, and the better one is the limit.
 */

static const char source[] =
    "kernel void chains(global V *out, uint n) {\n"
    "    V x = 0.999f, y = 0.001f, first = (float)get_global_id(0);\n"
    "    V a = first, b = a + 1.0f, c = a + 2.0f, d = a + 3.0f, e = a + 4.0f, f = a + 5.0f;\n"
    "    V g = a + 6.0f, h = a + 7.0f, i = a + 8.0f, j = a + 9.0f, k = a + 10.0f, l = a + 11.0f;\n"
    "    for (uint round = 0; round < n; round++) {\n"
    "        a = MAD(a, x, y); b = MAD(b, x, y); c = MAD(c, x, y); d = MAD(d, x, y);\n"
    "        e = MAD(e, x, y); f = MAD(f, x, y); g = MAD(g, x, y); h = MAD(h, x, y);\n"
    "        i = MAD(i, x, y); j = MAD(j, x, y); k = MAD(k, x, y); l = MAD(l, x, y);\n"
    "    }\n"
    "    out[get_global_id(0)] = a + b + c + d + e + f + g + h + i + j + k + l;\n"
    "}\n"
    "kernel void triad(global const V *a, global const V *b, global V *c, uint n) {\n"
    "    uint size = get_global_size(0), part = (n + size - 1) / size;\n"
    "    uint first = PARTS ? get_global_id(0) * part : get_global_id(0);\n"
    "    uint last = PARTS ? min(first + part, n) : n, step = PARTS ? 1 : size;\n"
    "    for (uint i = first; i < last; i += step)\n"
    "        c[i] = a[i] + 3.0f * b[i];\n"
    "}\n";

/* fma() is exact, and on some devices slow for it; mad() is what the driver likes, and on others two instructions. */
static const struct {
    const char *options;
    size_t lanes, local, items; /* items for each unit */
} shapes[] = {{"-DV=float16 -DPARTS=1 -DMAD=fma", 16, 1, 8},
              {"-DV=float -DPARTS=0 -DMAD=fma", 1, 64, 2048},
              {"-DV=float16 -DPARTS=1 -DMAD=mad", 16, 1, 8},
              {"-DV=float -DPARTS=0 -DMAD=mad", 1, 64, 2048}};

#define N_SHAPES (sizeof shapes / sizeof *shapes)
#define N_TRIADS 2 /* which multiply-add does not matter there */
#define CHAINS 12
#define CHAIN_ROUNDS 64

static size_t units_of(const cg_device_info *info) {
    return info->units > 0 ? info->units : 1;
}

static bare_kernel kernel_of(const cg_device_info *info, size_t shape, const char *name) {
    return (bare_kernel){.source = source,
                         .name = name,
                         .options = shapes[shape].options,
                         .global = shapes[shape].items * units_of(info),
                         .local = shapes[shape].local};
}

static bool run_chains(void *context, long rounds, double *seconds) {
    bare_opencl_set_n(context, (uint32_t)(rounds * CHAIN_ROUNDS));
    double begin = monotonic_seconds();
    bool good = bare_opencl_run(context, 1);
    *seconds = monotonic_seconds() - begin;
    return good;
}

static bool run_launches(void *context, long rounds, double *seconds) {
    double begin = monotonic_seconds();
    bool good = bare_opencl_run(context, (size_t)rounds);
    *seconds = monotonic_seconds() - begin;
    return good;
}

static void probe_kernel(const cg_device_info *info, const bare_kernel *kernel, probe *self, probe *best) {
    const char *reason;
    bare_opencl *bare = bare_opencl_open(info, kernel, &reason);
    self->context = bare;
    bool good = bare && measure(self);
    keep_better(best, self, good);
    bare_opencl_close(bare);
}

static void probe_opencl_fma(const cg_device_info *info, probe *best) {
    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        bare_kernel kernel = kernel_of(info, shape, "chains");
        kernel.n_buffers = 1;
        kernel.bytes = kernel.global * shapes[shape].lanes * sizeof(float);
        probe chains = {.run = run_chains,
                        .flops = 2.0 * CHAINS * CHAIN_ROUNDS * (double)(kernel.global * shapes[shape].lanes)};
        probe_kernel(info, &kernel, &chains, best);
    }
}

static void probe_opencl_triad(const cg_device_info *info, size_t bytes, probe *best) {
    for (size_t shape = 0; shape < N_TRIADS; shape++) {
        bare_kernel kernel = kernel_of(info, shape, "triad");
        kernel.n_buffers = 3;
        kernel.bytes = bytes / 3;
        kernel.n = (uint32_t)(kernel.bytes / sizeof(float) / shapes[shape].lanes);
        probe triad = {.run = run_launches, .bytes = (double)bytes};
        if (info->max_allocation_bytes == 0 || kernel.bytes <= info->max_allocation_bytes) {
            probe_kernel(info, &kernel, &triad, best);
        }
    }
}

static bool is_opencl(const cg_device_info *info) {
    return strncmp(info->string, "opencl", strlen("opencl")) == 0;
}

static bool is_host(const cg_device_info *info) {
    return strncmp(info->string, "cpu", strlen("cpu")) == 0 ||
           strncmp(info->string, "reference", strlen("reference")) == 0;
}

static void measure_flops(const cg_device_info *info, bench_limits *limits, bench_output *output) {
    probe best = {0};
    if (is_opencl(info)) {
        probe_opencl_fma(info, &best);
    } else if (is_host(info)) {
        probe_host_fma(info, &best);
    }
    if (best.times.count > 0) {
        limits->flops = per_second(&best, best.flops);
        add_row(output, info, "fma", &best);
    }
    bench_times_free(&best.times);
}

static void measure_bandwidth(const cg_device_info *info, size_t size, bench_limits *limits, bench_output *output) {
    probe best = {0};
    if (is_opencl(info)) {
        probe_opencl_triad(info, sizes[size].bytes, &best);
    } else if (is_host(info)) {
        probe_host_triad(info, sizes[size].bytes, &best);
    }
    if (best.times.count > 0) {
        limits->bandwidth[size] = per_second(&best, best.bytes);
        add_row(output, info, sizes[size].pass, &best);
    }
    bench_times_free(&best.times);
}

/* One small kernel of the driver's; elsewhere one op of clgrad's on one element, which is next to nothing. */
typedef struct launcher {
    bare_opencl *bare;
    cg_tape *tape;
    cg_tensor *x;
} launcher;

static cg_status launch(launcher *self) {
    if (self->bare) {
        return bare_opencl_run(self->bare, 1) ? CG_OK : cg_fail(CG_ERR_DEVICE, "the bare OpenCL calls fail");
    }
    cg_relu(self->tape, self->x);
    CG_TRY(cg_tape_run(self->tape));
    return cg_device_wait(cg_tape_device(self->tape));
}

static cg_status open_launcher(cg_device *device, launcher *self) {
    const cg_device_info *info = cg_device_describe(device);
    const bare_kernel relu = bare_relu(info, 1);
    const char *reason;
    self->bare = is_opencl(info) ? bare_opencl_open(info, &relu, &reason) : NULL;
    self->tape = cg_tape_create(device);
    if (!self->tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(self->tape, CG_EVAL);
    return cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(1), &self->x);
}

static cg_status time_launches(launcher *self, probe *launches) {
    for (int i = 0; i <= LAUNCHES; i++) {
        double begin = monotonic_seconds();
        CG_TRY(launch(self));
        if (i > 0 && !bench_times_add(&launches->times, (monotonic_seconds() - begin) * 1e3)) {
            return cg_fail(CG_ERR_MEMORY, "out of memory");
        }
    }
    return CG_OK;
}

static cg_status measure_launch(cg_device *device, bench_limits *limits, bench_output *output) {
    launcher self = {0};
    probe launches = {.rounds = 1};
    cg_status status = open_launcher(device, &self);
    status = status == CG_OK ? time_launches(&self, &launches) : status;
    if (status == CG_OK) {
        limits->launch = bench_times_at(&launches.times, 0) / 1e3;
        add_row(output, cg_device_describe(device), "launch", &launches);
    }
    bench_times_free(&launches.times);
    bare_opencl_close(self.bare);
    cg_tape_destroy(self.tape);
    cg_tensor_destroy(self.x);
    return status;
}

cg_status bench_limits_measure(cg_device *device, bench_limits *limits, bench_output *output) {
    const cg_device_info *info = cg_device_describe(device);
    *limits = (bench_limits){0};
    if (!info->simulator) {
        measure_flops(info, limits, output);
        for (size_t size = 0; size < BENCH_SIZES; size++) {
            measure_bandwidth(info, size, limits, output);
        }
    }
    return measure_launch(device, limits, output);
}

/* Of the smallest size measured that is not smaller. */
static double bandwidth_for(const bench_limits *limits, double bytes) {
    size_t size = 0;
    while (size + 1 < BENCH_SIZES && (double)sizes[size].bytes < bytes && limits->bandwidth[size + 1] > 0) {
        size++;
    }
    return limits->bandwidth[size];
}

double bench_limits_least_ms(const bench_limits *limits, double flops, double bytes) {
    double bandwidth = bandwidth_for(limits, bytes);
    if (limits->flops <= 0 || bandwidth <= 0 || (flops <= 0 && bytes <= 0)) {
        return 0;
    }
    double compute = flops / limits->flops, traffic = bytes / bandwidth;
    double least = compute > traffic ? compute : traffic;
    return (least > limits->launch ? least : limits->launch) * 1e3;
}
