/*
 * A folder of images, one folder a class. All files are decoded once: what cannot be read is left out and noted, and
 * so is known before the first step. They stay in memory if they fit, else only their names do.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "image.h"
#include "safetensors.h"
#include "samples.h"

#define NAMED 3 /* so many files that cannot be read are named */

/* The files of one class. */
typedef struct class_files {
    const char *folder; /* the name of the class; borrowed */
    int64_t class_index;
    cg_names files; /* with the whole path */
    size_t read;    /* how many of them could be decoded */
} class_files;

typedef struct scan {
    const char *folder;
    const cg_data_options *options;
    cg_names entries;     /* of the folder */
    class_files *classes; /* [n_classes], of the entries that are folders */
    size_t n_classes, n_files;
    int64_t unreadable;
    cg_text reasons; /* of the first few */
} scan;

static cg_status join(const char *folder, const char *name, cg_text *path) {
    cg_text_free(path);
    cg_text_append(path, "%s/%s", folder, name);
    return path->failed ? CG_ERR_MEMORY : CG_OK;
}

static bool is_folder(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* The class of a folder's name: its place among the folders, or among the classes that a model knows. */
static cg_status find_class(const scan *s, const char *name, int64_t *found) {
    const cg_data_options *options = s->options;
    if (!cg_utf8_valid(name, strlen(name))) {
        return cg_fail(CG_ERR_FORMAT, "%s: the name of its folder %s is not UTF-8 and cannot name a class", s->folder,
                       name);
    }
    for (*found = 0; *found < options->classes; ++*found) {
        if (strcmp(options->class_names[*found], name) == 0) {
            return CG_OK;
        }
    }
    if (options->classes > 0) {
        return cg_fail(CG_ERR_FORMAT, "%s has a folder '%s', which is none of the model's %lld classes: %s%s%s",
                       s->folder, name, (long long)options->classes, options->class_names[0],
                       options->classes > 1 ? ", " : "", options->classes > 1 ? options->class_names[1] : "");
    }
    *found = (int64_t)s->n_classes;
    return CG_OK;
}

static cg_status list_files(scan *s, const char *path, class_files *class) {
    cg_names entries = {0};
    cg_text file = {0};
    cg_status status = cg_folder_list(path, &entries);
    for (size_t i = 0; i < entries.count && status == CG_OK; i++) {
        if (cg_image_is_name(entries.item[i])) {
            status = join(path, entries.item[i], &file);
            status = status == CG_OK ? cg_names_add(&class->files, file.bytes, file.length) : status;
        }
    }
    cg_text_free(&file);
    cg_names_free(&entries);
    if (status == CG_OK && class->files.count == 0) {
        status =
            cg_fail(CG_ERR_FORMAT, "the class '%s' is empty: folder %s has no PNG or JPEG file", class->folder, path);
    }
    s->n_files += class->files.count;
    return status;
}

static cg_status list_classes(scan *s) {
    CG_TRY(cg_folder_list(s->folder, &s->entries));
    s->classes = cg_alloc_zero(s->entries.count + 1, sizeof *s->classes);
    if (s->classes == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_text path = {0};
    cg_status status = CG_OK;
    for (size_t i = 0; i < s->entries.count && status == CG_OK; i++) {
        class_files *class = &s->classes[s->n_classes];
        status = join(s->folder, s->entries.item[i], &path);
        if (status == CG_OK && is_folder(path.bytes)) {
            class->folder = s->entries.item[i];
            status = find_class(s, class->folder, &class->class_index);
            s->n_classes++;
            status = status == CG_OK ? list_files(s, path.bytes, class) : status;
        }
    }
    cg_text_free(&path);
    return status;
}

static cg_status check_classes(const scan *s) {
    if (s->n_classes == 0) {
        return cg_fail(CG_ERR_FORMAT, "folder %s has neither MNIST's IDX files nor folders of images, one a class",
                       s->folder);
    }
    if (s->n_classes == 1 && s->options->classes == 0) {
        return cg_fail(CG_ERR_FORMAT, "folder %s has one class only, '%s': at least two are needed to tell apart",
                       s->folder, s->classes[0].folder);
    }
    return CG_OK;
}

static cg_status note_unreadable(scan *s, const char *path) {
    if (s->unreadable++ < NAMED) {
        /* The message begins with the path, or says it; the folder in front of it is known. */
        const char *message = cg_error_message(), *inside = strstr(message, path);
        cg_text_append(&s->reasons, "%s%s", s->reasons.length > 0 ? "; " : "",
                       inside == message ? message + strlen(s->folder) + 1 : message);
    }
    return s->reasons.failed ? CG_ERR_MEMORY : CG_OK;
}

/* The first image decides the shape, and with it whether all of them fit in memory. */
static cg_status take_shape(const scan *s, const cg_image *image, cg_samples *samples) {
    samples->shape = image->shape;
    samples->dtype = CG_U8;
    int64_t size = cg_shape_numel(&image->shape), files = (int64_t)s->n_files;
    if (size > cg_data_memory(s->options) / files) {
        return CG_OK;
    }
    samples->values = cg_alloc((size_t)(size * files));
    return samples->values != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status wrong_shape(const char *path, const cg_shape *shape, const cg_samples *samples) {
    const char *depths[] = {"", "grey", "", "colour"};
    const int64_t *dim = shape->dim, *first = samples->shape.dim;
    return cg_fail(CG_ERR_FORMAT, "images differ: %s is %lld x %lld, %s; %s is %lld x %lld, %s: make them alike",
                   samples->paths[0], (long long)first[2], (long long)first[1], depths[first[0] & 3], path,
                   (long long)dim[2], (long long)dim[1], depths[dim[0] & 3]);
}

static cg_status add_image(const scan *s, const cg_image *image, char *path, int64_t class_index, cg_samples *samples) {
    if (samples->count == 0) {
        CG_TRY(take_shape(s, image, samples));
    } else if (!cg_shape_equal(&image->shape, &samples->shape)) {
        return wrong_shape(path, &image->shape, samples);
    }
    size_t size = (size_t)cg_shape_numel(&image->shape);
    if (samples->values != NULL) {
        memcpy((uint8_t *)samples->values + (size_t)samples->count * size, image->pixels, size);
    }
    samples->classes[samples->count] = class_index;
    samples->paths[samples->count] = cg_strdup(path);
    return samples->paths[samples->count++] != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status add_file(scan *s, class_files *class, char *path, cg_samples *samples) {
    cg_image image;
    cg_status status = cg_image_load(path, &image);
    if (status == CG_ERR_FILE || status == CG_ERR_FORMAT) {
        return note_unreadable(s, path);
    }
    if (status == CG_OK) {
        status = add_image(s, &image, path, class->class_index, samples);
        class->read++;
    }
    cg_free(image.pixels);
    return status;
}

/* The classes take turns, so that the first rows are of all of them. */
static cg_status add_files(scan *s, cg_samples *samples) {
    samples->paths = cg_alloc_zero(s->n_files, sizeof *samples->paths);
    samples->classes = cg_alloc(s->n_files * sizeof *samples->classes);
    if (samples->paths == NULL || samples->classes == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t turn = 0, left = s->n_files; left > 0; turn++) {
        for (size_t i = 0; i < s->n_classes; i++) {
            if (turn < s->classes[i].files.count) {
                CG_TRY(add_file(s, &s->classes[i], s->classes[i].files.item[turn], samples));
                left--;
            }
        }
    }
    return CG_OK;
}

static cg_status check_read(const scan *s) {
    for (size_t i = 0; i < s->n_classes; i++) {
        if (s->classes[i].read == 0) {
            return cg_fail(CG_ERR_FORMAT, "the class '%s' is empty: none of its %zu files in %s can be read: %s",
                           s->classes[i].folder, s->classes[i].files.count, s->folder, cg_text_get(&s->reasons));
        }
    }
    return CG_OK;
}

static cg_status name_classes(const scan *s, cg_source *source) {
    const cg_data_options *options = s->options;
    source->classes = options->classes > 0 ? options->classes : (int64_t)s->n_classes;
    for (int64_t i = 0; i < source->classes; i++) {
        const char *name = options->classes > 0 ? options->class_names[i] : s->classes[i].folder;
        CG_TRY(cg_names_add(&source->class_names, name, strlen(name)));
    }
    return CG_OK;
}

static cg_status write_notes(const scan *s, cg_text *notes) {
    if (s->unreadable > 0) {
        cg_text_append(notes, "%lld of %zu files in %s could not be read and are left out: %s%s",
                       (long long)s->unreadable, s->n_files, s->folder, cg_text_get(&s->reasons),
                       s->unreadable > NAMED ? "; ..." : "");
    }
    return notes->failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status load(scan *s, cg_source *source) {
    CG_TRY(list_classes(s));
    CG_TRY(check_classes(s));
    CG_TRY(add_files(s, &source->train));
    CG_TRY(check_read(s));
    CG_TRY(name_classes(s, source));
    return write_notes(s, &source->notes);
}

cg_status cg_image_folder_load(const char *folder, const cg_data_options *options, cg_source *source) {
    *source = (cg_source){.scale = 255, .valid = 0.2, .valid_random = true};
    scan s = {.folder = folder, .options = options};
    cg_status status = load(&s, source);
    for (size_t i = 0; i < s.n_classes; i++) {
        cg_names_free(&s.classes[i].files);
    }
    cg_free(s.classes);
    cg_names_free(&s.entries);
    cg_text_free(&s.reasons);
    return status;
}
