/* Mean and standard deviation per channel. Pixels are bytes, so their counts hold everything: the sums are over 256
 * values in double, whatever the number of rows. */
#include <math.h>

#include "alloc.h"
#include "samples.h"

static void count_bytes(const cg_samples *samples, const cg_rows *rows, int channels, int64_t (*counts)[256]) {
    int64_t area = samples->shape.dim[1] * samples->shape.dim[2];
    for (int64_t i = 0; i < rows->count; i++) {
        const uint8_t *pixel = samples->pixels + rows->row[i] * channels * area;
        for (int channel = 0; channel < channels; channel++) {
            for (int64_t k = 0; k < area; k++) {
                counts[channel][*pixel++]++;
            }
        }
    }
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

/* A channel that is constant up to rounding keeps its scale: dividing by 0 would give no numbers. */
static cg_status measure(const cg_source *source, const cg_rows *rows, cg_data_info *info) {
    int64_t(*counts)[256] = cg_alloc_zero((size_t)info->channels, sizeof *counts);
    if (counts == NULL) {
        return CG_ERR_MEMORY;
    }
    count_bytes(&source->train, rows, info->channels, counts);
    for (int i = 0; i < info->channels; i++) {
        moments(counts[i], source->scale, &info->mean[i], &info->std[i]);
        info->std[i] = info->std[i] > 1e-12 ? info->std[i] : 1;
    }
    cg_free(counts);
    return CG_OK;
}

static cg_status take_given(const cg_data_options *options, cg_data_info *info) {
    if (options->channels != 1 && options->channels != info->channels) {
        return cg_fail(CG_ERR_ARGUMENT, "%d pairs of mean and standard deviation are given for %d channels",
                       options->channels, info->channels);
    }
    for (int i = 0; i < info->channels; i++) {
        int from = options->channels == 1 ? 0 : i;
        double mean = options->mean[from], std = options->std[from];
        if (!isfinite(mean) || !isfinite(std) || std <= 0) {
            return cg_fail(CG_ERR_ARGUMENT, "a mean of %g and a standard deviation of %g cannot normalize: %s", mean,
                           std, "both must be finite, the deviation above 0");
        }
        info->mean[i] = mean;
        info->std[i] = std;
    }
    return CG_OK;
}

cg_status cg_normalization(const cg_source *source, const cg_rows *rows, const cg_data_options *options,
                           cg_data_info *info) {
    info->channels = (int)source->train.shape.dim[0];
    for (int i = 0; i < info->channels; i++) {
        info->mean[i] = 0;
        info->std[i] = 1;
    }
    switch (options->normalize) {
    case CG_NORMALIZE_DATA:
        return measure(source, rows, info);
    case CG_NORMALIZE_NONE:
        return CG_OK;
    case CG_NORMALIZE_GIVEN:
        return take_given(options, info);
    }
    return cg_fail(CG_ERR_ARGUMENT, "unknown kind of normalization %d", (int)options->normalize);
}
