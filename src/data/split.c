/* Which rows train, which validate: the share split off, then the limit. */
#include <math.h>

#include <clgrad/random.h>

#include "alloc.h"
#include "samples.h"

#define SPLIT_STREAM 0x53504C4954000000u /* "SPLIT": a stream that nothing else draws from */

static cg_status check_options(const cg_data_options *options) {
    if (isnan(options->valid) || options->valid >= 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a validation share of %g: it must be at least 0 and less than 1",
                       options->valid);
    }
    if (options->limit < 0) {
        return cg_fail(CG_ERR_ARGUMENT, "a limit of %lld training rows: it must be at least 1, or 0 for all",
                       (long long)options->limit);
    }
    return CG_OK;
}

static cg_status valid_count(int64_t rows, double share, int64_t *count) {
    *count = (int64_t)llround((double)rows * share);
    if (*count >= rows || (share > 0 && *count == 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "a validation share of %g of %lld rows leaves no row for %s", share,
                       (long long)rows, *count == 0 ? "validation: choose a larger one, or 0" : "training");
    }
    return CG_OK;
}

/* Marks the rows for validation: the last ones, or some drawn by the seed. */
static cg_status mark(const cg_source *source, uint64_t seed, int64_t count, bool *valid) {
    int64_t rows = source->train.count;
    if (!source->valid_random) {
        for (int64_t i = rows - count; i < rows; i++) {
            valid[i] = true;
        }
        return CG_OK;
    }
    int64_t *order = cg_alloc((size_t)rows * sizeof *order);
    if (order == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_random_permutation(seed, SPLIT_STREAM, rows, order);
    for (int64_t i = 0; i < count; i++) {
        valid[order[i]] = true;
    }
    cg_free(order);
    return CG_OK;
}

static void collect(const bool *valid, int64_t rows, bool wanted, cg_rows *out, int64_t limit) {
    for (int64_t i = 0; i < rows && out->count < limit; i++) {
        if (valid[i] == wanted) {
            out->row[out->count++] = i;
        }
    }
}

static cg_status collect_all(const cg_source *source, const bool *valid, int64_t valid_rows, int64_t limit,
                             cg_rows rows[3]) {
    int64_t all = source->train.count, train_rows = all - valid_rows;
    train_rows = limit > 0 && limit < train_rows ? limit : train_rows;
    const int64_t counts[3] = {train_rows, valid_rows, source->test.count};
    for (int i = 0; i < 3; i++) {
        rows[i].row = cg_alloc((size_t)counts[i] * sizeof *rows[i].row);
        if (rows[i].row == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    collect(valid, all, false, &rows[CG_SPLIT_TRAIN], train_rows);
    collect(valid, all, true, &rows[CG_SPLIT_VALID], valid_rows);
    for (int64_t i = 0; i < source->test.count; i++) {
        rows[CG_SPLIT_TEST].row[rows[CG_SPLIT_TEST].count++] = i;
    }
    return CG_OK;
}

cg_status cg_split_rows(const cg_source *source, const cg_data_options *options, cg_rows rows[3], double *share) {
    for (int i = 0; i < 3; i++) {
        rows[i] = (cg_rows){0};
    }
    CG_TRY(check_options(options));
    *share = options->valid < 0 ? source->valid : options->valid;
    int64_t count;
    CG_TRY(valid_count(source->train.count, *share, &count));
    bool *valid = cg_alloc_zero((size_t)source->train.count, sizeof *valid);
    if (valid == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = mark(source, options->seed, count, valid);
    if (status == CG_OK) {
        status = collect_all(source, valid, count, options->limit, rows);
    }
    cg_free(valid);
    return status;
}
