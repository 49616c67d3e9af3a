/* Numbers as text, the same whatever the program's locale: model strings are stored in files. */
#ifndef CLGRAD_NUMBER_H
#define CLGRAD_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#define CG_NUMBER_SIZE 64

/* Reads a decimal number of `length` bytes, which need not end with 0; false when it is none or is too long. */
bool cg_number_read(const char *text, size_t length, double *value);

/* Writes the shortest text that reads back as the same double and looks like a float: "0.1", "1.0", "1e-08", "inf". */
char *cg_number_print(double value, char text[CG_NUMBER_SIZE]);

#endif
