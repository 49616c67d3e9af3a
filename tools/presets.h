/* Models by name, each a PyTorch string. */
#ifndef CLGRAD_TOOLS_PRESETS_H
#define CLGRAD_TOOLS_PRESETS_H

#include <stdbool.h>
#include <stdint.h>

#include <clgrad/nn.h>

#define PRESET_NAMES "mlp, lenet, resnet-small, resnet18, mobilenet-small and transformer-small"

#define MODEL_HELP                                                                                                     \
    "layers as PyTorch prints them, 'Flatten(), Linear(64, 10)', or a preset:\n" PRESET_NAMES "\n"                     \
    "(clgrad info PRESET shows its layers)"

/* Makes the module that `text` describes; a preset is written out for the number of classes (0: one number). */
cg_status model_parse(cg_device *device, const char *text, int64_t classes, cg_module **model) CG_MUST_USE;
bool model_is_preset(const char *text);

#endif
