/* The confusion matrix, and the scores that are made of it. */
#include <clgrad/metrics.h>
#include <math.h>
#include <string.h>

#include "alloc.h"

struct cg_confusion {
    int64_t classes, rows;
    int64_t *counts; /* [classes, classes + 1]: expected by predicted, the last column for what is no class */
};

cg_status cg_confusion_create(int64_t classes, cg_confusion **confusion) {
    *confusion = NULL;
    if (classes < 1 || classes > CG_CONFUSION_CLASSES) {
        return cg_fail(CG_ERR_ARGUMENT, "a confusion matrix of %lld classes: 1 to %d are possible", (long long)classes,
                       CG_CONFUSION_CLASSES);
    }
    cg_confusion *c = cg_alloc_zero(1, sizeof *c);
    if (c == NULL) {
        return CG_ERR_MEMORY;
    }
    c->classes = classes;
    c->counts = cg_alloc_zero((size_t)(classes * (classes + 1)), sizeof *c->counts);
    if (c->counts == NULL) {
        cg_confusion_destroy(c);
        return CG_ERR_MEMORY;
    }
    *confusion = c;
    return CG_OK;
}

void cg_confusion_destroy(cg_confusion *c) {
    if (c != NULL) {
        cg_free(c->counts);
        cg_free(c);
    }
}

void cg_confusion_reset(cg_confusion *c) {
    c->rows = 0;
    memset(c->counts, 0, (size_t)(c->classes * (c->classes + 1)) * sizeof *c->counts);
}

cg_status cg_confusion_add(cg_confusion *c, const int64_t *expected, const int64_t *predicted, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (expected[i] < 0 || expected[i] >= c->classes || predicted[i] < 0) {
            return cg_fail(CG_ERR_INDEX, "row %lld: class %lld, predicted as %lld: there are %lld classes",
                           (long long)i, (long long)expected[i], (long long)predicted[i], (long long)c->classes);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t column = predicted[i] < c->classes ? predicted[i] : c->classes;
        c->counts[expected[i] * (c->classes + 1) + column]++;
    }
    c->rows += n > 0 ? n : 0;
    return CG_OK;
}

int64_t cg_confusion_classes(const cg_confusion *c) {
    return c->classes;
}

int64_t cg_confusion_rows(const cg_confusion *c) {
    return c->rows;
}

int64_t cg_confusion_count(const cg_confusion *c, int64_t expected, int64_t predicted) {
    bool inside = expected >= 0 && expected < c->classes && predicted >= 0 && predicted <= c->classes;
    return inside ? c->counts[expected * (c->classes + 1) + predicted] : 0;
}

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

cg_class_scores cg_confusion_class(const cg_confusion *c, int64_t index) {
    cg_class_scores scores = {.right = cg_confusion_count(c, index, index)};
    for (int64_t i = 0; i <= c->classes && index >= 0 && index < c->classes; i++) {
        scores.support += cg_confusion_count(c, index, i);
        scores.predicted += cg_confusion_count(c, i, index);
    }
    scores.precision = share(scores.right, scores.predicted);
    scores.recall = share(scores.right, scores.support);
    scores.f1 = share(2 * scores.right, scores.support + scores.predicted);
    return scores;
}

cg_class_scores cg_confusion_macro(const cg_confusion *c) {
    cg_class_scores sum = {0};
    int64_t present = 0;
    for (int64_t i = 0; i < c->classes; i++) {
        const cg_class_scores one = cg_confusion_class(c, i);
        present += one.support + one.predicted > 0;
        sum.precision += one.precision;
        sum.recall += one.recall;
        sum.f1 += one.f1;
        sum.support += one.support;
        sum.predicted += one.predicted;
        sum.right += one.right;
    }
    double classes = present > 0 ? (double)present : NAN;
    sum.precision /= classes;
    sum.recall /= classes;
    sum.f1 /= classes;
    return sum;
}

double cg_confusion_accuracy(const cg_confusion *c) {
    return c->rows > 0 ? (double)cg_confusion_macro(c).right / (double)c->rows : NAN;
}

/* Whether class i stands before class j in the order of scores: NAN first, then by size, then by number. */
static bool before(const float *scores, int64_t i, int64_t j) {
    float a = scores[i], b = scores[j];
    if (isnan(a) || isnan(b)) {
        return isnan(a) && (!isnan(b) || i < j);
    }
    return a > b || (a == b && i < j);
}

cg_status cg_top_k(const float *scores, int64_t n, int64_t classes, const int64_t *expected, int64_t k,
                   int64_t *right) {
    *right = 0;
    if (k < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "top %lld: at least 1 is needed", (long long)k);
    }
    int64_t found = 0;
    for (int64_t row = 0; row < n; row++) {
        if (expected[row] < 0 || expected[row] >= classes) {
            return cg_fail(CG_ERR_INDEX, "row %lld: class %lld, there are %lld scores", (long long)row,
                           (long long)expected[row], (long long)classes);
        }
        int64_t rank = 0;
        for (int64_t i = 0; i < classes; i++) {
            rank += before(scores + row * classes, i, expected[row]);
        }
        found += rank < k;
    }
    *right = found;
    return CG_OK;
}
