/* Flags and defaults of clgrad train. */
#include "train_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_status.h"
#include "options.h"
#include "report.h"
#include "saved_model.h"

#define SUMMARY                                                                                                        \
    "Trains a model on data and shows how well it does on data it has not seen.\n"                                     \
    "With --resume the flags that are not given are the checkpoint's."

/* The digits are 23 batches an epoch: they need more of them. */
#define DEFAULT_EPOCHS 5
#define DIGITS_EPOCHS 10
#define EPOCHS_HELP "passes over the training rows, default 5, of the digits 10"

/* Two files of one name: the later would take the place of the earlier. */
static int check_report(const train_options *options) {
    const struct {
        const char *flag, *path;
    } others[] = {{"--out", options->out},
                  {"--save-best", options->save_best},
                  {"--log", options->log},
                  {"--resume", options->resume},
                  {"--init", options->init}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (options->report && others[i].path && strcmp(options->report, others[i].path) == 0) {
            return usage_error("train", "--report and %s name the same file, %s", others[i].flag, others[i].path);
        }
    }
    return OPTIONS_RUN;
}

/* Combinations that no single flag shows to be wrong. */
static int check_combinations(const train_options *options) {
    if (options->resume && options->init) {
        return usage_error("train", "--init and --resume exclude each other");
    }
    if ((options->allow_missing || options->allow_extra) && !options->init) {
        return usage_error("train", "%s needs --init", options->allow_missing ? "--allow-missing" : "--allow-extra");
    }
    if (options->save_every != NOT_GIVEN && !options->out) {
        return usage_error("train", "--save-every needs --out");
    }
    if (options->schedule_every && !options->schedule && !options->resume) {
        return usage_error("train", "--schedule-every needs --schedule");
    }
    if (options->find_lr && (options->out || options->save_best || options->log || options->report)) {
        return usage_error("train", "--find-lr saves nothing: %s cannot go with it",
                           options->out      ? "--out"
                           : options->log    ? "--log"
                           : options->report ? "--report"
                                             : "--save-best");
    }
    cg_data_options ignored = {0};
    double pair[2];
    if (!parse_normalize(options->normalize, pair, &ignored)) {
        return usage_error("train", "--normalize '%s': data, none or MEAN,STD is needed", options->normalize);
    }
    return OPTIONS_RUN;
}

/* The flags in the order of --help. */
typedef struct flag_list {
    option all[64];
    size_t count;
} flag_list;

static void add_flags(flag_list *list, const option *flags, size_t bytes) {
    memcpy(list->all + list->count, flags, bytes);
    list->count += bytes / sizeof *flags;
}

/* What it learns from. */
static void add_data_flags(flag_list *list, train_options *o) {
    const option flags[] = {
        text_option("--data", "SOURCE",
                    "digits (built in, the default), mnist, a folder with the four IDX files of\n"
                    "MNIST's names, .gz or not, a folder with a folder of PNG and JPEG images for\n"
                    "each class, a table .csv or .tsv, or NumPy's arrays: .npz with x and y, or .npy",
                    &o->data),
        text_option("--target", "COLUMN", TARGET_HELP "; default: the last", &o->target),
        choice_option("--task", "classes|numbers", TASK_HELP, &o->task),
        count_option("--memory",
                     "MiB that images or arrays may take before they are read as they are needed;\n"
                     "default: half of the machine's",
                     1, &o->memory),
        text_option("--augment", "CHANGES",
                    "random changes of training rows, new in each epoch, in this order of your own:\n"
                    "crop(padding), flip(p=0.5), rotate(degrees), shift(pixels), cutout(size) of\n"
                    "images; at the end mixup(alpha) of any rows. Default: none",
                    &o->augment),
        count_option("--workers",
                     "threads that prepare the next batches while the device works, default 1; 0: none.\n"
                     "The batches are the same whatever their number",
                     0, &o->workers),
        share_option("--valid",
                     "share of the training rows kept for validation; default: a sixth, the last rows,\n"
                     "of all but IDX data a fifth at random",
                     &o->valid),
        count_option("--limit", "use the first N training rows only", 1, &o->limit),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: data", &o->normalize),
    };
    add_flags(list, flags, sizeof flags);
}

/* What learns, and how. */
static void add_model_flags(flag_list *list, train_options *o) {
    const option flags[] = {
        count_option("--batch", "rows in a batch, default 64; the last, smaller one is kept", 1, &o->batch),
        text_option("--model", "MODEL", MODEL_HELP " (the default)", &o->model),
        text_option("--loss", "LOSS", "default: auto, CrossEntropyLoss() for classes, MSELoss() for numbers", &o->loss),
        text_option("--optimizer", "OPTIMIZER", "as PyTorch prints it, default 'Adam(lr=0.001)'", &o->optimizer),
        text_option("--schedule", "SCHEDULE",
                    "of the learning rate, as PyTorch prints it, 'OneCycleLR(max_lr=0.01, total_steps=500)';\n"
                    "default: none",
                    &o->schedule),
        choice_option("--schedule-every", "epoch|step",
                      "what the schedule counts; default: step, an update. ReduceLROnPlateau goes by\n"
                      "the validation loss of each epoch",
                      &o->schedule_every),
        real_option("--clip-norm", "scale the gradients down to this norm of all of them", &o->clip_norm),
        real_option("--clip-value", "clamp the gradients to -X..X, before --clip-norm", &o->clip_value),
        count_option("--accumulate", "batches to an update, whose gradient is the mean of theirs, default 1", 1,
                     &o->accumulate),
        share_option("--ema",
                     "average = SHARE average + (1 - SHARE) weights, after each update: validated and\n"
                     "saved is the average, buffers as well; default: no average",
                     &o->ema),
        text_option("--freeze", "PATTERNS", "parameters that stay as they are, '0.*,*.bias'", &o->freeze),
        text_option("--groups", "GROUPS",
                    "parameters with arguments of their own, '0.*: lr=1e-4; *.bias: weight_decay=0'", &o->groups),
    };
    add_flags(list, flags, sizeof flags);
}

/* How long, and from where. */
static void add_course_flags(flag_list *list, train_options *o) {
    const option flags[] = {
        flag_option("--find-lr",
                    "train 100 steps with a learning rate that grows from 1e-7 to 10, show the loss\n"
                    "and suggest a rate; nothing is saved",
                    &o->find_lr),
        flag_option("--stats",
                    "mean, deviation and share of zeros of what comes out of each layer: a table at\n"
                    "the end, and in each epoch's line of --log and --json",
                    &o->stats),
        count_option("--patience",
                     "stop when the validation loss has not fallen for N epochs; the weights are\n"
                     "the last epoch's, see --save-best",
                     1, &o->patience),
        count_option("--epochs", EPOCHS_HELP, 0, &o->epochs),
        count_option("--steps", "exactly N updates, across epochs, instead of epochs", 0, &o->steps),
        count_option("--stop-after", "stop after epoch N, to go on later with --resume", 1, &o->stop_after),
        count_option("--seed", "of initial weights, split and order of rows, default 0", 0, &o->seed),
        text_option("--init", "FILE", "initial parameters from a checkpoint or state dict (safetensors)", &o->init),
        flag_option("--allow-missing", "with --init: parameters that FILE lacks keep their drawn values",
                    &o->allow_missing),
        flag_option("--allow-extra", "with --init: names that the model lacks are passed over", &o->allow_extra),
        flag_option("--no-shuffle", "batches in the order of the file", &o->no_shuffle),
    };
    add_flags(list, flags, sizeof flags);
}

/* Where it goes, and on what it runs. */
static void add_output_flags(flag_list *list, train_options *o) {
    const option flags[] = {
        text_option("--out", "FILE", "save the model here after every epoch and at the end; default: nowhere", &o->out),
        count_option("--save-every", "save every N updates, too", 1, &o->save_every),
        text_option("--save-best", "FILE",
                    "save here after each epoch that is better than all before: by validation\n"
                    "accuracy, by loss where the target is a number",
                    &o->save_best),
        text_option("--resume", "FILE", "go on where this checkpoint stopped", &o->resume),
        text_option("--log", "FILE", "one JSON line for each update and each epoch; --resume appends", &o->log),
        text_option("--report", "FILE.html",
                    "one page of its own with curves, confusion matrix, the most wrong images, times and the\n"
                    "command: written after each epoch and at the end",
                    &o->report),
        PRECISION_OPTION(&o->precision),
        FALLBACK_OPTION(&o->fallback),
        list_option("--device", "STRING",
                    DEVICE_HELP "\nunder mpirun it may be repeated: one for each process of a machine, by turns",
                    &o->devices),
        flag_option("--quiet", "print errors only", &o->quiet),
        flag_option("--json", "one object on stdout at the end, and no progress", &o->json),
    };
    add_flags(list, flags, sizeof flags);
}

int train_options_parse(train_options *o, int argc, char **argv) {
    *o = (train_options){.valid = -1,
                         .memory = NOT_GIVEN,
                         .workers = NOT_GIVEN,
                         .limit = NOT_GIVEN,
                         .batch = NOT_GIVEN,
                         .epochs = NOT_GIVEN,
                         .steps = NOT_GIVEN,
                         .stop_after = NOT_GIVEN,
                         .save_every = NOT_GIVEN,
                         .ema = -1,
                         .accumulate = NOT_GIVEN,
                         .patience = NOT_GIVEN,
                         .seed = NOT_GIVEN,
                         .devices.items = calloc((size_t)argc + 1, sizeof(char *))};
    if (!o->devices.items) {
        fputs("clgrad: out of memory\n", stderr);
        return EXIT_DEVICE;
    }
    flag_list flags = {.count = 0};
    add_data_flags(&flags, o);
    add_model_flags(&flags, o);
    add_course_flags(&flags, o);
    add_output_flags(&flags, o);
    const command_line line = {
        .name = "train", .operands = "", .summary = SUMMARY, .options = flags.all, .n_options = flags.count};
    int parsed = options_parse(&line, argc, argv);
    parsed = parsed == OPTIONS_RUN ? check_combinations(o) : parsed;
    return parsed == OPTIONS_RUN ? check_report(o) : parsed;
}

void train_options_clear(train_options *options) {
    free(options->devices.items);
}

static cg_status agree_count(const train_options *options, const char *flag, int64_t *given, int64_t saved) {
    if (*given != NOT_GIVEN && *given != saved) {
        return cg_fail(CG_ERR_ARGUMENT, "%s %lld does not agree with %s, which has %lld", flag, (long long)*given,
                       options->resume, (long long)saved);
    }
    *given = saved;
    return CG_OK;
}

cg_status check_agreement(const train_options *options, const char *flag, const char *given, const char *saved) {
    if (saved && strcmp(given, saved) != 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s %s does not agree with %s, which has %s", flag, given, options->resume,
                       saved);
    }
    return CG_OK;
}

static cg_status complete_from(train_options *options, const cg_checkpoint_info *saved) {
    if (!saved->optimizer || !saved->model) {
        return cg_fail(CG_ERR_FORMAT, "%s holds no state of a training: --init FILE takes its weights alone",
                       options->resume);
    }
    CG_TRY(agree_count(options, "--batch", &options->batch, saved->batch));
    CG_TRY(agree_count(options, "--seed", &options->seed, (int64_t)saved->seed));
    CG_TRY(agree_count(options, "--limit", &options->limit, saved->limit));
    if (options->valid >= 0 && saved->has_split && options->valid != saved->valid) {
        return cg_fail(CG_ERR_ARGUMENT, "--valid %g does not agree with %s, which has %g", options->valid,
                       options->resume, saved->valid);
    }
    if (options->no_shuffle && saved->shuffle) {
        return cg_fail(CG_ERR_ARGUMENT, "--no-shuffle does not agree with %s, which was shuffled", options->resume);
    }
    options->no_shuffle = !saved->shuffle;
    return CG_OK;
}

static void complete_text(const char **given, const char *otherwise) {
    *given = *given ? *given : otherwise;
}

static void complete_count(int64_t *given, int64_t otherwise) {
    *given = *given == NOT_GIVEN ? otherwise : *given;
}

cg_status train_options_complete(train_options *options, const cg_checkpoint_info *saved) {
    if (saved) {
        CG_TRY(complete_from(options, saved));
        complete_text(&options->data, saved->data);
    }
    complete_text(&options->data, "digits");
    complete_text(&options->fallback, "warn");
    complete_count(&options->memory, 0);
    complete_count(&options->workers, 1);
    complete_count(&options->limit, 0);
    complete_count(&options->batch, 64);
    complete_count(&options->seed, 0);
    complete_count(&options->save_every, 0);
    complete_count(&options->stop_after, 0);
    complete_count(&options->epochs, strcmp(options->data, "digits") == 0 ? DIGITS_EPOCHS : DEFAULT_EPOCHS);
    if (options->steps == 0) {
        options->epochs = 0;
    }
    complete_count(&options->steps, 0);
    return CG_OK;
}
