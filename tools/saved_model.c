/* From a file's name to a model that can be called and the data to call it with. */
#include "saved_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "report.h"

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
        options->mean = info->mean;
        options->std = info->std;
    }
    options->target = options->target ? options->target : info->target;
    if (info->data) {
        options->task = info->classes > 0 ? CG_TASK_CLASSES : CG_TASK_NUMBERS;
    }
    if (info->class_names) {
        options->classes = info->classes;
        options->class_names = (const char *const *)info->class_names;
    }
}

cg_task parse_task(const char *text) {
    return !text ? CG_TASK_AUTO : strcmp(text, "classes") == 0 ? CG_TASK_CLASSES : CG_TASK_NUMBERS;
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

cg_status parse_sample(const char *text, cg_shape *sample) {
    size_t count;
    if (!parse_numbers(text, 1, sample->dim, CG_MAX_RANK - 1, &count)) {
        return cg_fail(CG_ERR_ARGUMENT, "--input '%s': the shape of one sample, as 1,28,28, is needed", text);
    }
    sample->rank = (int32_t)count;
    return CG_OK;
}

cg_status blame_file(cg_status status, const char *path) {
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

/* The files' classes are the model's. */
static cg_status open_inputs(const saved_options *options, saved_model *saved, cg_data_options *data) {
    const cg_checkpoint_info *info = &saved->info;
    if (info->sample.rank == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s does not say what its model takes: --data is needed, and no files",
                       options->file);
    }
    data->classes = info->classes;
    saved->split = CG_SPLIT_TEST;
    return cg_data_load_unlabelled(options->inputs, options->n_inputs, &info->sample, data, &saved->data);
}

static cg_status open_data(const saved_options *options, saved_model *saved) {
    const char *source = options->data ? options->data : saved->info.data;
    if (!source && options->n_inputs == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s does not say which data it was trained on: --data is needed",
                       options->file);
    }
    cg_data_options data = {.valid = -1, .target = options->target};
    double pair[2];
    data_options_from(&saved->info, &data);
    if (!parse_normalize(options->normalize, pair, &data)) {
        return cg_fail(CG_ERR_ARGUMENT, "--normalize '%s': data, none or MEAN,STD is needed", options->normalize);
    }
    if (options->n_inputs > 0) {
        return open_inputs(options, saved, &data);
    }
    CG_TRY(cg_data_load(source, &data, &saved->data));
    return choose_split(options, saved);
}

static cg_status open_model(const saved_options *options, saved_model *saved) {
    const cg_data_info *info = cg_data_describe(saved->data);
    if (options->model) {
        CG_TRY(model_parse(saved->device, options->model, info->classes + info->targets, &saved->model));
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
    saved->fallback = options->fallback;
    CG_TRY(open_device(options->device, options->fallback, &saved->device));
    CG_TRY(set_precision(saved->device, options->precision));
    CG_TRY(cg_checkpoint_read(options->file, &saved->info));
    CG_TRY(open_data(options, saved));
    CG_TRY(open_model(options, saved));
    CG_TRY(cg_module_to(saved->model, cg_device_precision(saved->device)));
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
