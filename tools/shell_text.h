/* Arguments as a shell takes them. */
#ifndef CLGRAD_TOOLS_SHELL_TEXT_H
#define CLGRAD_TOOLS_SHELL_TEXT_H

#include <stdio.h>

/* The argument as it is, or in single quotes where a shell would split or expand it. */
void shell_text(FILE *stream, const char *argument);

#endif
