/* Flags and defaults of clgrad train. */
#include "train_options.h"

#include <stdio.h>
#include <string.h>

#include "options.h"
#include "saved_model.h"

#define SUMMARY                                                                                                        \
    "Trains a model on images and shows how well it does on images it has not seen.\n"                                 \
    "With --resume the flags that are not given are the checkpoint's."

/* The digits are 23 batches an epoch: they need more of them. */
#define DEFAULT_EPOCHS 5
#define DIGITS_EPOCHS 10
#define EPOCHS_HELP "passes over the training rows, default 5, of the digits 10"

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
    cg_data_options ignored = {0};
    if (!parse_normalize(options->normalize, &ignored)) {
        return usage_error("train", "--normalize '%s': data, none or MEAN,STD is needed", options->normalize);
    }
    return OPTIONS_RUN;
}

int train_options_parse(train_options *o, int argc, char **argv) {
    *o = (train_options){.valid = -1,
                         .limit = NOT_GIVEN,
                         .batch = NOT_GIVEN,
                         .epochs = NOT_GIVEN,
                         .steps = NOT_GIVEN,
                         .stop_after = NOT_GIVEN,
                         .save_every = NOT_GIVEN,
                         .seed = NOT_GIVEN};
    const option options[] = {
        text_option("--data", "SOURCE",
                    "digits (built in, the default), mnist, or a folder with the four IDX files\n"
                    "of MNIST's names, .gz or not",
                    &o->data),
        share_option("--valid",
                     "share of the training rows kept for validation; default: a sixth, the last rows,\n"
                     "of the digits a fifth at random",
                     &o->valid),
        count_option("--limit", "use the first N training rows only", 1, &o->limit),
        text_option("--normalize", "HOW", NORMALIZE_HELP "; default: data", &o->normalize),
        count_option("--batch", "rows in a batch, default 64; the last, smaller one is kept", 1, &o->batch),
        text_option("--model", "MODEL", MODEL_HELP " (the default)", &o->model),
        text_option("--loss", "LOSS", "default: auto, CrossEntropyLoss() for classes, MSELoss() for numbers", &o->loss),
        text_option("--optimizer", "OPTIMIZER", "as PyTorch prints it, default 'Adam(lr=0.001)'", &o->optimizer),
        count_option("--epochs", EPOCHS_HELP, 0, &o->epochs),
        count_option("--steps", "exactly N updates, across epochs, instead of epochs", 0, &o->steps),
        count_option("--stop-after", "stop after epoch N, to go on later with --resume", 1, &o->stop_after),
        count_option("--seed", "of initial weights, split and order of rows, default 0", 0, &o->seed),
        text_option("--init", "FILE", "initial parameters from a checkpoint or state dict (safetensors)", &o->init),
        flag_option("--allow-missing", "with --init: parameters that FILE lacks keep their drawn values",
                    &o->allow_missing),
        flag_option("--allow-extra", "with --init: names that the model lacks are passed over", &o->allow_extra),
        flag_option("--no-shuffle", "batches in the order of the file", &o->no_shuffle),
        text_option("--out", "FILE", "save the model here after every epoch and at the end; default: nowhere", &o->out),
        count_option("--save-every", "save every N updates, too", 1, &o->save_every),
        text_option("--resume", "FILE", "go on where this checkpoint stopped", &o->resume),
        text_option("--log", "FILE", "one JSON line for each update and each epoch; --resume appends", &o->log),
        choice_option("--precision", "f32", "numbers to compute with", &o->precision),
        choice_option("--fallback", "allow|warn|error",
                      "what to do with an op that the device cannot run, default warn:\n"
                      "run it on the CPU and say so at the end",
                      &o->fallback),
        text_option("--device", "STRING", DEVICE_HELP, &o->device),
        flag_option("--quiet", "print errors only", &o->quiet),
        flag_option("--json", "one object on stdout at the end, and no progress", &o->json),
    };
    const command_line line = {.name = "train",
                               .operands = "",
                               .summary = SUMMARY,
                               .options = options,
                               .n_options = sizeof options / sizeof *options};
    int parsed = options_parse(&line, argc, argv);
    return parsed == OPTIONS_RUN ? check_combinations(o) : parsed;
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
