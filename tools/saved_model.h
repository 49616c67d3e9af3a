/* Models as the command names them: presets, strings and checkpoints, with the data they were trained on. */
#ifndef CLGRAD_TOOLS_SAVED_MODEL_H
#define CLGRAD_TOOLS_SAVED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <clgrad/train.h>

#define MODEL_HELP                                                                                                     \
    "layers as PyTorch prints them, 'Flatten(), Linear(64, 10)', or a preset: mlp,\n"                                  \
    "Flatten(), LazyLinear(512), ReLU(), LazyLinear(512), ReLU(), LazyLinear(classes),\n"                              \
    "or lenet, LeNet-5 with ReLU() and MaxPool2d(2)"

#define DEVICE_HELP                                                                                                    \
    "a device string, see clgrad devices; check:STRING checks every op,\n"                                             \
    "trace:STRING times them; default: CLGRAD_DEVICE, else auto"
#define NORMALIZE_HELP "data (mean and deviation of the training rows), none or MEAN,STD"

/* Makes the module that `text` describes; presets, "mlp" and "lenet", are written out for the number of classes. */
cg_status model_parse(cg_device *device, const char *text, int64_t classes, cg_module **model) CG_MUST_USE;
bool model_is_preset(const char *text);

/* Makes a loss; "auto" is CrossEntropyLoss() for classes and MSELoss() for numbers. */
cg_status loss_parse(cg_device *device, const char *text, int64_t classes, cg_module **loss) CG_MUST_USE;

/* Fills in where the checkpoint's split and normalisation are known. */
void data_options_from(const cg_checkpoint_info *info, cg_data_options *options);

/* The flags that eval and predict share; texts are NULL when not given. */
typedef struct saved_options {
    const char *file, *data, *split, *device, *model, *loss, *normalize;
} saved_options;

/* A model out of a file, with its data. */
typedef struct saved_model {
    cg_checkpoint_info info;
    cg_device *device;
    cg_data *data;
    cg_module *model, *loss;
    cg_split split;
} saved_model;

/* Opens all of it. saved_model_close afterwards in any case. */
cg_status saved_model_open(const saved_options *options, saved_model *saved) CG_MUST_USE;
void saved_model_close(saved_model *saved);

/* "train", "valid", "test". */
const char *split_name(cg_split split);

/* The split to show results of: test where there is one, else valid, else train. */
cg_split best_split(const cg_data_info *info);

/* The whole text of a module or an optimizer, for the caller to free; NULL when memory is out. */
char *module_text(const cg_module *module);
char *optimizer_text(const cg_optimizer *optimizer);

#endif
