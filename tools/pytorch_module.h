/* The text of a Python module that builds a checkpoint's model in PyTorch. */
#ifndef CLGRAD_TOOLS_PYTORCH_MODULE_H
#define CLGRAD_TOOLS_PYTORCH_MODULE_H

#include <stdio.h>

#include <clgrad/checkpoint.h>

typedef struct pytorch_module {
    const char *model;      /* cg_module_print's text */
    const char *checkpoint; /* its path, from the module's folder */
    const cg_checkpoint_info *info;
} pytorch_module;

/* Errors are the stream's. */
void pytorch_module_write(FILE *out, const pytorch_module *module);

#endif
