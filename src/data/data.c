/* Data sets: samples, the rows of each split, and a table per channel from a byte to its normalised value. */
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "samples.h"

struct cg_data {
    cg_data_info info;
    cg_source source;
    cg_rows rows[3];
    int64_t area;                      /* pixels of one channel */
    float value[CG_MAX_CHANNELS][256]; /* of a byte, normalised; rounded once */
    char class_name[256][4];
};

static int64_t count_classes(const cg_samples *samples) {
    int64_t classes = 0;
    for (int64_t i = 0; i < samples->count; i++) {
        classes = samples->classes[i] >= classes ? samples->classes[i] + 1 : classes;
    }
    return classes;
}

static void fill_tables(cg_data *data) {
    for (int channel = 0; channel < data->info.channels; channel++) {
        for (int byte = 0; byte < 256; byte++) {
            double pixel = byte / data->source.scale;
            data->value[channel][byte] = (float)((pixel - data->info.mean[channel]) / data->info.std[channel]);
        }
    }
    for (int64_t i = 0; i < data->info.classes; i++) {
        snprintf(data->class_name[i], sizeof data->class_name[i], "%d", (int)i & 255);
    }
}

static cg_status load(const char *source, const cg_data_options *options, cg_data *data) {
    CG_TRY(cg_source_load(source, &data->source));
    CG_TRY(cg_split_rows(&data->source, options, data->rows, &data->info.valid));
    CG_TRY(cg_normalization(&data->source, &data->rows[CG_SPLIT_TRAIN], options, &data->info));
    cg_data_info *info = &data->info;
    memcpy(info->name, data->source.name, sizeof info->name);
    info->sample = data->source.train.shape;
    info->classes = count_classes(&data->source.train);
    info->valid_random = data->source.valid_random;
    info->seed = options->seed;
    for (int i = 0; i < 3; i++) {
        info->rows[i] = data->rows[i].count;
    }
    data->area = info->sample.dim[1] * info->sample.dim[2];
    fill_tables(data);
    return CG_OK;
}

cg_status cg_data_load(const char *source, const cg_data_options *options, cg_data **data) {
    static const cg_data_options defaults = {.valid = -1};
    *data = NULL;
    cg_data *loaded = cg_alloc_zero(1, sizeof *loaded);
    if (loaded == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = load(source, options != NULL ? options : &defaults, loaded);
    if (status != CG_OK) {
        cg_data_destroy(loaded);
        return status;
    }
    *data = loaded;
    return CG_OK;
}

void cg_data_destroy(cg_data *data) {
    if (data != NULL) {
        cg_source_free(&data->source);
        for (int i = 0; i < 3; i++) {
            cg_free(data->rows[i].row);
        }
        cg_free(data);
    }
}

const cg_data_info *cg_data_describe(const cg_data *data) {
    return &data->info;
}

const char *cg_data_class_name(const cg_data *data, int64_t index) {
    return index >= 0 && index < data->info.classes ? data->class_name[index] : NULL;
}

static const cg_samples *samples_of(const cg_data *data, cg_split split) {
    return split == CG_SPLIT_TEST ? &data->source.test : &data->source.train;
}

/* The row of the samples behind a row of a split. */
static cg_status find_row(const cg_data *data, cg_split split, int64_t row, int64_t *found) {
    if (split < CG_SPLIT_TRAIN || split > CG_SPLIT_TEST) {
        return cg_fail(CG_ERR_ARGUMENT, "unknown split %d", (int)split);
    }
    if (row < 0 || row >= data->rows[split].count) {
        static const char *const names[] = {"training", "validation", "test"};
        return cg_fail(CG_ERR_INDEX, "row %lld of the %s rows of %s, which are %lld", (long long)row, names[split],
                       data->info.name, (long long)data->rows[split].count);
    }
    *found = data->rows[split].row[row];
    return CG_OK;
}

static void copy_pixels(const cg_data *data, const uint8_t *pixel, float *x) {
    for (int channel = 0; channel < data->info.channels; channel++) {
        const float *value = data->value[channel];
        for (int64_t i = 0; i < data->area; i++) {
            *x++ = value[*pixel++];
        }
    }
}

cg_status cg_data_rows(const cg_data *data, cg_split split, const int64_t *rows, int64_t n, float *x, int64_t *y) {
    int64_t size = data->info.channels * data->area;
    const cg_samples *samples = samples_of(data, split);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = 0;
        CG_TRY(find_row(data, split, rows[i], &row));
        if (x != NULL) {
            copy_pixels(data, samples->pixels + row * size, x + i * size);
        }
        if (y != NULL) {
            y[i] = samples->classes[row];
        }
    }
    return CG_OK;
}

cg_status cg_data_pixels(const cg_data *data, cg_split split, int64_t row, float *pixels) {
    int64_t found = 0;
    CG_TRY(find_row(data, split, row, &found));
    int64_t size = data->info.channels * data->area;
    const uint8_t *pixel = samples_of(data, split)->pixels + found * size;
    for (int64_t i = 0; i < size; i++) {
        pixels[i] = (float)(pixel[i] / data->source.scale);
    }
    return CG_OK;
}
