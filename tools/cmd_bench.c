/* clgrad bench: how fast, as rows of times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/ops.h>

#include "bare_opencl.h"
#include "commands.h"
#include "device_set.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"
#include "terminal.h"

#define SAMPLES 31
#define OPS 1000
#define OPENCL_OPS 200
#define OPENCL_ELEMENTS 256

/* What repeats: runs `count` of what is measured and waits for the device. */
typedef cg_status (*sample_fn)(void *context, size_t count);

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Adds the row of one measurement: milliseconds for one of `n`. The first sample warms up. */
static cg_status measure(cJSON *rows, const char *name, const cg_device_info *device, const char *pass, size_t n,
                         sample_fn sample, void *context) {
    double times[SAMPLES];
    CG_TRY(sample(context, n));
    for (size_t i = 0; i < SAMPLES; i++) {
        double begin = monotonic_seconds();
        CG_TRY(sample(context, n));
        times[i] = (monotonic_seconds() - begin) * 1e3 / (double)n;
    }
    qsort(times, SAMPLES, sizeof *times, by_size);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", name);
    cJSON_AddStringToObject(row, "device", device->string);
    cJSON_AddStringToObject(row, "pass", pass);
    cJSON_AddNumberToObject(row, "n", (double)n);
    cJSON_AddNumberToObject(row, "min_ms", times[0]);
    cJSON_AddNumberToObject(row, "median_ms", times[SAMPLES / 2]);
    cJSON_AddNumberToObject(row, "p90_ms", times[SAMPLES * 9 / 10]);
    cJSON_AddNullToObject(row, "gflops");
    cJSON_AddNullToObject(row, "gbs");
    cJSON_AddItemToArray(rows, row);
    return CG_OK;
}

typedef struct small_ops {
    cg_tape *tape;
    cg_tensor *x;
} small_ops;

static cg_status sample_ops(void *context, size_t count) {
    const small_ops *ops = context;
    for (size_t i = 0; i < count; i++) {
        cg_relu(ops->tape, ops->x);
    }
    CG_TRY(cg_tape_run(ops->tape));
    return cg_device_wait(cg_tape_device(ops->tape));
}

static cg_status sample_bare(void *context, size_t count) {
    return bare_opencl_run(context, count) ? CG_OK : cg_fail(CG_ERR_DEVICE, "the bare OpenCL calls fail");
}

static cg_status measure_ops(cJSON *rows, cg_device *device, int64_t elements, size_t count) {
    small_ops ops = {.tape = cg_tape_create(device)};
    cg_status status =
        ops.tape ? cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(elements), &ops.x) : CG_ERR_MEMORY;
    if (status == CG_OK) {
        cg_tape_set_mode(ops.tape, CG_EVAL);
        status = measure(rows, "overhead", cg_device_describe(device), "op", count, sample_ops, &ops);
    }
    cg_tape_destroy(ops.tape);
    cg_tensor_destroy(ops.x);
    return status;
}

static cg_status measure_bare(cJSON *rows, const cg_device_info *info) {
    const char *reason;
    bare_opencl *bare = bare_opencl_open(info, OPENCL_ELEMENTS, &reason);
    if (!bare) {
        fprintf(stderr, "clgrad bench: %s: no bare driver calls to compare with: %s\n", info->string, reason);
        return CG_OK;
    }
    cg_status status = measure(rows, "overhead", info, "bare", OPENCL_OPS, sample_bare, bare);
    bare_opencl_close(bare);
    return status;
}

/* What an op costs besides its work, recorded and dispatched: one element on the cpu, where all else is the cost; on
 * OpenCL a small relu beside the same kernel launched by the driver's calls alone. */
static cg_status bench_overhead(cJSON *rows, cg_device *device) {
    const cg_device_info *info = cg_device_describe(device);
    bool opencl = strncmp(info->string, "opencl", 6) == 0;
    CG_TRY(measure_ops(rows, device, opencl ? OPENCL_ELEMENTS : 1, opencl ? OPENCL_OPS : OPS));
    return opencl ? measure_bare(rows, info) : CG_OK;
}

static const struct {
    const char *name;
    cg_status (*run)(cJSON *rows, cg_device *device);
} benchmarks[] = {
    {"overhead", bench_overhead},
};

#define N_BENCHMARKS (sizeof benchmarks / sizeof *benchmarks)

static cg_status run_named(const text_list *names, cJSON *rows, cg_device *device) {
    for (size_t i = 0; i < N_BENCHMARKS; i++) {
        bool wanted = names->count == 0;
        for (size_t j = 0; j < names->count; j++) {
            wanted = wanted || strcmp(names->items[j], benchmarks[i].name) == 0;
        }
        if (wanted) {
            CG_TRY(benchmarks[i].run(rows, device));
        }
    }
    return CG_OK;
}

static double number(const cJSON *row, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(row, key));
}

static const char *text(const cJSON *row, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(row, key));
}

static void print_rows(const cJSON *rows) {
    printf("%-10s %-28s %-6s %6s %12s %12s %12s\n", "name", "device", "pass", "n", "min ms", "median ms", "p90 ms");
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        printf("%-10s %-28s %-6s %6.0f %12.6f %12.6f %12.6f\n", text(row, "name"), text(row, "device"),
               text(row, "pass"), number(row, "n"), number(row, "min_ms"), number(row, "median_ms"),
               number(row, "p90_ms"));
    }
}

static int check_names(const text_list *names) {
    for (size_t i = 0; i < names->count; i++) {
        bool known = false;
        for (size_t j = 0; j < N_BENCHMARKS; j++) {
            known = known || strcmp(names->items[i], benchmarks[j].name) == 0;
        }
        if (!known) {
            return usage_error("bench", "there is no benchmark '%s'; there is: overhead", names->items[i]);
        }
    }
    return EXIT_GOOD;
}

static int bench(const text_list *names, device_set *devices, bool json) {
    cJSON *rows = cJSON_CreateArray();
    cg_status status = CG_OK;
    for (size_t i = 0; i < devices->count && status == CG_OK; i++) {
        status = run_named(names, rows, devices->devices[i]);
    }
    if (status != CG_OK) {
        cJSON_Delete(rows);
        return report_failure(status);
    }
    if (json) {
        return report_json(rows);
    }
    print_rows(rows);
    cJSON_Delete(rows);
    return EXIT_GOOD;
}

int cmd_bench(int argc, char **argv) {
    text_list names = {.items = calloc((size_t)argc + 1, sizeof(char *))};
    text_list strings = {.items = calloc((size_t)argc + 1, sizeof(char *))};
    device_set devices = {0};
    bool json = false;
    const option options[] = {
        list_option("--device", "STRING", "a device string, or all; may be given several times", &strings),
        flag_option("--json", "an array of {name, device, pass, n, min_ms, median_ms, p90_ms, gflops, gbs} on stdout",
                    &json),
    };
    const command_line line = {.name = "bench",
                               .operands = "[NAME...]",
                               .summary =
                                   "Measures. overhead: what one small op costs, recorded and dispatched, in ms; "
                                   "on OpenCL beside the\nbare driver calls for the same kernel.",
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operands_to = &names,
                               .optional = true};
    int result = names.items && strings.items ? options_parse(&line, argc, argv) : EXIT_DEVICE;
    if (result == OPTIONS_RUN) {
        result = check_names(&names);
        result = result == EXIT_GOOD ? device_set_open(&strings, &devices) : result;
        result = result == EXIT_GOOD ? bench(&names, &devices, json) : result;
        result = result == EXIT_GOOD && devices.incomplete ? EXIT_DEVICE : result;
    }
    device_set_close(&devices);
    free(names.items);
    free(strings.items);
    return result;
}
