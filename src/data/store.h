/* An array of doubles that grows: in memory, and beyond `memory` bytes in a file that is mapped. Private. */
#ifndef CLGRAD_STORE_H
#define CLGRAD_STORE_H

#include "samples.h"

/* Zero-initialised but for `memory` is empty. */
typedef struct cg_store {
    double *values;
    size_t count, capacity;
    int64_t memory; /* bytes that may be of the heap */
    size_t mapped;  /* bytes of the file that `values` is; 0: it is of the heap */
    bool in_file;
    int descriptor;
} cg_store;

/* CG_ERR_MEMORY; CG_ERR_FILE when the disk is full. */
cg_status cg_store_add(cg_store *store, double value) CG_MUST_USE;

/* Hands the values over. */
void cg_store_give(cg_store *store, cg_samples *samples);
void cg_store_free(cg_store *store);

#endif
