/* What the output stream is: a terminal or not, how wide, which characters it shows. */
#ifndef CLGRAD_TOOLS_TERMINAL_H
#define CLGRAD_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* A terminal on which a line can be drawn again. */
bool terminal_is_live(FILE *stream);

/* Columns; 80 when unknown. */
int terminal_width(FILE *stream);

/* Whether the locale shows UTF-8; setlocale must have been called. */
bool terminal_is_utf8(void);

/* Seconds of a clock that never goes back. */
double monotonic_seconds(void);

#endif
