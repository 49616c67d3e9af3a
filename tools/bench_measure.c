#include "bench_measure.h"

#include "terminal.h"

/* Enough for every quantile; a short op is called so often in a few milliseconds. */
#define MAX_CALLS 20000

cg_status bench_measure_calls(bench_runner *runner, bench_pass pass, int64_t repeats, double seconds,
                              bench_times *times) {
    double begin = monotonic_seconds();
    for (int64_t i = 0; i < repeats || (monotonic_seconds() - begin < seconds && i < MAX_CALLS); i++) {
        double call;
        CG_TRY(bench_runner_call(runner, pass, &call));
        if (!bench_times_add(times, call * 1e3)) {
            return cg_fail(CG_ERR_MEMORY, "out of memory");
        }
    }
    return CG_OK;
}

/* The first call allocates, and compiles what is not in the cache. */
static cg_status measure_pass(bench_runner *runner, bench_pass pass, const bench_options *options, bench_times *times) {
    double first;
    CG_TRY(bench_runner_call(runner, pass, &first));
    return bench_measure_calls(runner, pass, options->repeats, options->seconds, times);
}

static cg_status add_pass(const bench_work *work, cg_device *device, bench_runner *runner, bench_pass pass,
                          const bench_limits *limits, const bench_options *options, bench_output *output) {
    bench_times times = {0};
    cg_status status = measure_pass(runner, pass, options, &times);
    if (status == CG_OK) {
        double flops = bench_runner_flops(runner, pass), bytes = bench_runner_bytes(runner, pass);
        const bench_row row = {.name = work->name,
                               .device = cg_device_describe(device)->string,
                               .pass = bench_pass_name(pass),
                               .n = (double)bench_runner_n(runner),
                               .flops = flops,
                               .bytes = bytes,
                               .least_ms = bench_limits_least_ms(limits, flops, bytes)};
        bench_output_add(output, &row, &times);
    }
    bench_times_free(&times);
    return status;
}

cg_status bench_measure_work(const bench_work *work, cg_device *device, const bench_limits *limits,
                             const bench_options *options, bench_output *output) {
    bench_runner *runner;
    CG_TRY(bench_runner_open(work, device, &runner));
    cg_status status = CG_OK;
    for (bench_pass pass = 0; pass < BENCH_PASSES && status == CG_OK; pass++) {
        if (bench_work_has(work, pass)) {
            status = add_pass(work, device, runner, pass, limits, options, output);
        }
    }
    bench_runner_close(runner);
    return status;
}
