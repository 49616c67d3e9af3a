/* clgrad predict: the classes of single images, with the images drawn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <clgrad/train.h>

#include "commands.h"
#include "exit_status.h"
#include "options.h"
#include "predict_show.h"
#include "report.h"
#include "saved_model.h"
#include "standard_input.h"
#include "terminal.h"

/* Classes below an image. */
#define DRAWN_CLASSES 3
#define SUMMARY                                                                                                        \
    "Classes, or numbers, by the model in FILE, a checkpoint (safetensors): of images (PNG, JPEG,\n"                   \
    "folders of them, .npy arrays of one or of many, - for standard input), else of rows of data."

typedef struct predict_options {
    saved_options saved;
    const char **inputs; /* saved.inputs */
    const char *rows;
    int64_t count, top; /* NOT_GIVEN: not given */
    bool draw, json, csv;
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
    int64_t count = options->count != NOT_GIVEN ? options->count : options->saved.n_inputs > 0 ? available : 10;
    p->n = options->rows ? (int64_t)given : count < available ? count : available;
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

static cg_status allocate(const cg_data_info *info, prediction *p) {
    p->sample = cg_shape_numel(&info->sample);
    p->classes = info->classes;
    p->targets = info->targets;
    p->x = calloc((size_t)(p->n * p->sample) + 1, sizeof(float));
    p->probabilities = calloc((size_t)(p->n * p->classes) + 1, sizeof(float));
    p->numbers = calloc((size_t)(p->n * p->targets) + 1, sizeof(float));
    p->expected_numbers = calloc((size_t)(p->n * p->targets) + 1, sizeof(float));
    return p->x && p->probabilities && p->numbers && p->expected_numbers ? CG_OK
                                                                         : cg_fail(CG_ERR_MEMORY, "out of memory");
}

static cg_status predict_rows(const predict_options *options, saved_model *saved, prediction *p) {
    const cg_data_info *info = cg_data_describe(saved->data);
    p->unlabelled = options->saved.n_inputs > 0;
    CG_TRY(choose_rows(options, info->rows[saved->split], p));
    CG_TRY(check_rows(saved, p));
    CG_TRY(allocate(info, p));
    CG_TRY(cg_data_rows(saved->data, saved->split, p->rows, p->n, p->x, p->classes > 0 ? p->expected : NULL));
    if (p->classes > 0) {
        return cg_predict(saved->model, p->x, p->n, &info->sample, p->probabilities, p->classes);
    }
    CG_TRY(cg_data_targets(saved->data, saved->split, p->rows, p->n, p->expected_numbers));
    return cg_predict_numbers(saved->model, p->x, p->n, &info->sample, p->numbers, p->targets);
}

/* Classes that are asked for; `otherwise` where none are. */
static int64_t top_of(const predict_options *options, const prediction *p, int64_t otherwise) {
    int64_t top = options->top != NOT_GIVEN ? options->top : otherwise;
    return top < p->classes ? top : p->classes;
}

static cg_status show(const predict_options *options, const saved_model *saved, const prediction *p) {
    if (options->json) {
        bool good = predict_json(saved, p, top_of(options, p, 0)) == EXIT_GOOD;
        return good ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    if (options->csv) {
        predict_csv(saved, p, top_of(options, p, 0));
        return CG_OK;
    }
    predict_table(saved, p);
    if (options->draw || terminal_is_live(stdout)) {
        CG_TRY(predict_draw(saved, p, top_of(options, p, DRAWN_CLASSES)));
    }
    report_fallbacks(saved->device, saved->fallback);
    return CG_OK;
}

/* Puts a file's path in the place of "-", once. */
static cg_status keep_input(const predict_options *options, prediction *p) {
    for (size_t i = 0; i < options->saved.n_inputs; i++) {
        const char **path = &options->inputs[i];
        if (strcmp(*path, "-") != 0) {
            continue;
        }
        if (p->kept_input[0] != '\0') {
            return cg_fail(CG_ERR_ARGUMENT, "standard input, -, can be read once");
        }
        CG_TRY(standard_input_keep(p->kept_input));
        *path = p->kept_input;
    }
    return CG_OK;
}

static int predict(const predict_options *options) {
    saved_model saved = {0};
    prediction p = {0};
    cg_status status = keep_input(options, &p);
    if (status == CG_OK) {
        status = saved_model_open(&options->saved, &saved);
    }
    if (status == CG_OK) {
        report_notes(saved.data);
        status = predict_rows(options, &saved, &p);
    }
    if (status == CG_OK) {
        status = show(options, &saved, &p);
    }
    int exit_status = status == CG_OK ? EXIT_GOOD : report_failure(status);
    saved_model_close(&saved);
    if (p.kept_input[0] != '\0') {
        unlink(p.kept_input);
    }
    free(p.rows);
    free(p.expected);
    free(p.x);
    free(p.probabilities);
    free(p.numbers);
    free(p.expected_numbers);
    return exit_status;
}

static int run(const predict_options *options) {
    if (options->saved.n_inputs > 0 && (options->saved.data || options->saved.split)) {
        return usage_error("predict", "--data and --split exclude images: %s", options->saved.inputs[0]);
    }
    if (options->json && options->csv) {
        return usage_error("predict", "--json and --csv exclude each other");
    }
    return predict(options);
}

int cmd_predict(int argc, char **argv) {
    predict_options chosen = {.count = NOT_GIVEN, .top = NOT_GIVEN};
    text_list operands = {.items = calloc((size_t)argc + 1, sizeof(char *))};
    if (!operands.items) {
        return report_failure(cg_fail(CG_ERR_MEMORY, "out of memory"));
    }
    const option options[] = {
        text_option("--data", "SOURCE",
                    "digits, mnist, a folder or a file, as in train; default: what FILE was trained on",
                    &chosen.saved.data),
        text_option("--target", "COLUMN", TARGET_HELP "; default: FILE's", &chosen.saved.target),
        choice_option("--split", "train|valid|test", "default: test where there is one, else valid",
                      &chosen.saved.split),
        count_option("--count", "the first N rows, default 10, of files all", 1, &chosen.count),
        text_option("--rows", "0,1,2", "these rows instead", &chosen.rows),
        count_option("--top",
                     "the N likeliest classes of each row: below an image, default 3, and with --json\nand --csv "
                     "instead of all",
                     1, &chosen.top),
        flag_option("--draw", "draw the images also when the output is not a terminal", &chosen.draw),
        text_option("--device", "STRING", DEVICE_HELP, &chosen.saved.device),
        PRECISION_OPTION(&chosen.saved.precision),
        FALLBACK_OPTION(&chosen.saved.fallback),
        text_option("--model", "MODEL", "for a file that holds weights only:\n" MODEL_HELP, &chosen.saved.model),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: FILE's", &chosen.saved.normalize),
        flag_option("--json", "an array of {row, file, predicted, probability, expected, probabilities} on stdout",
                    &chosen.json),
        flag_option("--csv",
                    "the same as lines of row, file, predicted, probability, expected and a column for each\n"
                    "class",
                    &chosen.csv),
    };
    const command_line line = {.name = "predict",
                               .operands = "FILE [IMAGE...]",
                               .summary = SUMMARY,
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operands_to = &operands};
    int result = options_parse(&line, argc, argv);
    if (result == OPTIONS_RUN) {
        chosen.saved.file = operands.items[0];
        chosen.saved.inputs = chosen.inputs = operands.items + 1;
        chosen.saved.n_inputs = operands.count - 1;
        result = run(&chosen);
    }
    free((void *)operands.items);
    return result;
}
