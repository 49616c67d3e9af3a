/*
 * The comparer of the proofs: two arrays of doubles, element by element, and a message that a person can act on.
 * It cannot pass vacuously: an expected array that is nearly all zero, constant, or empty is mistrusted and fails
 * unless the caller says that it is right so.
 */
#ifndef CLGRAD_TESTS_COMPARE_H
#define CLGRAD_TESTS_COMPARE_H

#include <clgrad/types.h>

/* An element passes if |actual - expected| <= rtol |expected| + atol scale. NaN passes against NaN only, an infinity
 * against the same infinity only. */
typedef struct compare_rule {
    double rtol, atol;
    double scale; /* 0: the largest finite |expected| */
    bool trusted; /* expected may be nearly all zero, constant or empty */
} compare_rule;

typedef struct compare_result {
    bool passed, mistrusted;
    int64_t wrong;           /* elements that do not pass */
    int64_t at;              /* the worst element: furthest from its bound */
    double max_abs, max_rel; /* infinite where one is NaN or infinite and the other is not */
    char message[640];       /* one line: name, shape, counts, max_abs, max_rel, index, both values, rule */
} compare_result;

/* Compares arrays of `shape`; `name` opens the message. Returns result->passed. */
bool compare(const char *name, const double *actual, const double *expected, const cg_shape *shape,
             const compare_rule *rule, compare_result *result);

/* Writes the multi-index of a flat index, "[1, 2]", and returns text. */
char *compare_index_print(const cg_shape *shape, int64_t flat, char *text, size_t size);

#endif
