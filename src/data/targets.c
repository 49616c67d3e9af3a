/* Classes or numbers: what the target column of a table holds. */
#include "targets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "number.h"
#include "safetensors.h"

#define FEW 32 /* whole numbers are classes when so few of them differ */

static uint32_t hash(const char *text) { /* FNV-1a */
    uint32_t value = 2166136261u;
    for (; *text != '\0'; text++) {
        value = (value ^ (unsigned char)*text) * 16777619u;
    }
    return value;
}

/* The place of a name in the table: its own, or the free one where it goes. */
static size_t find_place(const cg_targets *t, const char *name) {
    size_t place = hash(name) & (t->table_size - 1);
    while (t->table[place] != 0 && strcmp(t->names.item[t->table[place] - 1], name) != 0) {
        place = (place + 1) & (t->table_size - 1);
    }
    return place;
}

/* At most half full. */
static cg_status grow_table(cg_targets *t) {
    if (t->names.count < t->table_size / 2) {
        return CG_OK;
    }
    size_t size = t->table_size > 0 ? 2 * t->table_size : 64;
    uint32_t *larger = cg_alloc_zero(size, sizeof *larger);
    if (larger == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_free(t->table);
    t->table = larger;
    t->table_size = size;
    for (size_t i = 0; i < t->names.count; i++) {
        t->table[find_place(t, t->names.item[i])] = (uint32_t)i + 1;
    }
    return CG_OK;
}

static cg_status find_label(cg_targets *t, const char *name, int64_t line, int64_t *label) {
    CG_TRY(grow_table(t));
    size_t place = find_place(t, name);
    *label = (int64_t)t->table[place] - 1;
    if (*label >= 0) {
        return CG_OK;
    }
    t->too_many = t->names.count == CG_MOST_CLASSES;
    if (t->too_many) {
        return CG_OK;
    }
    if (!CG_GROW(t->line, t->names.count, t->line_capacity)) {
        return CG_ERR_MEMORY;
    }
    *label = (int64_t)t->names.count;
    t->line[*label] = line;
    CG_TRY(cg_names_add(&t->names, name, strlen(name)));
    t->table[place] = (uint32_t)t->names.count;
    return CG_OK;
}

bool cg_is_missing(const char *text) {
    static const char *const words[] = {"", "?", "na", "n/a", "nan", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

cg_status cg_targets_add(cg_targets *t, const char *text, int64_t line) {
    double number = (double)NAN;
    char whole[CG_NUMBER_SIZE];
    bool is_number = cg_number_read(text, strlen(text), &number) && isfinite(number);
    if (cg_is_missing(text)) {
        return cg_fail(CG_ERR_FORMAT, "%s, line %lld: the target, column %s, is missing", t->path, (long long)line,
                       t->column);
    }
    if (is_number && number == floor(number) && fabs(number) < 1e15) {
        snprintf(whole, sizeof whole, "%.0f", number == 0 ? 0.0 : number);
        text = whole;
    } else if (is_number) {
        t->fractions = true;
    } else if (t->text_line == 0) {
        t->text_line = line;
        snprintf(t->text, sizeof t->text, "%s", text);
    }
    if (!CG_GROW(t->number, t->count, t->number_capacity) || !CG_GROW(t->label, t->count, t->label_capacity)) {
        return CG_ERR_MEMORY;
    }
    t->has_numbers = t->has_numbers || is_number;
    t->number[t->count] = is_number ? number : (double)NAN;
    t->label[t->count] = -1;
    if (!t->too_many) {
        CG_TRY(find_label(t, text, line, &t->label[t->count]));
    }
    t->count++;
    return CG_OK;
}

static cg_status fail_text(const cg_targets *t) {
    return cg_fail(CG_ERR_FORMAT, "%s, line %lld: the target, column %s, is '%s', where numbers are learnt: %s",
                   t->path, (long long)t->text_line, t->column, t->text, "classes are learnt with --task classes");
}

/* Text is a class, and so are whole numbers if few differ, text among them or not. Text among other numbers is a
 * mistake. */
static cg_status decide(const cg_targets *t, cg_task task, bool *classes) {
    bool few = !t->too_many && !t->fractions && t->names.count <= FEW;
    *classes = task == CG_TASK_CLASSES || (task == CG_TASK_AUTO && (few || !t->has_numbers));
    if (!*classes && t->text_line > 0) {
        return fail_text(t);
    }
    if (*classes && t->too_many) {
        return cg_fail(CG_ERR_FORMAT, "%s: column %s has more than %d different values: too many for classes", t->path,
                       t->column, CG_MOST_CLASSES);
    }
    return CG_OK;
}

static int compare(const void *a, const void *b) {
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    double x, y;
    bool x_is = cg_number_read(left, strlen(left), &x), y_is = cg_number_read(right, strlen(right), &y);
    if (x_is && y_is && x != y) {
        return x < y ? -1 : 1;
    }
    return x_is != y_is ? (x_is ? -1 : 1) : strcmp(left, right);
}

/* The names in order, numbers by value: or those of a model. */
static cg_status name_classes(const cg_targets *t, const cg_data_options *options, cg_source *source) {
    size_t count = options->classes > 0 ? (size_t)options->classes : t->names.count;
    for (size_t i = 0; i < count; i++) {
        const char *name = options->classes > 0 ? options->class_names[i] : t->names.item[i];
        if (!cg_utf8_valid(name, strlen(name))) {
            return cg_fail(CG_ERR_FORMAT, "%s, line %lld: the class '%s' is not UTF-8", t->path, (long long)t->line[i],
                           name);
        }
        CG_TRY(cg_names_add(&source->class_names, name, strlen(name)));
    }
    if (options->classes == 0) {
        qsort(source->class_names.item, count, sizeof(char *), compare);
    }
    source->classes = (int64_t)count;
    return CG_OK;
}

/* For each different text its class. */
static cg_status map_labels(const cg_targets *t, const cg_source *source, int64_t *map) {
    for (size_t i = 0; i < t->names.count; i++) {
        map[i] = -1;
    }
    for (size_t i = 0; i < source->class_names.count; i++) {
        size_t place = find_place(t, source->class_names.item[i]);
        if (t->table[place] != 0) {
            map[t->table[place] - 1] = (int64_t)i;
        }
    }
    for (size_t i = 0; i < t->names.count; i++) {
        if (map[i] < 0) {
            return cg_fail(CG_ERR_FORMAT, "%s, line %lld, column %s: '%s' is none of the model's %lld classes: %s, ...",
                           t->path, (long long)t->line[i], t->column, t->names.item[i], (long long)source->classes,
                           source->class_names.item[0]);
        }
    }
    return CG_OK;
}

static cg_status take_classes(cg_targets *t, const cg_data_options *options, cg_source *source) {
    if (t->names.count == 1 && options->classes == 0) {
        return cg_fail(CG_ERR_FORMAT, "%s: column %s has one class only, '%s': at least two are needed to tell apart",
                       t->path, t->column, t->names.item[0]);
    }
    CG_TRY(name_classes(t, options, source));
    int64_t *map = cg_alloc(t->names.count * sizeof *map);
    cg_status status = map != NULL ? map_labels(t, source, map) : CG_ERR_MEMORY;
    for (size_t i = 0; i < t->count && status == CG_OK; i++) {
        t->label[i] = map[t->label[i]];
    }
    cg_free(map);
    source->train.classes = t->label;
    t->label = NULL;
    return status;
}

cg_status cg_targets_finish(cg_targets *t, const cg_data_options *options, cg_source *source) {
    bool classes;
    CG_TRY(decide(t, options->task, &classes));
    if (classes) {
        return take_classes(t, options, source);
    }
    source->targets = 1;
    source->train.numbers = t->number;
    t->number = NULL;
    return CG_OK;
}

void cg_targets_free(cg_targets *t) {
    cg_free(t->number);
    cg_free(t->label);
    cg_free(t->line);
    cg_free(t->table);
    cg_names_free(&t->names);
}
