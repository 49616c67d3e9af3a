/* Models as the command names them: presets, strings and checkpoints, with the data they were trained on. */
#ifndef CLGRAD_TOOLS_SAVED_MODEL_H
#define CLGRAD_TOOLS_SAVED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <clgrad/train.h>

#include "presets.h"

#define DEVICE_HELP                                                                                                    \
    "a device string, see clgrad devices; check:STRING checks every op,\n"                                             \
    "trace:STRING times them; default: CLGRAD_DEVICE, else auto"
#define TARGET_HELP                                                                                                    \
    "of a table: the column to learn, by name or number from 1; of X.npy: the file\n"                                  \
    "with what is to be learnt; of .npz: its array, y"
#define TASK_HELP                                                                                                      \
    "whether the target is a class or a number; default: text and whole numbers of\n"                                  \
    "which at most 32 differ are classes, and so are arrays of integers"
#define NORMALIZE_HELP "data (mean and deviation of the training rows), none or MEAN,STD"

/* Makes a loss; "auto" is CrossEntropyLoss() for classes and MSELoss() for numbers. */
cg_status loss_parse(cg_device *device, const char *text, int64_t classes, cg_module **loss) CG_MUST_USE;

/* Fills in where the checkpoint's split, normalisation, classes and target are known, which is borrowed. A target that
 * is given stays. */
void data_options_from(const cg_checkpoint_info *info, cg_data_options *options);

/* "1,28,28": the shape of one sample, --input's. */
cg_status parse_sample(const char *text, cg_shape *sample) CG_MUST_USE;

/* A text out of the file that does not parse is the file's fault, not the caller's. */
cg_status blame_file(cg_status status, const char *path) CG_MUST_USE;

/* The flags that eval and predict share; texts are NULL when not given. */
typedef struct saved_options {
    const char *const *inputs; /* [n_inputs]: files to predict in place of data */
    size_t n_inputs;
    const char *file, *data, *target, *split, *device, *fallback, *model, *loss, *normalize, *precision;
} saved_options;

/* A model out of a file, with its data. */
typedef struct saved_model {
    cg_checkpoint_info info;
    cg_device *device;
    const char *fallback;
    cg_data *data;
    cg_module *model, *loss;
    cg_split split;
} saved_model;

/* Opens all of it. saved_model_close afterwards in any case. */
cg_status saved_model_open(const saved_options *options, saved_model *saved) CG_MUST_USE;
void saved_model_close(saved_model *saved);

/* "classes", "numbers"; NULL: as the data looks. */
cg_task parse_task(const char *text);

/* "train", "valid", "test". */
const char *split_name(cg_split split);

/* The split to show results of: test where there is one, else valid, else train. */
cg_split best_split(const cg_data_info *info);

/* The whole text of a module or an optimizer, for the caller to free; NULL when memory is out. */
char *module_text(const cg_module *module);
char *optimizer_text(const cg_optimizer *optimizer);

#endif
