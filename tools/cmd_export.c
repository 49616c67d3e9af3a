/* clgrad export: a checkpoint as a program of another framework. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <clgrad/train.h>

#include "commands.h"
#include "exit_status.h"
#include "options.h"
#include "pytorch_module.h"
#include "saved_model.h"

typedef struct export_options {
    const char *file, *pytorch, *model, *input;
    int64_t classes;
} export_options;

/* The module of the checkpoint, with its weights: what does not load here would not load there. */
static cg_status open_model(const export_options *options, cg_checkpoint_info *info, cg_device *device,
                            cg_module **model) {
    const char *text = options->model ? options->model : info->model;
    if (!text) {
        return cg_fail(CG_ERR_ARGUMENT, "%s holds weights only and does not say of which model: --model is needed",
                       options->file);
    }
    if (options->input) {
        CG_TRY(parse_sample(options->input, &info->sample));
    }
    info->classes = options->classes != NOT_GIVEN ? options->classes : info->classes;
    cg_status status = model_parse(device, text, info->classes, model);
    CG_TRY(options->model ? status : blame_file(status, options->file));
    if (info->sample.rank > 0) {
        cg_shape input = {.dim = {1}, .rank = info->sample.rank + 1};
        memcpy(input.dim + 1, info->sample.dim, (size_t)info->sample.rank * sizeof *input.dim);
        CG_TRY(cg_module_resolve(*model, &input, NULL));
    }
    return cg_checkpoint_load(options->file, *model, NULL, CG_LOAD_STRICT);
}

/* The path from the root; NULL when memory is out or the working folder is gone. */
static char *whole_path(const char *path) {
    enum { LONGEST = 4096 };
    char folder[LONGEST] = "";
    if (*path != '/' && getcwd(folder, sizeof folder) == NULL) {
        return NULL;
    }
    size_t size = strlen(folder) + strlen(path) + 2;
    char *whole = malloc(size);
    if (whole) {
        snprintf(whole, size, "%s%s%s", folder, *path != '/' ? "/" : "", path);
    }
    return whole;
}

/* The checkpoint as MODEL.py finds it: beside itself by its name, elsewhere by its whole path. */
static char *path_from(const char *module, const char *checkpoint) {
    const char *module_end = strrchr(module, '/'), *end = strrchr(checkpoint, '/');
    size_t module_folder = module_end ? (size_t)(module_end - module) : 0,
           folder = end ? (size_t)(end - checkpoint) : 0;
    bool beside = module_folder == folder && strncmp(module, checkpoint, folder) == 0;
    return beside ? strdup(end ? end + 1 : checkpoint) : whole_path(checkpoint);
}

/* Written beside the file of that name, which it replaces when it is whole. */
static cg_status write_module(const char *path, const pytorch_module *module) {
    size_t size = strlen(path) + sizeof ".tmp";
    char *beside = malloc(size);
    if (!beside) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    snprintf(beside, size, "%s.tmp", path);
    FILE *file = fopen(beside, "w");
    cg_status status = file ? CG_OK : cg_fail(CG_ERR_FILE, "cannot write %s: %s", path, strerror(errno));
    if (file) {
        pytorch_module_write(file, module);
        bool good = !ferror(file);
        good = fclose(file) == 0 && good && rename(beside, path) == 0;
        status = good ? CG_OK : cg_fail(CG_ERR_FILE, "cannot write %s: %s", path, strerror(errno));
    }
    if (file && status != CG_OK) {
        unlink(beside);
    }
    free(beside);
    return status;
}

static cg_status write_model(const export_options *options, const cg_checkpoint_info *info, const cg_module *model) {
    char *text = module_text(model), *path = path_from(options->pytorch, options->file);
    cg_status status = cg_fail(CG_ERR_MEMORY, "out of memory");
    if (text && path) {
        status = write_module(options->pytorch, &(pytorch_module){text, path, info});
    }
    free(text);
    free(path);
    return status;
}

static cg_status export(const export_options *options) {
    cg_checkpoint_info info = {0};
    cg_device *device = NULL;
    cg_module *model = NULL;
    CG_TRY(cg_checkpoint_read(options->file, &info));
    cg_status status = cg_device_open("cpu", &device);
    if (status == CG_OK) {
        status = open_model(options, &info, device, &model);
    }
    if (status == CG_OK) {
        status = write_model(options, &info, model);
    }
    cg_module_destroy(model);
    cg_device_close(device);
    cg_checkpoint_info_clear(&info);
    return status;
}

int cmd_export(int argc, char **argv) {
    export_options chosen = {.classes = NOT_GIVEN};
    const option options[] = {
        text_option("--pytorch", "MODEL.py",
                    "write a Python module that builds the model, loads FILE and predicts:\nneeds torch, numpy and "
                    "safetensors",
                    &chosen.pytorch),
        text_option("--model", "MODEL", "for a file that holds weights only:\n" MODEL_HELP, &chosen.model),
        text_option("--input", "1,28,28", "with --model: the shape of one sample", &chosen.input),
        count_option("--classes", "with a preset: outputs of its last layer", 1, &chosen.classes),
    };
    const command_line line = {.name = "export",
                               .operands = "FILE",
                               .summary =
                                   "Writes the model in FILE, a checkpoint (safetensors), for another framework.",
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operand = &chosen.file};
    int parsed = options_parse(&line, argc, argv);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    if (!chosen.pytorch) {
        return usage_error("export", "--pytorch MODEL.py is needed: it says what to write");
    }
    cg_status status = export(&chosen);
    return status == CG_OK ? EXIT_GOOD : report_failure(status);
}
