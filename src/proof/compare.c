/* The comparer: see compare.h. */
#include "compare.h"

#include <math.h>
#include <stdio.h>

char *compare_index_print(const cg_shape *shape, int64_t flat, char *text, size_t size) {
    int64_t index[CG_MAX_RANK] = {0};
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        int64_t dim = shape->dim[axis] > 0 ? shape->dim[axis] : 1;
        index[axis] = flat % dim;
        flat /= dim;
    }
    size_t length = (size_t)snprintf(text, size, "[");
    for (int axis = 0; axis < shape->rank && length < size; axis++) {
        const char *comma = axis > 0 ? ", " : "";
        length += (size_t)snprintf(text + length, size - length, "%s%lld", comma, (long long)index[axis]);
    }
    if (length < size) {
        snprintf(text + length, size - length, "]");
    }
    return text;
}

/* The largest finite size: what absolute tolerance is measured in. */
static double largest(const double *values, int64_t count) {
    double size = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && fabs(values[i]) > size) {
            size = fabs(values[i]);
        }
    }
    return size;
}

/* Why agreement with these values would prove little; NULL when it proves something. */
static const char *reason_to_mistrust(const double *expected, int64_t count) {
    if (count == 0) {
        return "expected is empty";
    }
    int64_t saying_little = 0;
    bool constant = count > 1;
    for (int64_t i = 0; i < count; i++) {
        saying_little += expected[i] == 0.0 || !isfinite(expected[i]);
        constant = constant && expected[i] == expected[0];
    }
    if ((double)saying_little > 0.9 * (double)count) {
        return "more than 90 % of expected is zero or not finite";
    }
    return constant ? "expected is constant" : NULL;
}

/* Difference of two elements: infinite where NaN or infinity stands on one side only. */
static double difference(double actual, double expected) {
    if (actual == expected || (isnan(actual) && isnan(expected))) {
        return 0.0;
    }
    return isfinite(actual) && isfinite(expected) ? fabs(actual - expected) : INFINITY;
}

static void measure(const double *actual, const double *expected, int64_t count, const compare_rule *rule, double scale,
                    compare_result *result) {
    double worst = -1;
    for (int64_t i = 0; i < count; i++) {
        double error = difference(actual[i], expected[i]);
        double bound = isfinite(expected[i]) ? rule->rtol * fabs(expected[i]) + rule->atol * scale : 0.0;
        double relative = error == 0.0 ? 0.0 : error / fabs(expected[i]);
        if (isnan(relative)) {
            relative = INFINITY;
        }
        double excess = error == 0.0 ? 0.0 : error / bound;
        result->wrong += error > bound;
        result->max_abs = fmax(result->max_abs, error);
        result->max_rel = fmax(result->max_rel, relative);
        if (excess > worst) {
            worst = excess;
            result->at = i;
        }
    }
}

bool compare(const char *name, const double *actual, const double *expected, const cg_shape *shape,
             const compare_rule *rule, compare_result *result) {
    *result = (compare_result){.passed = false};
    int64_t count = cg_shape_numel(shape);
    double scale = rule->scale > 0 ? rule->scale : largest(expected, count);
    measure(actual, expected, count, rule, scale, result);
    const char *mistrust = rule->trusted ? NULL : reason_to_mistrust(expected, count);
    result->mistrusted = mistrust != NULL;
    result->passed = result->wrong == 0 && !result->mistrusted;

    char index[96];
    compare_index_print(shape, result->at, index, sizeof index);
    snprintf(result->message, sizeof result->message,
             "%s %s: %s%s%s%lld of %lld elements differ; max_abs=%.3g max_rel=%.3g at=%s actual=%.9g expected=%.9g "
             "(rtol %.2g, atol %.2g times %.3g)",
             name, cg_shape_print(shape, CG_SHAPE_TEXT), mistrust ? "MISTRUSTED, " : "", mistrust ? mistrust : "",
             mistrust ? "; " : "", (long long)result->wrong, (long long)count, result->max_abs, result->max_rel, index,
             count > 0 ? actual[result->at] : 0.0, count > 0 ? expected[result->at] : 0.0, rule->rtol, rule->atol,
             scale);
    return result->passed;
}
