/* The column that is learnt, while its kind is not yet known: as numbers, and as the different texts. Private. */
#ifndef CLGRAD_TARGETS_H
#define CLGRAD_TARGETS_H

#include "samples.h"

#define CG_MOST_CLASSES 65536

typedef struct cg_targets {
    const char *path, *column; /* for messages */
    double *number;            /* [count]; NAN: a text */
    int64_t *label;            /* [count], which of `names`; -1 after there were too many */
    size_t count, number_capacity, label_capacity;
    cg_names names; /* the different texts, in the order they were met */
    int64_t *line;  /* [names], where each was met first */
    size_t line_capacity;
    uint32_t *table; /* hash table of 1 + index into names; 0: free */
    size_t table_size;
    bool too_many, fractions, has_numbers;
    int64_t text_line; /* of the first that is no number; 0: none */
    char text[64];
} cg_targets;

/* An empty field, or one of the words that programs write there: NA, nan, null, ?. */
bool cg_is_missing(const char *text);

/* One row's target. A number's text is written one way: 1.0 and 01 are the class 1. */
cg_status cg_targets_add(cg_targets *targets, const char *text, int64_t line) CG_MUST_USE;

/* Decides between classes and numbers and fills in the source's. */
cg_status cg_targets_finish(cg_targets *targets, const cg_data_options *options, cg_source *source) CG_MUST_USE;
void cg_targets_free(cg_targets *targets);

#endif
