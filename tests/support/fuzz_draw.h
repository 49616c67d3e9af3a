/* Between fuzz.c and fuzz_draw.c. */
#ifndef CLGRAD_TESTS_FUZZ_DRAW_H
#define CLGRAD_TESTS_FUZZ_DRAW_H

#include "fuzz.h"

uint32_t fuzz_draw(const fuzz *f, int stream, int index);

/* Adds to the text of the call. */
void fuzz_say(fuzz *f, const char *format, ...) CG_PRINTF(2, 3);

/* The sizes that letters stand for, and whether this call is spoiled; then the tensors of the row. */
void fuzz_draw_sizes(fuzz *f);
void fuzz_draw_tensors(fuzz *f);

#endif
