/* Mean and standard deviation per channel or column. Where values are bytes their counts hold everything: the sums are
 * over 256 values in double, whatever the number of rows. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "samples.h"

static cg_status count_bytes(const cg_samples *samples, const cg_rows *rows, int64_t channels, int64_t (*counts)[256]) {
    int64_t size = cg_shape_numel(&samples->shape), area = size / channels;
    uint8_t *scratch = cg_alloc((size_t)size);
    cg_status status = scratch != NULL ? CG_OK : CG_ERR_MEMORY;
    for (int64_t i = 0; i < rows->count && status == CG_OK; i++) {
        const void *values;
        status = cg_samples_row(samples, rows->row[i], scratch, &values);
        const uint8_t *pixel = values;
        for (int64_t channel = 0; channel < channels && status == CG_OK; channel++) {
            for (int64_t k = 0; k < area; k++) {
                counts[channel][*pixel++]++;
            }
        }
    }
    cg_free(scratch);
    return status;
}

static void moments(const int64_t counts[256], double scale, double *mean, double *std) {
    double total = 0, sum = 0, squares = 0;
    for (int byte = 0; byte < 256; byte++) {
        total += (double)counts[byte];
        sum += (double)counts[byte] * (byte / scale);
    }
    *mean = sum / total;
    for (int byte = 0; byte < 256; byte++) {
        double distance = byte / scale - *mean;
        squares += (double)counts[byte] * distance * distance;
    }
    *std = sqrt(squares / total);
}

static cg_status measure_bytes(const cg_source *source, const cg_rows *rows, int64_t channels, double *mean,
                               double *std) {
    int64_t(*counts)[256] = cg_alloc_zero((size_t)channels, sizeof *counts);
    if (counts == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = count_bytes(&source->train, rows, channels, counts);
    for (int64_t i = 0; i < channels && status == CG_OK; i++) {
        moments(counts[i], source->scale, &mean[i], &std[i]);
    }
    cg_free(counts);
    return status;
}

/* Adds to each channel's sum its values, or with `squared` the squares of their distances to the mean. */
static void add_row(const cg_samples *samples, int64_t row, int64_t channels, const double *mean, bool squared,
                    double *sums) {
    int64_t size = cg_shape_numel(&samples->shape), area = size / channels;
    for (int64_t i = 0; i < size; i++) {
        double value = cg_value(samples->values, samples->dtype, row * size + i), distance = value - mean[i / area];
        sums[i / area] += squared ? distance * distance : value;
    }
}

/* Two passes: the squares are of distances to a mean that is known, so that nothing cancels. */
static void measure_numbers(const cg_samples *samples, const cg_rows *rows, int64_t channels, double *mean,
                            double *std) {
    double *const sums[2] = {mean, std};
    int64_t area = cg_shape_numel(&samples->shape) / channels; /* without a remainder */
    double n = (double)(rows->count * area);
    memset(mean, 0, (size_t)channels * sizeof *mean);
    memset(std, 0, (size_t)channels * sizeof *std);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < rows->count; i++) {
            add_row(samples, rows->row[i], channels, mean, pass == 1, sums[pass]);
        }
        for (int64_t i = 0; i < channels; i++) {
            sums[pass][i] = pass == 0 ? sums[0][i] / n : sqrt(sums[1][i] / n);
        }
    }
}

/* A channel that is constant up to rounding keeps its scale: dividing by 0 would give no numbers. */
static cg_status measure(const cg_source *source, const cg_rows *rows, int64_t channels, double *mean, double *std) {
    if (source->train.dtype == CG_U8) {
        CG_TRY(measure_bytes(source, rows, channels, mean, std));
    } else {
        measure_numbers(&source->train, rows, channels, mean, std);
    }
    for (int64_t i = 0; i < channels; i++) {
        std[i] = std[i] > 1e-12 * fmax(1, fabs(mean[i])) ? std[i] : 1;
        if (!isfinite(mean[i]) || !isfinite(std[i])) {
            return cg_fail(CG_ERR_FORMAT, "%s: the values of column %lld are too large for a mean and a deviation",
                           source->name, (long long)i + 1);
        }
    }
    return CG_OK;
}

static cg_status take_given(const cg_data_options *options, int64_t channels, double *mean, double *std) {
    if (options->channels != 1 && options->channels != channels) {
        return cg_fail(CG_ERR_ARGUMENT, "%lld pairs of mean and standard deviation are given for %lld channels",
                       (long long)options->channels, (long long)channels);
    }
    for (int64_t i = 0; i < channels; i++) {
        int64_t from = options->channels == 1 ? 0 : i;
        mean[i] = options->mean[from];
        std[i] = options->std[from];
        if (!isfinite(mean[i]) || !isfinite(std[i]) || std[i] <= 0) {
            return cg_fail(CG_ERR_ARGUMENT, "a mean of %g and a standard deviation of %g cannot normalize: %s", mean[i],
                           std[i], "both must be finite, the deviation above 0");
        }
    }
    return CG_OK;
}

cg_status cg_normalization(const cg_source *source, const cg_rows *rows, const cg_data_options *options,
                           int64_t channels, double *mean, double *std) {
    for (int64_t i = 0; i < channels; i++) {
        mean[i] = 0;
        std[i] = 1;
    }
    switch (options->normalize) {
    case CG_NORMALIZE_DATA:
        return measure(source, rows, channels, mean, std);
    case CG_NORMALIZE_NONE:
        return CG_OK;
    case CG_NORMALIZE_GIVEN:
        return take_given(options, channels, mean, std);
    }
    return cg_fail(CG_ERR_ARGUMENT, "unknown kind of normalization %d", (int)options->normalize);
}
