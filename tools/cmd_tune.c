/* clgrad tune: finds the fastest way of multiplying matrices on a device, which keeps it. */
#include <math.h>
#include <stdio.h>

#include <cJSON.h>

#include "commands.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"

#define QUICK ((uint64_t)1 << 22) /* multiply-adds */

/* What was found so far. */
typedef struct tuning {
    cJSON *rows; /* NULL: they are printed */
    double logarithms;
    int count, faster;
} tuning;

static void print_row(const cg_tuned_product *p, double gain) {
    char a[48], b[48];
    snprintf(a, sizeof a, p->transpose_a ? "[%lld, %lld]^T" : "[%lld, %lld]", (long long)(p->transpose_a ? p->k : p->m),
             (long long)(p->transpose_a ? p->m : p->k));
    snprintf(b, sizeof b, p->transpose_b ? "[%lld, %lld]^T" : "[%lld, %lld]", (long long)(p->transpose_b ? p->n : p->k),
             (long long)(p->transpose_b ? p->k : p->n));
    printf("%16s x %-16s  %-10s %10.1f %10.1f %7.2f\n", a, b, p->way, p->speed, p->usual, gain);
    fflush(stdout);
}

static void add_row(cJSON *rows, const cg_tuned_product *p) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "m", (double)p->m);
    cJSON_AddNumberToObject(row, "n", (double)p->n);
    cJSON_AddNumberToObject(row, "k", (double)p->k);
    cJSON_AddBoolToObject(row, "transpose_a", p->transpose_a);
    cJSON_AddBoolToObject(row, "transpose_b", p->transpose_b);
    cJSON_AddStringToObject(row, "way", p->way);
    report_number(row, "gflops", p->speed);
    report_number(row, "untuned_gflops", p->usual);
    cJSON_AddItemToArray(rows, row);
}

static cg_status show(void *context, const cg_tuned_product *product) {
    tuning *t = context;
    double gain = product->usual > 0 ? product->speed / product->usual : 1.0;
    t->logarithms += log(gain);
    t->faster += gain > 1.05;
    if (t->rows) {
        add_row(t->rows, product);
    } else {
        if (t->count == 0) {
            printf("%16s   %-16s  %-10s %10s %10s %7s\n", "product", "", "fastest", "GFLOP/s", "untuned", "gain");
        }
        print_row(product, gain);
    }
    t->count++;
    return CG_OK;
}

static int tune(cg_device *device, bool quick, bool json) {
    tuning t = {.rows = json ? cJSON_CreateArray() : NULL};
    if (!json) {
        printf("device     %s\n\n", cg_device_describe(device)->string);
    }
    cg_status status = cg_device_tune(device, quick ? QUICK : 0, show, &t);
    if (status != CG_OK) {
        cJSON_Delete(t.rows);
        return report_failure(status);
    }
    if (json) {
        return report_json(t.rows);
    }
    printf("\n%d of %d products are faster by more than 5 %%, all by %.2f in the geometric mean; kept in %s\n",
           t.faster, t.count, exp(t.logarithms / t.count), cg_cache_folder());
    return EXIT_GOOD;
}

int cmd_tune(int argc, char **argv) {
    const char *string = NULL;
    bool quick = false, json = false;
    const option options[] = {
        text_option("--device", "STRING", DEVICE_HELP, &string),
        flag_option("--quick", "small products only: seconds instead of minutes", &quick),
        flag_option("--json", "an array of {m, n, k, way, gflops, untuned_gflops, ...} on stdout", &json),
    };
    const command_line line = {
        .name = "tune",
        .operands = "",
        .summary = "Times the ways that a GPU has for matrix products, CLBlast among them, and keeps the\n"
                   "fastest for this device and driver. clgrad devices --clear-cache forgets it.",
        .options = options,
        .n_options = sizeof options / sizeof *options};
    int parsed = options_parse(&line, argc, argv);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    cg_device *device;
    cg_status status = cg_device_open(string, &device);
    if (status != CG_OK) {
        return report_failure(status);
    }
    int exit_status = tune(device, quick, json);
    close_device(device);
    return exit_status;
}
