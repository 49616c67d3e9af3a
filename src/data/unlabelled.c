/* Rows that nobody has labelled: images and arrays to be predicted, as values from 0 to 1 before they are normalised.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "array.h"
#include "image.h"
#include "samples.h"

#define NAMED 3 /* so many files of a folder that cannot be read are named */

/* Rows as they are read. */
typedef struct reading {
    const cg_shape *sample;
    const cg_data_options *options;
    cg_samples *samples;
    size_t capacity, name_capacity;
    cg_text *notes;
    int64_t unreadable;
} reading;

static const char *describe(const cg_shape *shape, char text[96]) {
    const int64_t *dim = shape->dim;
    if (shape->rank == 3 && (dim[0] == 1 || dim[0] == 3)) {
        snprintf(text, 96, "%lld x %lld, %s", (long long)dim[2], (long long)dim[1], dim[0] == 1 ? "grey" : "colour");
    } else {
        snprintf(text, 96, "%s", cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    return text;
}

static cg_status wrong_shape(const char *path, const cg_shape *shape, const cg_shape *sample) {
    char is[96], wanted[96];
    return cg_fail(CG_ERR_SHAPE, "%s is %s, the model takes %s", path, describe(shape, is), describe(sample, wanted));
}

static cg_status copy_image(const char *path, const cg_image *image, const cg_shape *sample, float *values) {
    if (!cg_shape_equal(&image->shape, sample)) {
        return wrong_shape(path, &image->shape, sample);
    }
    for (int64_t i = 0; i < cg_shape_numel(sample); i++) {
        values[i] = (float)(image->pixels[i] / 255.0);
    }
    return CG_OK;
}

static cg_status read_image(const char *path, const cg_shape *sample, float *values) {
    cg_image image;
    CG_TRY(cg_image_load(path, &image));
    cg_status status = copy_image(path, &image, sample, values);
    cg_free(image.pixels);
    return status;
}

/* The shape without the axes of 1. */
static cg_shape squeeze(const cg_shape *shape) {
    cg_shape squeezed = {.rank = 0};
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] != 1) {
            squeezed.dim[squeezed.rank++] = shape->dim[i];
        }
    }
    return squeezed;
}

/* How many samples an array holds; 0 when it is not made of them. Axes of 1 may lack or be more. */
static int64_t count_samples(const cg_shape *shape, const cg_shape *sample) {
    cg_shape array = squeeze(shape), one = squeeze(sample), rest = {.rank = array.rank - 1};
    if (cg_shape_equal(&array, &one)) {
        return 1;
    }
    if (array.rank != one.rank + 1) {
        return 0;
    }
    memcpy(rest.dim, array.dim + 1, (size_t)rest.rank * sizeof *rest.dim);
    return cg_shape_equal(&rest, &one) ? array.dim[0] : 0;
}

/* Values of an array; bytes become 0 to 1. */
static void copy_values(const cg_array *array, int64_t first, int64_t count, float *values) {
    double scale = array->dtype == CG_U8 ? 255 : 1;
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(cg_value(array->values, array->dtype, first + i) / scale);
    }
}

static bool is_array(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, ".npy") == 0;
}

cg_status cg_image_read(const char *path, const cg_shape *sample, float *values) {
    if (!is_array(path)) {
        return read_image(path, sample, values);
    }
    cg_array array;
    CG_TRY(cg_npy_open(path, INT64_MAX, &array));
    cg_status status = CG_OK;
    if (count_samples(&array.shape, sample) == 1) {
        copy_values(&array, 0, cg_shape_numel(sample), values);
    } else {
        status = wrong_shape(path, &array.shape, sample);
    }
    cg_array_free(&array);
    return status;
}

/* Room for one more row, which counts only after keep_row. */
static cg_status make_room(reading *r, float **values) {
    cg_samples *samples = r->samples;
    size_t size = (size_t)cg_shape_numel(r->sample), count = (size_t)samples->count;
    if (count == r->capacity) {
        size_t capacity = count > 0 ? 2 * count : 8;
        float *larger = cg_realloc(samples->values, capacity * size * sizeof *larger);
        if (larger == NULL) {
            return CG_ERR_MEMORY;
        }
        samples->values = larger;
        r->capacity = capacity;
    }
    *values = (float *)samples->values + count * size;
    return CG_GROW(samples->paths, count, r->name_capacity) ? CG_OK : CG_ERR_MEMORY;
}

static cg_status keep_row(const reading *r, const char *name) {
    char *copy = cg_strdup(name);
    if (copy == NULL) {
        return CG_ERR_MEMORY;
    }
    r->samples->paths[r->samples->count++] = copy;
    return CG_OK;
}

static cg_status add_image(reading *r, const char *path) {
    float *values;
    CG_TRY(make_room(r, &values));
    CG_TRY(read_image(path, r->sample, values));
    return keep_row(r, path);
}

static cg_status add_samples(reading *r, const char *path, const cg_array *array) {
    int64_t count = count_samples(&array->shape, r->sample), size = cg_shape_numel(r->sample);
    if (count == 0) {
        return wrong_shape(path, &array->shape, r->sample);
    }
    for (int64_t i = 0; i < count; i++) {
        float *values;
        cg_text name = {0};
        CG_TRY(make_room(r, &values));
        copy_values(array, i * size, size, values);
        cg_text_append(&name, count > 1 ? "%s[%lld]" : "%s", path, (long long)i);
        cg_status status = name.failed ? CG_ERR_MEMORY : keep_row(r, name.bytes);
        cg_text_free(&name);
        CG_TRY(status);
    }
    return CG_OK;
}

static cg_status add_array(reading *r, const char *path) {
    cg_array array;
    CG_TRY(cg_npy_open(path, cg_data_memory(r->options), &array));
    cg_status status = add_samples(r, path, &array);
    cg_array_free(&array);
    return status;
}

/* A file of a folder: one that cannot be read is noted. */
static cg_status add_entry(reading *r, const char *path) {
    cg_status status = add_image(r, path);
    if (status != CG_ERR_FILE && status != CG_ERR_FORMAT) {
        return status;
    }
    if (r->unreadable++ < NAMED) {
        cg_text_append(r->notes, "%sleft out: %s", r->notes->length > 0 ? "; " : "", cg_error_message());
    }
    return r->notes->failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status add_folder(reading *r, const char *folder) {
    cg_names entries = {0};
    cg_text path = {0};
    int64_t before = r->samples->count;
    cg_status status = cg_folder_list(folder, &entries);
    for (size_t i = 0; i < entries.count && status == CG_OK; i++) {
        if (cg_image_is_name(entries.item[i])) {
            cg_text_free(&path);
            cg_text_append(&path, "%s/%s", folder, entries.item[i]);
            status = path.failed ? CG_ERR_MEMORY : add_entry(r, path.bytes);
        }
    }
    cg_text_free(&path);
    cg_names_free(&entries);
    if (status == CG_OK && r->samples->count == before) {
        return cg_fail(CG_ERR_FORMAT, "folder %s has no PNG or JPEG image that can be read", folder);
    }
    return status;
}

cg_status cg_unlabelled_load(const char *const *paths, size_t count, const cg_shape *sample,
                             const cg_data_options *options, cg_source *source) {
    *source = (cg_source){.name = "files", .scale = 1, .classes = options->classes};
    source->targets = options->classes > 0 ? 0 : 1;
    source->train.shape = source->test.shape = *sample;
    source->train.dtype = source->test.dtype = CG_F32;
    reading r = {.sample = sample, .options = options, .samples = &source->test, .notes = &source->notes};
    for (size_t i = 0; i < count; i++) {
        struct stat facts;
        bool folder = stat(paths[i], &facts) == 0 && S_ISDIR(facts.st_mode);
        CG_TRY(folder               ? add_folder(&r, paths[i])
               : is_array(paths[i]) ? add_array(&r, paths[i])
                                    : add_image(&r, paths[i]));
    }
    if (r.unreadable > NAMED) {
        cg_text_append(&source->notes, "; ... %lld files in all", (long long)r.unreadable);
    }
    for (int64_t i = 0; options->class_names != NULL && i < options->classes; i++) {
        CG_TRY(cg_names_add(&source->class_names, options->class_names[i], strlen(options->class_names[i])));
    }
    return source->notes.failed ? CG_ERR_MEMORY : CG_OK;
}
