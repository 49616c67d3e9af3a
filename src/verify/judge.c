/*
 * The rule that results are judged by, element by element: |actual - expected| <= rtol |expected| + atol S, with S the
 * largest finite |expected| of the element's group in the case. S is there because many a true gradient is 0, such as
 * that of a bias in front of a normalisation.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "case.h"

typedef struct judgement {
    double rtol, atol;
    cg_verdict *verdict;
    int64_t wrong, count;
    double excess;            /* of the worst element: its error over its bound; negative: none as yet */
    const cg_computed *worst; /* whose element it is */
    int64_t at;
} judgement;

/* The group of "grad.input.0" is "grad", that of "lr" itself. */
static bool same_group(const char *a, const char *b) {
    size_t length = strcspn(a, ".");
    return length == strcspn(b, ".") && memcmp(a, b, length) == 0;
}

static double largest(const double *values, int64_t count, double so_far) {
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && fabs(values[i]) > so_far) {
            so_far = fabs(values[i]);
        }
    }
    return so_far;
}

static double scale_of(const cg_results *results, const char *name) {
    double scale = 0;
    for (size_t i = 0; i < results->count; i++) {
        const cg_computed *item = &results->items[i];
        if (same_group(item->stored->name, name)) {
            scale = largest(item->expected, cg_shape_numel(&item->stored->shape), scale);
        }
    }
    return scale;
}

/* Infinite where one is no number or not finite and the other is anything else. */
static double difference(double actual, double expected) {
    if (actual == expected) {
        return 0;
    }
    return isfinite(actual) && isfinite(expected) ? fabs(actual - expected) : (double)INFINITY;
}

static void judge_element(judgement *j, const cg_computed *item, int64_t i, double floor) {
    double expected = item->expected[i], error = difference(item->actual[i], expected);
    double bound = isfinite(expected) ? j->rtol * fabs(expected) + floor : 0;
    double excess = error == 0 ? 0 : error / bound;
    double relative = error == 0 ? 0 : error / fmax(fabs(expected), floor);
    j->count++;
    j->wrong += !(error <= bound);
    j->verdict->max_abs = fmax(j->verdict->max_abs, error);
    j->verdict->max_rel = fmax(j->verdict->max_rel, isnan(relative) ? (double)INFINITY : relative);
    if (excess > j->excess) {
        j->excess = excess;
        j->worst = item;
        j->at = i;
    }
}

/* "grad.input.0[1,2]"; of a name that is too long its end. */
static void print_place(const judgement *j, char *text, size_t size) {
    const cg_shape *shape = &j->worst->shape;
    const char *name = j->worst->stored->name;
    char index[CG_MAX_RANK * 22 + 3] = "[";
    int64_t stride = cg_shape_numel(shape), rest = j->at;
    for (int axis = 0; axis < shape->rank; axis++) {
        stride /= shape->dim[axis];
        size_t used = strlen(index);
        snprintf(index + used, sizeof index - used, "%s%" PRId64, axis > 0 ? "," : "", rest / stride);
        rest %= stride;
    }
    size_t room = size - strlen(index) - 2, length = strlen(name);
    snprintf(text, size, "%s%s]", length > room ? name + (length - room) : name, index);
}

/* What keeps a tensor from being compared; false: nothing. */
static bool refuse(const cg_computed *item, cg_verdict *verdict) {
    if (item->actual == NULL) {
        snprintf(verdict->reason, sizeof verdict->reason, "%.200s was not computed", item->stored->name);
        return true;
    }
    if (!cg_shape_equal(&item->shape, &item->stored->shape)) {
        snprintf(verdict->reason, sizeof verdict->reason, "%.200s is %.100s, expected %.100s", item->stored->name,
                 cg_shape_print(&item->shape, CG_SHAPE_TEXT), cg_shape_print(&item->stored->shape, CG_SHAPE_TEXT));
        return true;
    }
    return false;
}

cg_status cg_results_judge(const cg_results *results, double rtol, double atol, cg_verdict *verdict) {
    judgement j = {.rtol = rtol, .atol = atol, .verdict = verdict, .excess = -1};
    const char *group = "";
    double scale = 0;
    bool refused = false;
    for (size_t i = 0; i < results->count; i++) {
        const cg_computed *item = &results->items[i];
        if (refuse(item, verdict)) {
            refused = true;
            continue;
        }
        if (!same_group(item->stored->name, group)) { /* names come in order: once a group */
            group = item->stored->name;
            scale = scale_of(results, group);
        }
        int64_t count = cg_shape_numel(&item->shape);
        for (int64_t k = 0; k < count; k++) {
            judge_element(&j, item, k, atol * scale);
        }
    }
    verdict->measured = true;
    verdict->outcome = refused || j.wrong > 0 ? CG_OUTCOME_FAIL : CG_OUTCOME_PASS;
    if (j.worst != NULL) {
        print_place(&j, verdict->at, sizeof verdict->at);
    }
    if (j.wrong > 0 && !refused) {
        snprintf(verdict->reason, sizeof verdict->reason, "%" PRId64 " of %" PRId64 " wrong: actual=%.9g expected=%.9g",
                 j.wrong, j.count, j.worst->actual[j.at], j.worst->expected[j.at]);
    }
    return CG_OK;
}
