/* Data out of NumPy's arrays: x and y, and x and y to test. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "array.h"
#include "samples.h"

#define MOST_CLASSES 65536

/* Values that are no numbers would become a loss that is none. */
static cg_status check_numbers(const char *name, const cg_array *array) {
    if (array->dtype != CG_F32 && array->dtype != CG_F64) {
        return CG_OK;
    }
    int64_t count = cg_shape_numel(&array->shape), row = array->shape.dim[0] > 0 ? count / array->shape.dim[0] : 1;
    for (int64_t i = 0; i < count; i++) {
        double value = cg_value(array->values, array->dtype, i);
        if (!isfinite(value)) {
            return cg_fail(CG_ERR_FORMAT, "%s: value %lld of row %lld (both from 0) is %g: a number is needed", name,
                           (long long)(i % row), (long long)(i / row), value);
        }
    }
    return CG_OK;
}

/* The array becomes the samples': bytes of three axes are grey images, a row of one number is a column. */
static cg_status take_values(const char *name, cg_array *x, cg_samples *samples) {
    const cg_shape *shape = &x->shape;
    if (shape->rank < 1 || cg_shape_numel(shape) == 0 || shape->rank >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_FORMAT, "%s: its shape is %s, [rows, ...] is needed", name,
                       cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    CG_TRY(check_numbers(name, x));
    bool images = x->dtype == CG_U8 && shape->rank == 3;
    cg_shape *row = &samples->shape;
    row->dim[row->rank++] = 1;
    row->rank = images ? 1 : 0;
    for (int i = 1; i < shape->rank; i++) {
        row->dim[row->rank++] = shape->dim[i];
    }
    row->rank = row->rank > 0 ? row->rank : 1;
    samples->count = shape->dim[0];
    samples->dtype = x->dtype;
    samples->values = (void *)x->values;
    samples->memory = x->memory;
    samples->mapped = x->mapped;
    *x = (cg_array){0};
    return CG_OK;
}

static cg_status take_classes(const char *name, const cg_array *y, cg_samples *samples) {
    samples->classes = cg_alloc((size_t)samples->count * sizeof *samples->classes);
    if (samples->classes == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t i = 0; i < samples->count; i++) {
        double value = cg_value(y->values, y->dtype, i);
        if (!(value >= 0 && value < MOST_CLASSES && value == floor(value))) {
            return cg_fail(CG_ERR_FORMAT,
                           "%s: row %lld (from 0) has the class %g: whole numbers from 0 to %d are classes; %s", name,
                           (long long)i, value, MOST_CLASSES - 1, "numbers are learnt with --task numbers");
        }
        samples->classes[i] = (int64_t)value;
    }
    return CG_OK;
}

static cg_status take_targets(const char *name, const cg_array *y, int64_t targets, cg_samples *samples) {
    int64_t count = samples->count * targets;
    CG_TRY(check_numbers(name, y));
    samples->numbers = cg_alloc((size_t)count * sizeof *samples->numbers);
    if (samples->numbers == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t i = 0; i < count; i++) {
        samples->numbers[i] = cg_value(y->values, y->dtype, i);
    }
    return CG_OK;
}

/* Classes are integers of one column, unless it is said. */
static cg_status take_y(const char *name, const cg_array *y, const cg_data_options *options, cg_source *source,
                        cg_samples *samples) {
    const cg_shape *shape = &y->shape;
    if (shape->rank < 1 || shape->rank > 2 || shape->dim[0] != samples->count || cg_shape_numel(shape) == 0) {
        return cg_fail(CG_ERR_FORMAT, "%s: its shape is %s, [%lld] is needed, or [%lld, targets]: as many rows as in x",
                       name, cg_shape_print(shape, CG_SHAPE_TEXT), (long long)samples->count,
                       (long long)samples->count);
    }
    int64_t width = shape->rank == 2 ? shape->dim[1] : 1;
    bool whole = y->dtype != CG_F32 && y->dtype != CG_F64 && width == 1;
    if (options->task == CG_TASK_CLASSES || (options->task == CG_TASK_AUTO && whole)) {
        if (width != 1) {
            return cg_fail(CG_ERR_FORMAT, "%s: its shape is %s, classes are [rows]", name,
                           cg_shape_print(shape, CG_SHAPE_TEXT));
        }
        return take_classes(name, y, samples);
    }
    source->targets = width;
    return take_targets(name, y, width, samples);
}

static int64_t count_classes(const cg_samples *samples) {
    int64_t classes = 0;
    for (int64_t i = 0; samples->classes != NULL && i < samples->count; i++) {
        classes = samples->classes[i] >= classes ? samples->classes[i] + 1 : classes;
    }
    return classes;
}

/* As many classes as the training rows have, or as the model knows. */
static cg_status finish_classes(const char *path, const cg_data_options *options, cg_source *source) {
    if (source->targets > 0) {
        return CG_OK;
    }
    int64_t train = count_classes(&source->train), test = count_classes(&source->test);
    source->classes = options->classes > 0 ? options->classes : train;
    if (train > source->classes || test > source->classes) {
        return cg_fail(CG_ERR_FORMAT, "%s: the class %lld in its %s rows, but there are %lld classes from 0", path,
                       (long long)(train > source->classes ? train : test) - 1,
                       train > source->classes ? "training" : "test", (long long)source->classes);
    }
    if (source->classes < 2) {
        return cg_fail(CG_ERR_FORMAT, "%s: all rows have the class 0: at least two classes are needed to tell apart",
                       path);
    }
    return CG_OK;
}

cg_status cg_npy_load(const char *path, const cg_data_options *options, cg_source *source) {
    *source = (cg_source){.scale = 1, .valid = 0.2, .valid_random = true};
    if (options->target == NULL) {
        return cg_fail(CG_ERR_FILE, "%s has the inputs alone: --target Y.npy names the array to learn", path);
    }
    cg_array x, y;
    CG_TRY(cg_npy_open(path, cg_data_memory(options), &x));
    cg_status status = cg_npy_open(options->target, cg_data_memory(options), &y);
    if (status == CG_OK) {
        source->scale = x.dtype == CG_U8 ? 255 : 1;
        status = take_values(path, &x, &source->train);
    }
    if (status == CG_OK) {
        status = take_y(options->target, &y, options, source, &source->train);
    }
    cg_array_free(&x);
    cg_array_free(&y);
    return status == CG_OK ? finish_classes(path, options, source) : status;
}

/* One part of an archive; a part that may lack stays empty when its x does. */
static cg_status load_part(const cg_npz *npz, const char *const names[2], const cg_data_options *options,
                           cg_source *source, cg_samples *samples, bool *found) {
    cg_array x, y = {0};
    CG_TRY(cg_npz_find(npz, names[0], &x, found));
    if (!*found) {
        return CG_OK;
    }
    bool has_y = false;
    source->scale = x.dtype == CG_U8 ? 255 : 1;
    cg_status status = take_values(names[0], &x, samples);
    if (status == CG_OK) {
        status = cg_npz_find(npz, names[1], &y, &has_y);
    }
    if (status == CG_OK) {
        status = has_y ? take_y(names[1], &y, options, source, samples)
                       : cg_fail(CG_ERR_FORMAT, "it has an array %s, but no %s", names[0], names[1]);
    }
    cg_array_free(&x);
    cg_array_free(&y);
    return status;
}

/* The test rows must be like those that are trained on. */
static cg_status check_test(const cg_source *source, int64_t targets) {
    const cg_samples *train = &source->train, *test = &source->test;
    if (test->count > 0 && (test->dtype != train->dtype || !cg_shape_equal(&test->shape, &train->shape) ||
                            (test->classes == NULL) != (train->classes == NULL) || source->targets != targets)) {
        return cg_fail(CG_ERR_FORMAT, "x_test and y_test are not of the shapes and dtypes of x_train and y_train");
    }
    return CG_OK;
}

static cg_status load_parts(const cg_npz *npz, const cg_data_options *options, cg_source *source) {
    const char *const plain[2] = {"x", options->target != NULL ? options->target : "y"};
    static const char *const train[2] = {"x_train", "y_train"}, *const test[2] = {"x_test", "y_test"};
    bool found;
    CG_TRY(load_part(npz, plain, options, source, &source->train, &found));
    if (found) {
        return CG_OK;
    }
    CG_TRY(load_part(npz, train, options, source, &source->train, &found));
    if (!found) {
        return cg_fail(CG_ERR_FORMAT, "it has neither arrays x and %s nor x_train and y_train", plain[1]);
    }
    int64_t targets = source->targets;
    CG_TRY(load_part(npz, test, options, source, &source->test, &found));
    return check_test(source, targets);
}

cg_status cg_npz_load(const char *path, const cg_data_options *options, cg_source *source) {
    *source = (cg_source){.scale = 1, .valid = 0.2, .valid_random = true};
    cg_npz npz;
    CG_TRY(cg_npz_open(path, &npz));
    cg_status status = load_parts(&npz, options, source);
    cg_npz_close(&npz);
    if (status == CG_OK && options->target != NULL) {
        cg_text_append(&source->target, "%s", options->target);
        status = source->target.failed ? CG_ERR_MEMORY : CG_OK;
    }
    if (status == CG_ERR_FORMAT && strncmp(cg_error_message(), path, strlen(path)) != 0) {
        return cg_fail_context(status, "%s: ", path);
    }
    return status == CG_OK ? finish_classes(path, options, source) : status;
}
