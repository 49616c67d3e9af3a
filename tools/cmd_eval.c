/* clgrad eval: loss and accuracy of a trained model over one split. */
#include <math.h>
#include <stdio.h>

#include <clgrad/train.h>

#include "commands.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"

static int print_result(const saved_model *saved, const cg_evaluation *result, bool json) {
    const char *device = cg_device_describe(saved->device)->string;
    const char *split = split_name(saved->split), *data = cg_data_describe(saved->data)->name;
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "device", device);
        cJSON_AddStringToObject(object, "data", data);
        cJSON_AddStringToObject(object, "split", split);
        cJSON_AddNumberToObject(object, "n", (double)result->n);
        report_number(object, "loss", result->loss);
        report_number(object, "accuracy", result->accuracy);
        report_fallbacks_json(object, saved->device);
        return report_json(object);
    }
    printf("%s %s on %s: loss %.6g", data, split, device, result->loss);
    if (!isnan(result->accuracy)) {
        printf(", accuracy %.2f %%", 100 * result->accuracy);
    }
    printf(", %lld rows\n", (long long)result->n);
    report_fallbacks(saved->device);
    return EXIT_GOOD;
}

static int evaluate(const saved_options *options, int64_t batch, bool json) {
    saved_model saved;
    cg_evaluation result;
    cg_status status = saved_model_open(options, &saved);
    if (status == CG_OK) {
        status = cg_evaluate(saved.model, saved.loss, saved.data, saved.split, batch, &result);
    }
    if (status == CG_OK && isnan(result.loss)) {
        status = cg_fail(CG_ERR_NAN, "the loss is not a number");
    }
    int exit_status = status == CG_OK ? print_result(&saved, &result, json) : report_failure(status);
    saved_model_close(&saved);
    return exit_status;
}

int cmd_eval(int argc, char **argv) {
    saved_options chosen = {0};
    int64_t batch = 256;
    bool json = false;
    const option options[] = {
        text_option("--data", "SOURCE", "digits, mnist or a folder; default: what FILE was trained on", &chosen.data),
        choice_option("--split", "train|valid|test", "default: test where there is one, else valid", &chosen.split),
        text_option("--device", "STRING", DEVICE_HELP, &chosen.device),
        count_option("--batch", "rows at a time, default 256", 1, &batch),
        text_option("--model", "MODEL", "for a file that holds weights only:\n" MODEL_HELP, &chosen.model),
        text_option("--loss", "LOSS", "default: FILE's, else auto: CrossEntropyLoss() for classes", &chosen.loss),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: FILE's", &chosen.normalize),
        flag_option("--json", "one object on stdout", &json),
    };
    const command_line line = {.name = "eval",
                               .operands = "FILE",
                               .summary = "Loss and accuracy of the model in FILE, a checkpoint (safetensors).",
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operand = &chosen.file};
    int parsed = options_parse(&line, argc, argv);
    return parsed == OPTIONS_RUN ? evaluate(&chosen, batch, json) : parsed;
}
