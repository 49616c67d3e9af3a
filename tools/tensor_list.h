/* The names and shapes of the tensors in a safetensors file. */
#ifndef CLGRAD_TOOLS_TENSOR_LIST_H
#define CLGRAD_TOOLS_TENSOR_LIST_H

#include <cjson/cJSON.h>

#include <clgrad/status.h>

/* Adds "tensors", an array of {name, dtype, shape}, to the object. The file is one that cg_checkpoint_read accepts. */
cg_status tensor_list(const char *path, cJSON *object) CG_MUST_USE;

/* Prints what tensor_list made. */
void print_tensors(const cJSON *object);

#endif
