/* What clgrad predict shows of its predictions: a table with images, CSV, or JSON. */
#ifndef CLGRAD_TOOLS_PREDICT_SHOW_H
#define CLGRAD_TOOLS_PREDICT_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "saved_model.h"
#include "standard_input.h"

/* The rows that were asked for and what the model says of them. */
typedef struct prediction {
    int64_t n, sample, classes, targets; /* classes or targets is 0 */
    bool unlabelled;                     /* files: what is right is not known */
    int64_t *rows, *expected;
    float *x, *probabilities;
    float *numbers, *expected_numbers;    /* [n, targets] */
    char kept_input[STANDARD_INPUT_SIZE]; /* where standard input is kept; "" when it is not read */
} prediction;

/* The file that row i comes from, "-" for standard input; NULL: rows of this data are not files. */
const char *predict_file(const saved_model *saved, const prediction *p, int64_t i);

/* "row, class, probability, ..." of every row. */
void predict_table(const saved_model *saved, const prediction *p);

/* The images, as many beside each other as the terminal is wide, each under what the model takes it for and above its
 * `top` likeliest classes. Nothing where the data is no images or has no classes. */
cg_status predict_draw(const saved_model *saved, const prediction *p, int64_t top) CG_MUST_USE;

/* With `top` above 0 only so many classes of each row, the likeliest first; else all in their order. */
void predict_csv(const saved_model *saved, const prediction *p, int64_t top);
int predict_json(const saved_model *saved, const prediction *p, int64_t top);

#endif
