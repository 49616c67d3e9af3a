/* Lists of numbers as text, "[1.0, 2.5]": what metadata holds. */
#ifndef CLGRAD_NUMBER_LIST_H
#define CLGRAD_NUMBER_LIST_H

#include <stdint.h>

#include "text.h"

/* Reads a list; its length, or -1 when it is none or longer than `most`. */
int cg_number_list_read(const char *text, double *values, int most);

/* Appends a list whose numbers read back as the same doubles. */
void cg_number_list_append(cg_text *text, const double *values, int64_t count);

#endif
