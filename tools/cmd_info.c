/* clgrad info: what a checkpoint says about itself, and the layers of a model. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <clgrad/train.h>

#include "commands.h"
#include "exit_status.h"
#include "layer_table.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"
#include "tensor_list.h"

/* Classes of a preset where no data says otherwise. */
#define DEFAULT_CLASSES 10

static void add_text(cJSON *object, const char *key, const char *text) {
    if (text) {
        cJSON_AddStringToObject(object, key, text);
    }
}

static void add_numbers(cJSON *object, const char *key, const double *values, int count) {
    cJSON_AddItemToObject(object, key, cJSON_CreateDoubleArray(values, count));
}

static void add_training(cJSON *object, const cg_checkpoint_info *info) {
    cJSON_AddStringToObject(object, "optimizer", info->optimizer);
    add_text(object, "loss", info->loss);
    cJSON_AddNumberToObject(object, "steps", (double)info->optimizer_steps);
    cJSON_AddNumberToObject(object, "epoch", (double)info->epoch);
    cJSON_AddNumberToObject(object, "position", (double)info->position);
    cJSON_AddNumberToObject(object, "batch", (double)info->batch);
    cJSON_AddNumberToObject(object, "seed", (double)info->seed);
    cJSON_AddBoolToObject(object, "shuffle", info->shuffle);
}

/* What the file says, each under the name of the flag that sets it where there is one. */
static cJSON *checkpoint_json(const cg_checkpoint_info *info) {
    cJSON *object = cJSON_CreateObject();
    add_text(object, "model", info->model);
    add_text(object, "data", info->data);
    if (info->sample.rank > 0) {
        add_shape(object, "input", &info->sample);
        cJSON_AddNumberToObject(object, "classes", (double)info->classes);
    }
    if (info->has_normalization) {
        add_numbers(object, "mean", info->mean, info->channels);
        add_numbers(object, "std", info->std, info->channels);
    }
    if (info->has_split) {
        cJSON_AddNumberToObject(object, "valid", info->valid);
        cJSON_AddNumberToObject(object, "split_seed", (double)info->split_seed);
        cJSON_AddNumberToObject(object, "limit", (double)info->limit);
    }
    if (info->optimizer) {
        add_training(object, info);
    }
    return object;
}

static void print_checkpoint(const char *path, const cJSON *checkpoint) {
    const cJSON *entry;
    printf("%s\n", path);
    cJSON_ArrayForEach(entry, checkpoint) {
        char *text = cJSON_IsString(entry) ? NULL : cJSON_PrintUnformatted(entry);
        printf("  %-10s %s\n", entry->string, text ? text : cJSON_IsString(entry) ? entry->valuestring : "");
        cJSON_free(text);
    }
}

/* "1,28,28" */
static cg_status parse_input(const char *text, cg_shape *shape) {
    size_t count;
    if (!parse_numbers(text, 1, shape->dim, CG_MAX_RANK - 1, &count)) {
        return cg_fail(CG_ERR_ARGUMENT, "--input '%s': the shape of one sample, as 1,28,28, is needed", text);
    }
    shape->rank = (int32_t)count;
    return CG_OK;
}

static cg_status add_layers(const char *text, bool from_file, const cg_shape *sample, const char *device_string,
                            cJSON *object) {
    cg_device *device;
    cg_module *model = NULL;
    CG_TRY(cg_device_open(device_string ? device_string : "cpu", &device));
    cg_status status = model_parse(device, text, DEFAULT_CLASSES, &model);
    if (status != CG_OK && from_file) {
        status = cg_fail_context(CG_ERR_FORMAT, "the file's model: ");
    }
    if (status == CG_OK) {
        status = layer_table(model, device, sample, object);
    }
    cg_module_destroy(model);
    cg_device_close(device);
    return status;
}

typedef struct info_options {
    const char *subject, *input, *device;
    bool json;
} info_options;

static cg_status describe_file(const info_options *options, cJSON *object) {
    cg_checkpoint_info info = {0};
    CG_TRY(cg_checkpoint_read(options->subject, &info));
    cg_shape sample = info.sample;
    cJSON_AddItemToObject(object, "checkpoint", checkpoint_json(&info));
    cg_status status = options->input ? parse_input(options->input, &sample) : CG_OK;
    if (status == CG_OK && info.model && sample.rank > 0) {
        status = add_layers(info.model, true, &sample, options->device, object);
    } else if (status == CG_OK) {
        status = tensor_list(options->subject, object);
    }
    cg_checkpoint_info_clear(&info);
    return status;
}

static cg_status describe_model(const info_options *options, cJSON *object) {
    cg_shape sample = {0};
    if (!options->input) {
        return cg_fail(CG_ERR_ARGUMENT, "--input is needed with a model: the shape of one sample, as 1,28,28");
    }
    CG_TRY(parse_input(options->input, &sample));
    return add_layers(options->subject, false, &sample, options->device, object);
}

static cg_status describe(const info_options *options, cJSON *object) {
    struct stat facts;
    if (stat(options->subject, &facts) == 0) {
        return describe_file(options, object);
    }
    if (strchr(options->subject, '(') || model_is_preset(options->subject)) {
        return describe_model(options, object);
    }
    return cg_fail(CG_ERR_FILE, "'%s' is neither a file nor a model", options->subject);
}

static int show(const info_options *options, cJSON *object) {
    if (options->json) {
        return report_json(object);
    }
    const cJSON *checkpoint = cJSON_GetObjectItem(object, "checkpoint");
    if (checkpoint) {
        print_checkpoint(options->subject, checkpoint);
        putchar('\n');
    }
    if (cJSON_HasObjectItem(object, "layers")) {
        print_layers(object);
    } else {
        print_tensors(object);
    }
    cJSON_Delete(object);
    return EXIT_GOOD;
}

int cmd_info(int argc, char **argv) {
    info_options chosen = {0};
    const option options[] = {
        text_option("--input", "1,28,28", "the shape of one sample; default: what FILE was trained on", &chosen.input),
        text_option("--device", "STRING", "a device string; default: cpu, nothing is computed", &chosen.device),
        flag_option("--json", "one object on stdout", &chosen.json),
    };
    const command_line line = {.name = "info",
                               .operands = "FILE|MODEL",
                               .summary =
                                   "What a checkpoint says about itself, and the layers of a model:\n" MODEL_HELP,
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operand = &chosen.subject};
    int parsed = options_parse(&line, argc, argv);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    cJSON *object = cJSON_CreateObject();
    cg_status status = describe(&chosen, object);
    if (status != CG_OK) {
        cJSON_Delete(object);
        return report_failure(status);
    }
    return show(&chosen, object);
}
