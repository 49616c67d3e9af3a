/* The layers of a model for one input shape: path, class, output shape, parameters, cost. */
#ifndef CLGRAD_TOOLS_LAYER_TABLE_H
#define CLGRAD_TOOLS_LAYER_TABLE_H

#include <cjson/cJSON.h>

#include <clgrad/nn.h>

/* Resolves the model for one sample and adds to the object its text "model", "input" (of one sample), "output" (of a
 * batch of one), "layers", an array of {path, class, output, parameters, flops}, and the totals "parameters" and
 * "flops". Flops are those of matrix products and convolutions, a multiplication and an addition counted as 2, as
 * PyTorch's FlopCounterMode does. */
cg_status layer_table(cg_module *model, cg_device *device, const cg_shape *sample, cJSON *object) CG_MUST_USE;

/* Adds a shape as an array of numbers. */
void add_shape(cJSON *object, const char *key, const cg_shape *shape);

/* Prints what layer_table made. */
void print_layers(const cJSON *object);

#endif
