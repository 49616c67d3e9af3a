/* The words of layers.def. */
#ifndef CLGRAD_TESTS_LAYER_ROWS_H
#define CLGRAD_TESTS_LAYER_ROWS_H

#include "proof.h"

#define INPUTS(...)                                                                                                    \
    .n_inputs = (uint32_t)(sizeof((gradcheck_input[]){__VA_ARGS__}) / sizeof(gradcheck_input)), .inputs = {__VA_ARGS__}

/* Normal numbers, in this shape; the same without a gradient; with a scale. */
#define NORMAL(...)                                                                                                    \
    { .shape = CG_SHAPE(__VA_ARGS__) }
#define CONSTANT(...)                                                                                                  \
    { .shape = CG_SHAPE(__VA_ARGS__), .constant = true }
#define SCALED(factor, ...)                                                                                            \
    { .shape = CG_SHAPE(__VA_ARGS__), .scale = (factor) }

/* Numbers spread evenly over from .. to. */
#define UNIFORM(from, to, ...)                                                                                         \
    { .shape = CG_SHAPE(__VA_ARGS__), .values = GRADCHECK_UNIFORM, .low = (from), .high = (to) }

/* -1 or 1, without a gradient. */
#define SIGNS(...)                                                                                                     \
    { .shape = CG_SHAPE(__VA_ARGS__), .values = GRADCHECK_SIGNS, .constant = true }

/* Rows that sum to 1. */
#define ROWS(...)                                                                                                      \
    { .shape = CG_SHAPE(__VA_ARGS__), .values = GRADCHECK_ROWS }

/* i64 classes 0 .. n - 1; one alone, of shape []. */
#define CLASSES(n, ...)                                                                                                \
    { .shape = CG_SHAPE(__VA_ARGS__), .classes = (n) }
#define CLASS(n)                                                                                                       \
    { .classes = (n) }

#endif
