/* MAE, MSE and R2. */
#include <math.h>

#include "alloc.h"
#include "number_sums.h"

static void add_pair(cg_number_sums *sums, double expected, double predicted) {
    double error = predicted - expected, distance = expected - sums->mean;
    sums->rows++;
    sums->absolute += fabs(error);
    sums->squared += error * error;
    sums->mean += distance / (double)sums->rows;
    sums->distances += distance * (expected - sums->mean);
}

void cg_number_sums_add(cg_number_sums *sums, int64_t targets, const float *expected, const float *predicted,
                        int64_t n) {
    for (int64_t i = 0; i < n * targets; i++) {
        add_pair(&sums[i % targets], (double)expected[i], (double)predicted[i]);
    }
}

static double determination(const cg_number_sums *sums) {
    if (sums->rows < 2 || isnan(sums->squared)) {
        return NAN;
    }
    if (sums->distances == 0) {
        return sums->squared == 0 ? 1 : 0;
    }
    return 1 - sums->squared / sums->distances;
}

cg_number_scores cg_number_sums_scores(const cg_number_sums *sums, int64_t targets) {
    cg_number_scores scores = {.rows = sums[0].rows};
    for (int64_t i = 0; i < targets; i++) {
        scores.mae += sums[i].absolute / (double)sums[i].rows; /* 0 / 0, a NaN, without rows */
        scores.mse += sums[i].squared / (double)sums[i].rows;
        scores.r2 += determination(&sums[i]);
    }
    scores.mae /= (double)targets;
    scores.mse /= (double)targets;
    scores.r2 /= (double)targets;
    return scores;
}

cg_status cg_score_numbers(const float *expected, const float *predicted, int64_t n, int64_t targets,
                           cg_number_scores *scores) {
    *scores = (cg_number_scores){.mae = NAN, .mse = NAN, .r2 = NAN};
    if (targets < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "scores of %lld targets: at least 1 is needed", (long long)targets);
    }
    cg_number_sums *sums = cg_alloc_zero((size_t)targets, sizeof *sums);
    if (sums == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_number_sums_add(sums, targets, expected, predicted, n);
    *scores = cg_number_sums_scores(sums, targets);
    cg_free(sums);
    return CG_OK;
}
