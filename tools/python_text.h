/* A module's text as Python: the same calls with PyTorch's packages in front, a long one over several lines. */
#ifndef CLGRAD_TOOLS_PYTHON_TEXT_H
#define CLGRAD_TOOLS_PYTHON_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the text calls a class of that name. */
bool python_calls(const char *text, const char *name);

/* The name that a text's call begins with as Python knows it: "nn.Sequential", "Residual". */
void python_put_name(FILE *out, const char *text);

/* The arguments of the text's call, "(" to ")", the lines after the first indented by `indent` blanks more than 0. */
void python_put_arguments(FILE *out, const char *text, int indent);

#endif
