/* From a file's name to a model that can be called and the data to call it with. */
#include "saved_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "report.h"

/* The layers of a preset in front of the last, which has an output for each class; NULL: no preset. */
static const char *preset_layers(const char *name) {
    static const char *const presets[][2] = {
        {"mlp", "Flatten(), LazyLinear(512), ReLU(), LazyLinear(512), ReLU()"},
        {"lenet", "LazyConv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), "
                  "Flatten(), LazyLinear(120), ReLU(), LazyLinear(84), ReLU()"},
    };
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i][0], name) == 0) {
            return presets[i][1];
        }
    }
    return NULL;
}

bool model_is_preset(const char *text) {
    return preset_layers(text) != NULL;
}

cg_status model_parse(cg_device *device, const char *text, int64_t classes, cg_module **model) {
    const char *layers = preset_layers(text);
    if (layers == NULL) {
        return cg_module_parse(device, text, model);
    }
    char whole[256];
    snprintf(whole, sizeof whole, "%s, LazyLinear(%lld)", layers, (long long)(classes > 0 ? classes : 1));
    return cg_module_parse(device, whole, model);
}

cg_status loss_parse(cg_device *device, const char *text, int64_t classes, cg_module **loss) {
    if (strcmp(text, "auto") == 0) {
        text = classes > 0 ? "CrossEntropyLoss()" : "MSELoss()";
    }
    return cg_module_parse(device, text, loss);
}

void data_options_from(const cg_checkpoint_info *info, cg_data_options *options) {
    if (info->has_split) {
        options->valid = info->valid;
        options->seed = info->split_seed;
        options->limit = info->limit;
    }
    if (info->has_normalization) {
        options->normalize = CG_NORMALIZE_GIVEN;
        options->channels = info->channels;
        memcpy(options->mean, info->mean, sizeof info->mean);
        memcpy(options->std, info->std, sizeof info->std);
    }
}

const char *split_name(cg_split split) {
    static const char *const names[] = {"train", "valid", "test"};
    return names[split];
}

cg_split best_split(const cg_data_info *info) {
    if (info->rows[CG_SPLIT_TEST] > 0) {
        return CG_SPLIT_TEST;
    }
    return info->rows[CG_SPLIT_VALID] > 0 ? CG_SPLIT_VALID : CG_SPLIT_TRAIN;
}

/* A text out of the file that does not parse is the file's fault, not the caller's. */
static cg_status blame_file(cg_status status, const char *path) {
    if (status == CG_ERR_SYNTAX || status == CG_ERR_NAME || status == CG_ERR_ARGUMENT) {
        return cg_fail_context(CG_ERR_FORMAT, "%s: ", path);
    }
    return status;
}

static cg_status choose_split(const saved_options *options, saved_model *saved) {
    const cg_data_info *info = cg_data_describe(saved->data);
    saved->split = best_split(info);
    for (int i = CG_SPLIT_TRAIN; options->split && i <= CG_SPLIT_TEST; i++) {
        saved->split = strcmp(options->split, split_name((cg_split)i)) == 0 ? (cg_split)i : saved->split;
    }
    if (info->rows[saved->split] == 0) {
        return cg_fail(CG_ERR_FORMAT, "the data '%s' has no %s rows", info->name, split_name(saved->split));
    }
    return CG_OK;
}

static cg_status open_data(const saved_options *options, saved_model *saved) {
    const char *source = options->data ? options->data : saved->info.data;
    if (!source) {
        return cg_fail(CG_ERR_ARGUMENT, "%s does not say which data it was trained on: --data is needed",
                       options->file);
    }
    cg_data_options data = {.valid = -1};
    data_options_from(&saved->info, &data);
    if (!parse_normalize(options->normalize, &data)) {
        return cg_fail(CG_ERR_ARGUMENT, "--normalize '%s': data, none or MEAN,STD is needed", options->normalize);
    }
    CG_TRY(cg_data_load(source, &data, &saved->data));
    return choose_split(options, saved);
}

static cg_status open_model(const saved_options *options, saved_model *saved) {
    const cg_data_info *info = cg_data_describe(saved->data);
    if (options->model) {
        CG_TRY(model_parse(saved->device, options->model, info->classes, &saved->model));
    } else if (saved->info.model) {
        CG_TRY(blame_file(cg_module_parse(saved->device, saved->info.model, &saved->model), options->file));
    } else {
        return cg_fail(CG_ERR_ARGUMENT, "%s holds weights only and does not say of which model: --model is needed",
                       options->file);
    }
    cg_shape input = {.dim = {1}, .rank = info->sample.rank + 1};
    memcpy(input.dim + 1, info->sample.dim, (size_t)info->sample.rank * sizeof *input.dim);
    CG_TRY(cg_module_resolve(saved->model, &input, NULL));
    return cg_checkpoint_load(options->file, saved->model, NULL, CG_LOAD_STRICT);
}

static cg_status open_loss(const saved_options *options, saved_model *saved) {
    int64_t classes = cg_data_describe(saved->data)->classes;
    if (!options->loss && saved->info.loss) {
        return blame_file(loss_parse(saved->device, saved->info.loss, classes, &saved->loss), options->file);
    }
    return loss_parse(saved->device, options->loss ? options->loss : "auto", classes, &saved->loss);
}

cg_status saved_model_open(const saved_options *options, saved_model *saved) {
    *saved = (saved_model){0};
    CG_TRY(cg_device_open(options->device, &saved->device));
    CG_TRY(cg_checkpoint_read(options->file, &saved->info));
    CG_TRY(open_data(options, saved));
    CG_TRY(open_model(options, saved));
    return open_loss(options, saved);
}

void saved_model_close(saved_model *saved) {
    cg_module_destroy(saved->loss);
    cg_module_destroy(saved->model);
    cg_data_destroy(saved->data);
    close_device(saved->device);
    cg_checkpoint_info_clear(&saved->info);
}

char *module_text(const cg_module *module) {
    size_t length = cg_module_print(module, NULL, 0);
    char *text = malloc(length + 1);
    if (text) {
        cg_module_print(module, text, length + 1);
    }
    return text;
}

char *optimizer_text(const cg_optimizer *optimizer) {
    size_t length = cg_optimizer_print(optimizer, NULL, 0);
    char *text = malloc(length + 1);
    if (text) {
        cg_optimizer_print(optimizer, text, length + 1);
    }
    return text;
}
