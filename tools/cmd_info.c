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

/* What a preset is shown for where nothing says otherwise: MNIST. */
#define PRESET_CLASSES 10
#define PRESET_SAMPLE CG_SHAPE(1, 28, 28)

static void add_text(cJSON *object, const char *key, const char *text) {
    if (text) {
        cJSON_AddStringToObject(object, key, text);
    }
}

static void add_numbers(cJSON *object, const char *key, const double *values, int64_t count) {
    cJSON_AddItemToObject(object, key, cJSON_CreateDoubleArray(values, (int)count));
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
    for (int i = 0; i < CG_NOTES; i++) {
        add_text(object, cg_note_key((cg_note)i), info->notes[i]);
    }
}

/* What the file says, each under the name of the flag that sets it where there is one. */
static cJSON *checkpoint_json(const cg_checkpoint_info *info) {
    cJSON *object = cJSON_CreateObject();
    add_text(object, "model", info->model);
    add_text(object, "data", info->data);
    add_text(object, "target", info->target);
    if (info->sample.rank > 0) {
        add_shape(object, "input", &info->sample);
        cJSON_AddNumberToObject(object, "classes", (double)info->classes);
    }
    if (info->class_names) {
        const char *const *names = (const char *const *)info->class_names;
        cJSON_AddItemToObject(object, "class_names", cJSON_CreateStringArray(names, (int)info->classes));
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

typedef struct info_options {
    const char *subject, *input, *device;
    int64_t classes;
    bool json;
} info_options;

static cg_status add_layers(const info_options *options, const char *text, bool from_file, const cg_shape *sample,
                            cJSON *object) {
    cg_device *device;
    cg_module *model = NULL;
    CG_TRY(cg_device_open(options->device ? options->device : "cpu", &device));
    cg_status status = model_parse(device, text, options->classes, &model);
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

static cg_status describe_file(const info_options *options, cJSON *object) {
    cg_checkpoint_info info = {0};
    CG_TRY(cg_checkpoint_read(options->subject, &info));
    cg_shape sample = info.sample;
    cJSON_AddItemToObject(object, "checkpoint", checkpoint_json(&info));
    cg_status status = options->input ? parse_sample(options->input, &sample) : CG_OK;
    if (status == CG_OK && info.model && sample.rank > 0) {
        status = add_layers(options, info.model, true, &sample, object);
    } else if (status == CG_OK) {
        status = tensor_list(options->subject, object);
    }
    cg_checkpoint_info_clear(&info);
    return status;
}

static cg_status describe_model(const info_options *options, cJSON *object) {
    cg_shape sample = PRESET_SAMPLE;
    if (options->input) {
        CG_TRY(parse_sample(options->input, &sample));
    } else if (!model_is_preset(options->subject)) {
        return cg_fail(CG_ERR_ARGUMENT, "--input is needed with a model: the shape of one sample, as 1,28,28");
    }
    return add_layers(options, options->subject, false, &sample, object);
}

static cg_status describe(const info_options *options, cJSON *object) {
    struct stat facts;
    if (stat(options->subject, &facts) == 0) {
        return describe_file(options, object);
    }
    if (strchr(options->subject, '(') || model_is_preset(options->subject)) {
        return describe_model(options, object);
    }
    return cg_fail(CG_ERR_FILE, "'%s' is neither a file nor a model; presets are " PRESET_NAMES, options->subject);
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
    info_options chosen = {.classes = PRESET_CLASSES};
    const option options[] = {
        text_option("--input", "1,28,28",
                    "the shape of one sample; default: what FILE was trained on, of a\npreset 1,28,28", &chosen.input),
        count_option("--classes", "outputs of a preset's last layer, default 10", 1, &chosen.classes),
        text_option("--device", "STRING", "a device string; default: cpu, nothing is computed", &chosen.device),
        flag_option("--json", "one object on stdout", &chosen.json),
    };
    const command_line line = {.name = "info",
                               .operands = "FILE|MODEL",
                               .summary = "What a checkpoint says about itself, and the layers of a model:\n" MODEL_HELP
                                          "\nA multiplication with its addition is 2 flops.",
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
