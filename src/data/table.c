/* Tables: which line has names, which column is the target, and the numbers of the others. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "csv.h"
#include "number.h"
#include "safetensors.h"
#include "samples.h"
#include "store.h"
#include "targets.h"

typedef struct table {
    cg_csv csv;
    const cg_data_options *options;
    cg_names first; /* the fields of the first line: names, or values */
    bool has_names;
    size_t columns, target;
    char column[80]; /* the target, for messages: "7 'price'" */
    cg_store values;
    cg_targets targets;
} table;

static bool is_number(const char *text) {
    double number;
    return cg_number_read(text, strlen(text), &number) && isfinite(number);
}

/* Something that is neither a number nor missing: a name, or a class. */
static bool is_text(const char *text) {
    return !cg_is_missing(text) && !is_number(text);
}

/* "7 'price'", or the number alone where there are no names. */
static const char *column_name(const table *t, size_t column, char name[80]) {
    if (t->has_names) {
        snprintf(name, 80, "%zu '%.60s'", column + 1, t->first.item[column]);
    } else {
        snprintf(name, 80, "%zu", column + 1);
    }
    return name;
}

static cg_status fail_column(const table *t, const char *wanted) {
    cg_text names = {0};
    for (size_t i = 0; i < t->columns; i++) {
        cg_text_append(&names, "%s%.60s", i > 0 ? ", " : "", t->first.item[i]);
    }
    cg_status status = cg_fail(CG_ERR_FORMAT, "%s has no column '%s' to learn; its first line has %zu: %.1000s",
                               t->csv.path, wanted, t->columns, cg_text_get(&names));
    cg_text_free(&names);
    return status;
}

/* By name, else by number from 1. */
static cg_status find_target(table *t, bool *by_name) {
    const char *wanted = t->options->target;
    *by_name = false;
    t->target = t->columns - 1;
    if (wanted == NULL) {
        return CG_OK;
    }
    for (size_t i = 0; i < t->columns; i++) {
        if (strcmp(t->first.item[i], wanted) == 0 && !is_number(wanted)) {
            t->target = i;
            *by_name = true;
            return CG_OK;
        }
    }
    char *end;
    unsigned long long number = strtoull(wanted, &end, 10);
    if (!isdigit((unsigned char)wanted[0]) || *end != '\0' || number < 1 || number > t->columns) {
        return fail_column(t, wanted);
    }
    t->target = (size_t)number - 1;
    return CG_OK;
}

/* Names stand in the first line when one of them is where numbers should be: the target itself may be text, but then
 * it is text in the second line, too. */
static bool names_columns(const table *t, bool by_name, bool has_second) {
    for (size_t i = 0; i < t->columns; i++) {
        if (i != t->target && is_text(t->first.item[i])) {
            return true;
        }
    }
    return by_name || (has_second && t->csv.count > t->target && is_text(t->first.item[t->target]) &&
                       is_number(cg_csv_field(&t->csv, t->target)));
}

static cg_status keep_first(table *t) {
    for (size_t i = 0; i < t->csv.count; i++) {
        const char *field = cg_csv_field(&t->csv, i);
        CG_TRY(cg_names_add(&t->first, field, strlen(field)));
    }
    t->columns = t->csv.count;
    if (t->columns < 2) {
        return cg_fail(CG_ERR_FORMAT, "%s, line %lld: one column only: at least one to learn from and one to learn",
                       t->csv.path, (long long)t->csv.line);
    }
    return CG_OK;
}

/* A field of a row as a number. */
static cg_status take_value(table *t, size_t column, const char *field, int64_t line) {
    char name[80];
    double value;
    if (cg_number_read(field, strlen(field), &value) && isfinite(value)) {
        return cg_store_add(&t->values, value);
    }
    if (cg_is_missing(field)) {
        return cg_fail(CG_ERR_FORMAT, "%s, line %lld: column %s is missing: %s", t->csv.path, (long long)line,
                       column_name(t, column, name), "fill it in, or leave the line out");
    }
    return cg_fail(CG_ERR_FORMAT, "%s, line %lld: column %s is '%.60s': a number is needed", t->csv.path,
                   (long long)line, column_name(t, column, name), field);
}

static cg_status take_row(table *t, const char *(*field)(const table *, size_t), size_t count, int64_t line) {
    if (count != t->columns) {
        return cg_fail(CG_ERR_FORMAT, "%s, line %lld: %zu fields, the first line has %zu", t->csv.path, (long long)line,
                       count, t->columns);
    }
    for (size_t i = 0; i < t->columns; i++) {
        CG_TRY(i == t->target ? cg_targets_add(&t->targets, field(t, i), line) : take_value(t, i, field(t, i), line));
    }
    return CG_OK;
}

static const char *first_field(const table *t, size_t index) {
    return t->first.item[index];
}

static const char *record_field(const table *t, size_t index) {
    return cg_csv_field(&t->csv, index);
}

static cg_status read_rows(table *t, bool found) {
    while (found) {
        CG_TRY(take_row(t, record_field, t->csv.count, t->csv.line));
        CG_TRY(cg_csv_next(&t->csv, &found));
    }
    if (t->targets.count == 0) {
        return cg_fail(CG_ERR_FORMAT, "%s has no rows, only the names of its columns", t->csv.path);
    }
    return CG_OK;
}

static cg_status read_table(table *t) {
    bool found, by_name;
    CG_TRY(cg_csv_next(&t->csv, &found));
    if (!found) {
        return cg_fail(CG_ERR_FORMAT, "%s is empty", t->csv.path);
    }
    int64_t line = t->csv.line;
    CG_TRY(keep_first(t));
    CG_TRY(find_target(t, &by_name));
    CG_TRY(cg_csv_next(&t->csv, &found));
    t->has_names = names_columns(t, by_name, found);
    t->targets = (cg_targets){.path = t->csv.path, .column = column_name(t, t->target, t->column)};
    if (!t->has_names) {
        CG_TRY(take_row(t, first_field, t->columns, line));
    }
    return read_rows(t, found);
}

/* The name of the target is kept, or its number where it has none: a checkpoint says what it was. */
static cg_status name_target(const table *t, cg_source *source) {
    const char *name = t->first.item[t->target];
    if (t->has_names && name[0] != '\0' && cg_utf8_valid(name, strlen(name))) {
        cg_text_append(&source->target, "%s", name);
    } else {
        cg_text_append(&source->target, "%zu", t->target + 1);
    }
    return source->target.failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status finish(table *t, cg_source *source) {
    cg_samples *samples = &source->train;
    samples->count = (int64_t)t->targets.count;
    samples->shape = CG_SHAPE((int64_t)t->columns - 1);
    samples->dtype = CG_F64;
    cg_store_give(&t->values, samples);
    CG_TRY(name_target(t, source));
    return cg_targets_finish(&t->targets, t->options, source);
}

cg_status cg_csv_load(const char *path, const cg_data_options *options, cg_source *source) {
    *source = (cg_source){.scale = 1, .valid = 0.2, .valid_random = true};
    table *t = cg_alloc_zero(1, sizeof *t);
    if (t == NULL) {
        return CG_ERR_MEMORY;
    }
    t->options = options;
    t->values.memory = cg_data_memory(options);
    cg_status status = cg_csv_open(path, &t->csv);
    if (status == CG_OK) {
        status = read_table(t);
    }
    if (status == CG_OK) {
        status = finish(t, source);
    }
    cg_csv_close(&t->csv);
    cg_names_free(&t->first);
    cg_targets_free(&t->targets);
    cg_store_free(&t->values);
    cg_free(t);
    return status;
}
