/* clgrad predict: the classes of single images, with the images drawn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/train.h>

#include "commands.h"
#include "draw.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"
#include "terminal.h"

#define MOST_BESIDE 16

/* The rows that were asked for and what the model says of them. */
typedef struct prediction {
    int64_t n, sample, classes;
    int64_t *rows, *expected;
    float *x, *probabilities;
} prediction;

typedef struct predict_options {
    saved_options saved;
    const char *rows;
    int64_t count;
    bool draw, json;
} predict_options;

/* --rows, else the first --count rows of the split. */
static cg_status choose_rows(const predict_options *options, int64_t available, prediction *p) {
    size_t capacity = options->rows ? strlen(options->rows) : (size_t)available, given = 0;
    p->rows = calloc(capacity + 1, sizeof *p->rows);
    p->expected = calloc(capacity + 1, sizeof *p->expected);
    if (!p->rows || !p->expected) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    if (options->rows && !parse_numbers(options->rows, 0, p->rows, capacity, &given)) {
        return cg_fail(CG_ERR_ARGUMENT, "--rows '%s': row numbers from 0, separated by commas, are needed",
                       options->rows);
    }
    p->n = options->rows ? (int64_t)given : options->count < available ? options->count : available;
    for (int64_t i = 0; !options->rows && i < p->n; i++) {
        p->rows[i] = i;
    }
    return CG_OK;
}

static cg_status check_rows(const saved_model *saved, const prediction *p) {
    const cg_data_info *info = cg_data_describe(saved->data);
    for (int64_t i = 0; i < p->n; i++) {
        if (p->rows[i] >= info->rows[saved->split]) {
            return cg_fail(CG_ERR_INDEX, "row %lld: the %s split of '%s' has %lld rows", (long long)p->rows[i],
                           split_name(saved->split), info->name, (long long)info->rows[saved->split]);
        }
    }
    return CG_OK;
}

static cg_status predict_rows(const predict_options *options, saved_model *saved, prediction *p) {
    const cg_data_info *info = cg_data_describe(saved->data);
    if (info->classes < 1) {
        return cg_fail(CG_ERR_FORMAT, "the data '%s' has no classes", info->name);
    }
    CG_TRY(choose_rows(options, info->rows[saved->split], p));
    CG_TRY(check_rows(saved, p));
    p->sample = cg_shape_numel(&info->sample);
    p->classes = info->classes;
    p->x = calloc((size_t)(p->n * p->sample) + 1, sizeof(float));
    p->probabilities = calloc((size_t)(p->n * p->classes) + 1, sizeof(float));
    if (!p->x || !p->probabilities) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    CG_TRY(cg_data_rows(saved->data, saved->split, p->rows, p->n, p->x, p->expected));
    return cg_predict(saved->model, p->x, p->n, &info->sample, p->probabilities, p->classes);
}

static int64_t best_class(const prediction *p, int64_t i) {
    const float *probability = p->probabilities + i * p->classes;
    int64_t best = 0;
    for (int64_t c = 1; c < p->classes; c++) {
        best = probability[c] > probability[best] ? c : best;
    }
    return best;
}

static int print_json(const saved_model *saved, const prediction *p) {
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; i < p->n; i++) {
        cJSON *row = cJSON_CreateObject();
        int64_t best = best_class(p, i);
        cJSON_AddNumberToObject(row, "row", (double)p->rows[i]);
        cJSON_AddStringToObject(row, "predicted", cg_data_class_name(saved->data, best));
        report_number(row, "probability", p->probabilities[i * p->classes + best]);
        cJSON_AddStringToObject(row, "expected", cg_data_class_name(saved->data, p->expected[i]));
        cJSON *all = cJSON_AddArrayToObject(row, "probabilities");
        for (int64_t c = 0; c < p->classes; c++) {
            cJSON_AddItemToArray(all, cJSON_CreateNumber(p->probabilities[i * p->classes + c]));
        }
        cJSON_AddItemToArray(array, row);
    }
    return report_json(array);
}

static void print_table(const saved_model *saved, const prediction *p) {
    printf("%6s %10s %12s %6s\n", "row", "predicted", "probability", "true");
    for (int64_t i = 0; i < p->n; i++) {
        int64_t best = best_class(p, i);
        printf("%6lld %10s %10.2f %% %6s%s\n", (long long)p->rows[i], cg_data_class_name(saved->data, best),
               100 * p->probabilities[i * p->classes + best], cg_data_class_name(saved->data, p->expected[i]),
               best == p->expected[i] ? "" : "  wrong");
    }
}

/* Rows begin..begin+count-1 beside each other; `pixels` has room for them. */
static cg_status draw_group(const saved_model *saved, const prediction *p, int64_t begin, int count, float *pixels) {
    const cg_shape *sample = &cg_data_describe(saved->data)->sample;
    const float *images[MOST_BESIDE];
    const char *captions[MOST_BESIDE];
    char texts[MOST_BESIDE][32];
    for (int i = 0; i < count; i++) {
        int64_t row = begin + i, best = best_class(p, row);
        bool right = best == p->expected[row];
        snprintf(texts[i], sizeof texts[i], "%s%s%s", cg_data_class_name(saved->data, best), right ? "" : " not ",
                 right ? "" : cg_data_class_name(saved->data, p->expected[row]));
        captions[i] = texts[i];
        images[i] = pixels + i * p->sample;
        CG_TRY(cg_data_pixels(saved->data, saved->split, p->rows[row], pixels + i * p->sample));
    }
    putchar('\n');
    draw_images(stdout, images, captions, count, (int)sample->dim[sample->rank - 2], (int)sample->dim[sample->rank - 1],
                terminal_is_utf8());
    return CG_OK;
}

/* As many images beside each other as the terminal is wide. Only the first channel is drawn. */
static cg_status draw_rows(const saved_model *saved, const prediction *p) {
    const cg_shape *sample = &cg_data_describe(saved->data)->sample;
    if (sample->rank < 2) {
        return CG_OK;
    }
    int64_t fit = terminal_width(stdout) / (sample->dim[sample->rank - 1] + DRAW_GAP);
    fit = fit < 1 ? 1 : fit < MOST_BESIDE ? fit : MOST_BESIDE;
    float *pixels = calloc((size_t)(fit * p->sample) + 1, sizeof *pixels);
    cg_status status = pixels ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
    for (int64_t begin = 0; begin < p->n && status == CG_OK; begin += fit) {
        status = draw_group(saved, p, begin, (int)(p->n - begin < fit ? p->n - begin : fit), pixels);
    }
    free(pixels);
    return status;
}

static cg_status show(const predict_options *options, const saved_model *saved, const prediction *p) {
    if (options->json) {
        return print_json(saved, p) == EXIT_GOOD ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    print_table(saved, p);
    if (options->draw || terminal_is_live(stdout)) {
        CG_TRY(draw_rows(saved, p));
    }
    report_fallbacks(saved->device);
    return CG_OK;
}

static int predict(const predict_options *options) {
    saved_model saved = {0};
    prediction p = {0};
    cg_status status = saved_model_open(&options->saved, &saved);
    if (status == CG_OK) {
        status = predict_rows(options, &saved, &p);
    }
    if (status == CG_OK) {
        status = show(options, &saved, &p);
    }
    int exit_status = status == CG_OK ? EXIT_GOOD : report_failure(status);
    saved_model_close(&saved);
    free(p.rows);
    free(p.expected);
    free(p.x);
    free(p.probabilities);
    return exit_status;
}

int cmd_predict(int argc, char **argv) {
    predict_options chosen = {.count = 10};
    const option options[] = {
        text_option("--data", "SOURCE", "digits, mnist or a folder; default: what FILE was trained on",
                    &chosen.saved.data),
        choice_option("--split", "train|valid|test", "default: test where there is one, else valid",
                      &chosen.saved.split),
        count_option("--count", "the first N rows, default 10", 1, &chosen.count),
        text_option("--rows", "0,1,2", "these rows instead", &chosen.rows),
        flag_option("--draw", "draw the images also when the output is not a terminal", &chosen.draw),
        text_option("--device", "STRING", DEVICE_HELP, &chosen.saved.device),
        text_option("--model", "MODEL", "for a file that holds weights only:\n" MODEL_HELP, &chosen.saved.model),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: FILE's", &chosen.saved.normalize),
        flag_option("--json", "an array of {row, predicted, probability, expected, probabilities} on stdout",
                    &chosen.json),
    };
    const command_line line = {.name = "predict",
                               .operands = "FILE",
                               .summary = "Classes of images by the model in FILE, a checkpoint (safetensors).",
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operand = &chosen.saved.file};
    int parsed = options_parse(&line, argc, argv);
    return parsed == OPTIONS_RUN ? predict(&chosen) : parsed;
}
