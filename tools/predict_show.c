/* Predictions as tables and as JSON. */
#include "predict_show.h"

#include <stdio.h>
#include <string.h>

#include "likeliest.h"
#include "report.h"

static const char *class_name(const saved_model *saved, int64_t index) {
    return index >= 0 ? cg_data_class_name(saved->data, index) : "";
}

const char *predict_file(const saved_model *saved, const prediction *p, int64_t i) {
    const char *file = cg_data_row_name(saved->data, saved->split, p->rows[i]);
    size_t kept = strlen(p->kept_input);
    return file && kept > 0 && strncmp(file, p->kept_input, kept) == 0 ? "-" : file;
}

static void print_numbers(const prediction *p) {
    printf("%6s %14s %14s\n", "row", "predicted", p->unlabelled ? "" : "true");
    for (int64_t i = 0; i < p->n * p->targets; i++) {
        printf("%6lld %14.6g", (long long)p->rows[i / p->targets], (double)p->numbers[i]);
        if (!p->unlabelled) {
            printf(" %14.6g", (double)p->expected_numbers[i]);
        }
        putchar('\n');
    }
}

/* What is known of a row: the class that is right, or the file it was read from. */
static void print_classes(const saved_model *saved, const prediction *p) {
    printf("%6s %10s %12s %6s\n", "row", "predicted", "probability", p->unlabelled ? "file" : "true");
    for (int64_t i = 0; i < p->n; i++) {
        likely best = likeliest(p, i, 0);
        int64_t right = p->expected[i];
        printf("%6lld %10s %10.2f %% %6s%s\n", (long long)p->rows[i], class_name(saved, best.index),
               100 * (double)best.probability, right >= 0 ? class_name(saved, right) : predict_file(saved, p, i),
               best.index == right || right < 0 ? "" : "  wrong");
    }
}

void predict_table(const saved_model *saved, const prediction *p) {
    if (p->classes > 0) {
        print_classes(saved, p);
    } else {
        print_numbers(p);
    }
}

/* RFC 4180: in quotes where a reader would stumble. */
static void put_field(const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, stdout);
    }
    putchar('"');
}

static void put_fields(const float *numbers, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        printf(",%.9g", (double)numbers[i]);
    }
}

static void put_header(const saved_model *saved, const prediction *p, bool files, int64_t top) {
    fputs(files ? "row,file" : "row", stdout);
    for (int64_t i = 0; i < p->targets; i++) {
        printf(p->targets > 1 ? ",predicted_%lld" : ",predicted", (long long)i);
    }
    for (int64_t i = 0; i < p->targets && !p->unlabelled; i++) {
        printf(p->targets > 1 ? ",expected_%lld" : ",expected", (long long)i);
    }
    if (p->classes > 0) {
        fputs(p->unlabelled ? ",predicted,probability" : ",predicted,probability,expected", stdout);
    }
    for (int64_t i = 1; i < top; i++) {
        printf(",class_%lld,probability_%lld", (long long)i + 1, (long long)i + 1);
    }
    for (int64_t i = 0; i < p->classes && top == 0; i++) {
        putchar(',');
        put_field(class_name(saved, i));
    }
    putchar('\n');
}

static void put_classes(const saved_model *saved, const prediction *p, int64_t i, int64_t top) {
    for (int64_t place = 0; place < (top > 0 ? top : 1); place++) {
        likely class = likeliest(p, i, place);
        putchar(',');
        put_field(class_name(saved, class.index));
        printf(",%.9g", (double)class.probability);
        if (place == 0 && !p->unlabelled) {
            putchar(',');
            put_field(class_name(saved, p->expected[i]));
        }
    }
    if (top == 0) {
        put_fields(p->probabilities + i * p->classes, p->classes);
    }
}

void predict_csv(const saved_model *saved, const prediction *p, int64_t top) {
    bool files = p->n > 0 && predict_file(saved, p, 0) != NULL;
    put_header(saved, p, files, top);
    for (int64_t i = 0; i < p->n; i++) {
        printf("%lld", (long long)p->rows[i]);
        if (files) {
            putchar(',');
            put_field(predict_file(saved, p, i));
        }
        if (p->classes > 0) {
            put_classes(saved, p, i, top);
        }
        put_fields(p->numbers + i * p->targets, p->targets);
        put_fields(p->expected_numbers + i * p->targets, p->unlabelled ? 0 : p->targets);
        putchar('\n');
    }
}

static void add_top(cJSON *row, const saved_model *saved, const prediction *p, int64_t i, int64_t top) {
    cJSON *array = cJSON_AddArrayToObject(row, "top");
    for (int64_t place = 0; place < top; place++) {
        likely class = likeliest(p, i, place);
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "class", class_name(saved, class.index));
        report_number(entry, "probability", class.probability);
        cJSON_AddItemToArray(array, entry);
    }
}

static void add_class(cJSON *row, const saved_model *saved, const prediction *p, int64_t i, int64_t top) {
    likely best = likeliest(p, i, 0);
    cJSON_AddStringToObject(row, "predicted", class_name(saved, best.index));
    report_number(row, "probability", best.probability);
    if (p->expected[i] >= 0) {
        cJSON_AddStringToObject(row, "expected", class_name(saved, p->expected[i]));
    }
    if (top > 0) {
        add_top(row, saved, p, i, top);
        return;
    }
    cJSON *all = cJSON_AddArrayToObject(row, "probabilities");
    for (int64_t c = 0; c < p->classes; c++) {
        cJSON_AddItemToArray(all, cJSON_CreateNumber(p->probabilities[i * p->classes + c]));
    }
}

/* A number, or where there are several for each row an array. */
static void add_numbers(cJSON *row, const char *key, const float *numbers, int64_t count) {
    if (count == 1) {
        report_number(row, key, numbers[0]);
        return;
    }
    cJSON *array = cJSON_AddArrayToObject(row, key);
    for (int64_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateNumber(numbers[i]));
    }
}

int predict_json(const saved_model *saved, const prediction *p, int64_t top) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; i < p->n; i++) {
        cJSON *row = cJSON_CreateObject();
        const char *file = predict_file(saved, p, i);
        cJSON_AddNumberToObject(row, "row", (double)p->rows[i]);
        if (file) {
            cJSON_AddStringToObject(row, "file", file);
        }
        if (p->classes > 0) {
            add_class(row, saved, p, i, top);
        } else {
            add_numbers(row, "predicted", p->numbers + i * p->targets, p->targets);
            if (!p->unlabelled) {
                add_numbers(row, "expected", p->expected_numbers + i * p->targets, p->targets);
            }
        }
        cJSON_AddItemToArray(array, row);
    }
    return report_json(array);
}
