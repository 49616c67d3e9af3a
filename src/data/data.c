/* Data sets: samples, the rows of each split, and a table per channel from a byte to its normalised value. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "samples.h"

struct cg_data {
    cg_data_info info;
    cg_source source;
    cg_rows rows[3];
    int64_t size, area; /* of a sample, of one of its channels */
    double *moments;    /* the means, then the standard deviations */
    cg_augment augment;
    float *black;        /* [channels]: 0, normalised */
    float (*value)[256]; /* for each channel: of a byte, normalised; rounded once. NULL: values are no bytes */
};

static cg_status fill_tables(cg_data *data) {
    const cg_data_info *info = &data->info;
    data->value = cg_alloc((size_t)info->channels * sizeof *data->value);
    if (data->value == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t channel = 0; channel < info->channels; channel++) {
        for (int byte = 0; byte < 256; byte++) {
            double pixel = byte / data->source.scale;
            data->value[channel][byte] = (float)((pixel - info->mean[channel]) / info->std[channel]);
        }
    }
    return CG_OK;
}

static cg_status normalize(cg_data *data, const cg_data_options *options) {
    cg_data_info *info = &data->info;
    info->channels = cg_sample_channels(&info->sample);
    data->moments = cg_alloc((size_t)info->channels * 2 * sizeof *data->moments);
    if (data->moments == NULL) {
        return CG_ERR_MEMORY;
    }
    double *mean = data->moments, *std = mean + info->channels;
    CG_TRY(cg_normalization(&data->source, &data->rows[CG_SPLIT_TRAIN], options, info->channels, mean, std));
    info->mean = mean;
    info->std = std;
    data->black = cg_alloc((size_t)info->channels * sizeof *data->black);
    for (int64_t i = 0; data->black != NULL && i < info->channels; i++) {
        data->black[i] = (float)((0 - mean[i]) / std[i]);
    }
    if (data->black == NULL) {
        return CG_ERR_MEMORY;
    }
    return data->source.train.dtype == CG_U8 ? fill_tables(data) : CG_OK;
}

/* Classes without names of their own are called by their numbers. */
static cg_status name_classes(cg_data *data) {
    cg_names *names = &data->source.class_names;
    bool given = names->count > 0;
    for (int64_t i = 0; i < data->source.classes; i++) {
        char number[24];
        int length = snprintf(number, sizeof number, "%lld", (long long)i);
        if (given) {
            data->info.named_classes = data->info.named_classes || strcmp(names->item[i], number) != 0;
        } else {
            CG_TRY(cg_names_add(names, number, (size_t)length));
        }
    }
    data->info.class_names = (const char *const *)names->item;
    return CG_OK;
}

/* What is common to all sources once their rows are split. */
static cg_status finish(const cg_data_options *options, cg_data *data) {
    cg_data_info *info = &data->info;
    memcpy(info->name, data->source.name, sizeof info->name);
    info->sample = data->source.train.shape;
    info->classes = data->source.classes;
    info->valid_random = data->source.valid_random;
    info->seed = options->seed;
    info->targets = data->source.targets;
    info->target = data->source.target.bytes;
    info->workers = options->workers == 0 ? 1 : options->workers < 0 ? 0 : options->workers;
    info->streamed =
        (data->source.train.values == NULL && data->source.train.count > 0) || data->source.train.mapped > 0;
    info->notes = data->source.notes.bytes;
    for (int i = 0; i < 3; i++) {
        info->rows[i] = data->rows[i].count;
    }
    CG_TRY(name_classes(data));
    CG_TRY(normalize(data, options));
    if (options->augment != NULL) {
        CG_TRY(cg_augment_parse(options->augment, &info->sample, &data->augment));
        info->augment = data->augment.text.bytes;
    }
    data->size = cg_shape_numel(&info->sample);
    data->area = data->size / info->channels;
    return CG_OK;
}

static cg_status load(const char *source, const cg_data_options *options, cg_data *data) {
    CG_TRY(cg_source_load(source, options, &data->source));
    CG_TRY(cg_split_rows(&data->source, options, data->rows, &data->info.valid));
    return finish(options, data);
}

/* Where rows have no classes there is no split, and no mean of their own. */
static cg_status load_unlabelled(const char *const *paths, size_t count, const cg_shape *sample,
                                 const cg_data_options *options, cg_data *data) {
    if (options->normalize == CG_NORMALIZE_DATA) {
        return cg_fail(CG_ERR_ARGUMENT, "files to be predicted are normalised as the training rows were, %s",
                       "and the model does not say how: a mean and a deviation must be given, or none");
    }
    CG_TRY(cg_unlabelled_load(paths, count, sample, options, &data->source));
    cg_rows *rows = &data->rows[CG_SPLIT_TEST];
    rows->row = cg_alloc((size_t)data->source.test.count * sizeof *rows->row);
    if (rows->row == NULL) {
        return CG_ERR_MEMORY;
    }
    for (; rows->count < data->source.test.count; rows->count++) {
        rows->row[rows->count] = rows->count;
    }
    return finish(options, data);
}

/* Hands over what was loaded, or destroys it. */
static cg_status deliver(cg_status status, cg_data *loaded, cg_data **data) {
    if (status != CG_OK) {
        cg_data_destroy(loaded);
        return status;
    }
    *data = loaded;
    return CG_OK;
}

cg_status cg_data_load(const char *source, const cg_data_options *options, cg_data **data) {
    static const cg_data_options defaults = {.valid = -1};
    *data = NULL;
    cg_data *loaded = cg_alloc_zero(1, sizeof *loaded);
    if (loaded == NULL) {
        return CG_ERR_MEMORY;
    }
    return deliver(load(source, options != NULL ? options : &defaults, loaded), loaded, data);
}

cg_status cg_data_load_unlabelled(const char *const *paths, size_t count, const cg_shape *sample,
                                  const cg_data_options *options, cg_data **data) {
    *data = NULL;
    cg_data *loaded = cg_alloc_zero(1, sizeof *loaded);
    if (loaded == NULL) {
        return CG_ERR_MEMORY;
    }
    return deliver(load_unlabelled(paths, count, sample, options, loaded), loaded, data);
}

void cg_data_destroy(cg_data *data) {
    if (data != NULL) {
        cg_source_free(&data->source);
        cg_augment_free(&data->augment);
        cg_free(data->moments);
        cg_free(data->black);
        cg_free(data->value);
        for (int i = 0; i < 3; i++) {
            cg_free(data->rows[i].row);
        }
        cg_free(data);
    }
}

const cg_data_info *cg_data_describe(const cg_data *data) {
    return &data->info;
}

const cg_augment *cg_data_augment(const cg_data *data) {
    return &data->augment;
}

const float *cg_data_black(const cg_data *data) {
    return data->black;
}

const char *cg_data_class_name(const cg_data *data, int64_t index) {
    return index >= 0 && index < data->info.classes ? data->info.class_names[index] : NULL;
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

const char *cg_data_row_name(const cg_data *data, cg_split split, int64_t row) {
    int64_t found = 0;
    const cg_samples *samples = samples_of(data, split);
    return samples->paths != NULL && find_row(data, split, row, &found) == CG_OK ? samples->paths[found] : NULL;
}

/* Bytes by a table, in a loop of nothing else: it is what loading costs. */
static void normalize_bytes(const cg_data *data, const uint8_t *byte, float *x) {
    for (int64_t channel = 0; channel < data->info.channels; channel++) {
        const float *value = data->value[channel];
        int64_t area = data->area;
        for (int64_t i = 0; i < area; i++) {
            x[i] = value[byte[i]];
        }
        x += area;
        byte += area;
    }
}

static void normalize_numbers(const cg_data *data, const void *values, float *x) {
    const cg_data_info *info = &data->info;
    for (int64_t channel = 0, i = 0; channel < info->channels; channel++) {
        double mean = info->mean[channel], std = info->std[channel];
        for (int64_t end = i + data->area; i < end; i++) {
            x[i] = (float)((cg_value(values, data->source.train.dtype, i) - mean) / std);
        }
    }
}

/* Room for a row that is decoded when it is asked for; NULL where all are in memory. */
static cg_status make_scratch(const cg_data *data, const cg_samples *samples, uint8_t **scratch) {
    *scratch = NULL;
    if (samples->values == NULL && samples->count > 0) {
        *scratch = cg_alloc((size_t)data->size);
        return *scratch != NULL ? CG_OK : CG_ERR_MEMORY;
    }
    return CG_OK;
}

/* Shuffled rows lie anywhere in memory: asked for while the one before is worked on, they cost half as much. */
static void fetch_ahead(const cg_data *data, cg_split split, int64_t row) {
    enum { LINE = 64, MOST = 4096 };
    const cg_samples *samples = samples_of(data, split);
    bool known = split >= CG_SPLIT_TRAIN && split <= CG_SPLIT_TEST;
    if (!known || samples->values == NULL || row < 0 || row >= data->rows[split].count) {
        return;
    }
    size_t bytes = (size_t)data->size * cg_dtype_size(samples->dtype);
    const uint8_t *begin = (const uint8_t *)samples->values + (size_t)data->rows[split].row[row] * bytes;
    for (size_t at = 0; at < bytes && at < MOST; at += LINE) {
        __builtin_prefetch(begin + at);
    }
}

static cg_status read_row(const cg_data *data, cg_split split, int64_t row, uint8_t *scratch, float *x, int64_t *y) {
    const cg_samples *samples = samples_of(data, split);
    int64_t found = 0;
    CG_TRY(find_row(data, split, row, &found));
    if (x != NULL) {
        const void *values;
        CG_TRY(cg_samples_row(samples, found, scratch, &values));
        if (data->value != NULL) {
            normalize_bytes(data, values, x);
        } else {
            normalize_numbers(data, values, x);
        }
    }
    if (y != NULL) {
        *y = samples->classes != NULL ? samples->classes[found] : -1;
    }
    return CG_OK;
}

cg_status cg_data_rows(const cg_data *data, cg_split split, const int64_t *rows, int64_t n, float *x, int64_t *y) {
    uint8_t *scratch;
    if (y != NULL && data->info.targets > 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the rows of %s have no classes but numbers: cg_data_targets has them",
                       data->info.name);
    }
    CG_TRY(make_scratch(data, samples_of(data, split), &scratch));
    cg_status status = CG_OK;
    for (int64_t i = 0; i < n && status == CG_OK; i++) {
        if (x != NULL && i + 1 < n) {
            fetch_ahead(data, split, rows[i + 1]);
        }
        status =
            read_row(data, split, rows[i], scratch, x != NULL ? x + i * data->size : NULL, y != NULL ? y + i : NULL);
    }
    cg_free(scratch);
    return status;
}

cg_status cg_data_targets(const cg_data *data, cg_split split, const int64_t *rows, int64_t n, float *y) {
    int64_t targets = data->info.targets;
    if (targets == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the rows of %s have classes: cg_data_rows has them", data->info.name);
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t row = 0;
        CG_TRY(find_row(data, split, rows[i], &row));
        for (int64_t k = 0; k < targets; k++) {
            const double *numbers = samples_of(data, split)->numbers;
            y[i * targets + k] = numbers != NULL ? (float)numbers[row * targets + k] : NAN;
        }
    }
    return CG_OK;
}

static cg_status read_pixels(const cg_data *data, cg_split split, int64_t row, uint8_t *scratch, float *pixels) {
    int64_t found = 0;
    const void *values;
    CG_TRY(find_row(data, split, row, &found));
    CG_TRY(cg_samples_row(samples_of(data, split), found, scratch, &values));
    for (int64_t i = 0; i < data->size; i++) {
        pixels[i] = (float)(cg_value(values, data->source.train.dtype, i) / data->source.scale);
    }
    return CG_OK;
}

cg_status cg_data_pixels(const cg_data *data, cg_split split, int64_t row, float *pixels) {
    uint8_t *scratch;
    CG_TRY(make_scratch(data, samples_of(data, split), &scratch));
    cg_status status = read_pixels(data, split, row, scratch, pixels);
    cg_free(scratch);
    return status;
}
