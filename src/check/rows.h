/* The rows of tests/layers.def, for the library. */
#ifndef CLGRAD_CHECK_ROWS_H
#define CLGRAD_CHECK_ROWS_H

#include "proof.h"

typedef struct cg_layer_row {
    const char *group; /* layers, losses */
    gradcheck_case test;
} cg_layer_row;

extern cg_layer_row (*const cg_layer_rows[])(void);
extern const size_t cg_layer_row_count;

#endif
