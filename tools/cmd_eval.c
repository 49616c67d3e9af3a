/* clgrad eval: loss, accuracy and what else is to be known of a trained model over one split. */
#include <math.h>
#include <stdio.h>

#include <clgrad/train.h>

#include "commands.h"
#include "exit_status.h"
#include "metric_view.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"

static int print_result(const saved_model *saved, const cg_evaluation *result, const cg_metrics *metrics, bool json) {
    const char *device = cg_device_describe(saved->device)->string;
    const char *split = split_name(saved->split), *data = cg_data_describe(saved->data)->name;
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "device", device);
        cJSON_AddStringToObject(object, "data", data);
        cJSON_AddStringToObject(object, "split", split);
        cJSON_AddNumberToObject(object, "n", (double)result->n);
        report_number(object, "loss", result->loss);
        if (!isnan(result->accuracy)) {
            report_number(object, "accuracy", result->accuracy);
        }
        metric_view_json(object, metrics, saved->data);
        report_fallbacks_json(object, saved->device);
        return report_json(object);
    }
    printf("%s %s on %s: loss %.6g", data, split, device, result->loss);
    if (!isnan(result->accuracy)) {
        printf(", accuracy %.2f %%", 100 * result->accuracy);
    }
    printf(", %lld rows", (long long)result->n);
    metric_view_line(stdout, metrics);
    putchar('\n');
    metric_view_table(stdout, metrics, saved->data);
    report_fallbacks(saved->device, saved->fallback);
    return EXIT_GOOD;
}

static cg_status measure(const saved_model *saved, int64_t batch, cg_metrics **metrics, cg_evaluation *result) {
    CG_TRY(metric_view_create(saved->data, NULL, metrics));
    return *metrics ? cg_metrics_evaluate(*metrics, saved->model, saved->loss, saved->split, batch, result)
                    : cg_evaluate(saved->model, saved->loss, saved->data, saved->split, batch, result);
}

static int evaluate(const saved_options *options, int64_t batch, bool json) {
    saved_model saved;
    cg_evaluation result;
    cg_metrics *metrics = NULL;
    cg_status status = saved_model_open(options, &saved);
    if (status == CG_OK) {
        report_notes(saved.data);
        status = measure(&saved, batch, &metrics, &result);
    }
    if (status == CG_OK && isnan(result.loss)) {
        status = cg_fail(CG_ERR_NAN, "the loss is not a number");
    }
    int exit_status = status == CG_OK ? print_result(&saved, &result, metrics, json) : report_failure(status);
    cg_metrics_destroy(metrics);
    saved_model_close(&saved);
    return exit_status;
}

int cmd_eval(int argc, char **argv) {
    saved_options chosen = {0};
    int64_t batch = 256;
    bool json = false;
    const option options[] = {
        text_option("--data", "SOURCE",
                    "digits, mnist, a folder or a file, as in train; default: what FILE was trained on", &chosen.data),
        text_option("--target", "COLUMN", TARGET_HELP "; default: FILE's", &chosen.target),
        choice_option("--split", "train|valid|test", "default: test where there is one, else valid", &chosen.split),
        text_option("--device", "STRING", DEVICE_HELP, &chosen.device),
        PRECISION_OPTION(&chosen.precision),
        FALLBACK_OPTION(&chosen.fallback),
        count_option("--batch", "rows at a time, default 256", 1, &batch),
        text_option("--model", "MODEL", "for a file that holds weights only:\n" MODEL_HELP, &chosen.model),
        text_option("--loss", "LOSS", "default: FILE's, else auto: CrossEntropyLoss() for classes", &chosen.loss),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: FILE's", &chosen.normalize),
        flag_option("--json", "one object on stdout", &json),
    };
    const command_line line = {
        .name = "eval",
        .operands = "FILE",
        .summary = "Loss, accuracy, precision, recall and F1 of the model in FILE, a checkpoint (safetensors);\n"
                   "of numbers MAE and R2. --json has the confusion matrix, too, of up to 100 classes.",
        .options = options,
        .n_options = sizeof options / sizeof *options,
        .operand = &chosen.file};
    int parsed = options_parse(&line, argc, argv);
    return parsed == OPTIONS_RUN ? evaluate(&chosen, batch, json) : parsed;
}
