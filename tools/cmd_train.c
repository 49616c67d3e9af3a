/* clgrad train: runs a training, shows it, logs it, saves it, and says how to go on when it was stopped. */
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit_status.h"
#include "log.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "saved_model.h"
#include "training.h"

/* A training and what is heard of it. */
typedef struct session {
    training training;
    progress_view view;
    cJSON *epochs; /* with --json, one object for each */
    int64_t saved_epoch, saved_position;
    cg_status failure; /* of saving or logging: it stopped the training */
    char message[2048];
} session;

/* A signal handler reaches nothing else. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* The first Ctrl-C ends the training after the step it is in, the second at once. */
static void catch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

/* Keeps the failure, whose message the trainer's own would replace. */
static bool fail(session *s, cg_status status) {
    s->failure = status;
    snprintf(s->message, sizeof s->message, "%s", cg_error_message());
    return false;
}

static bool on_batch(void *context, const cg_progress *progress) {
    session *s = context;
    progress_batch(&s->view, progress);
    return !interrupted;
}

static bool check_log(session *s, bool written) {
    return written || fail(s, cg_fail(CG_ERR_FILE, "cannot write %s", s->training.options.log));
}

static bool on_step(void *context, const cg_progress *progress) {
    session *s = context;
    return !s->training.log || check_log(s, log_step(s->training.log, progress));
}

static void add_epoch(cJSON *epochs, const cg_progress *progress) {
    cJSON *epoch = cJSON_CreateObject();
    cJSON_AddNumberToObject(epoch, "epoch", (double)progress->epoch);
    report_number(epoch, "train_loss", progress->train_loss);
    if (progress->has_valid) {
        report_number(epoch, "valid_loss", progress->valid_loss);
        report_number(epoch, "valid_accuracy", progress->valid_accuracy);
    }
    cJSON_AddNumberToObject(epoch, "train_seconds", progress->train_seconds);
    cJSON_AddItemToArray(epochs, epoch);
}

static bool on_epoch(void *context, const cg_progress *progress) {
    session *s = context;
    progress_epoch(&s->view, progress);
    if (s->epochs) {
        add_epoch(s->epochs, progress);
    }
    return !s->training.log || check_log(s, log_epoch(s->training.log, progress));
}

static cg_status save(session *s) {
    CG_TRY(training_save(&s->training));
    cg_trainer_position(s->training.trainer, &s->saved_epoch, &s->saved_position);
    return CG_OK;
}

static bool on_save(void *context, const cg_progress *progress) {
    (void)progress;
    session *s = context;
    cg_status status = save(s);
    return status == CG_OK || fail(s, status);
}

/* Saves unless the state is the one saved last. */
static cg_status save_rest(session *s) {
    int64_t epoch, position;
    cg_trainer_position(s->training.trainer, &epoch, &position);
    return epoch == s->saved_epoch && position == s->saved_position ? CG_OK : save(s);
}

/* Where a resumed training goes on; that there is nothing left to do would otherwise look like success. */
static void print_position(const training *t) {
    int64_t epoch, position;
    cg_trainer_position(t->trainer, &epoch, &position);
    bool done =
        t->options.steps > 0 ? cg_optimizer_steps(t->optimizer) >= t->options.steps : epoch >= t->options.epochs;
    if (t->options.resume && done) {
        printf("resumed    after %lld epochs: nothing is left to do, --epochs or --steps would have to be larger\n",
               (long long)epoch);
    } else if (t->options.resume) {
        printf("resumed    after %lld epochs and %lld steps of the next\n", (long long)epoch, (long long)position);
    }
}

static void print_start(const training *t) {
    const cg_device_info *device = cg_device_describe(t->device);
    const cg_data_info *data = cg_data_describe(t->data);
    const char *choice = cg_device_choice(t->device);
    printf("device     %s: %s%s%s%s\n", device->string, device->name, *choice ? " (" : "", choice, *choice ? ")" : "");
    printf("data       %s: %lld training, %lld validation, %lld test rows %s, %lld classes\n", data->name,
           (long long)data->rows[CG_SPLIT_TRAIN], (long long)data->rows[CG_SPLIT_VALID],
           (long long)data->rows[CG_SPLIT_TEST], cg_shape_print(&data->sample, CG_SHAPE_TEXT),
           (long long)data->classes);
    printf("model      %s: %lld parameters\n", t->model_text, (long long)training_parameters(t));
    printf("optimizer  %s\n", t->optimizer_text);
    print_position(t);
    putchar('\n');
    fflush(stdout);
}

/* Quotes what a shell would split or expand. */
static void print_argument(FILE *stream, const char *flag, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=+@%";
    bool quote = strspn(text, plain) != strlen(text);
    fprintf(stream, " %s %s", flag, quote ? "'" : "");
    for (; *text; text++) {
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, 0}, stream);
    }
    fputs(quote ? "'" : "", stream);
}

/* "saved to FILE; go on with clgrad train --resume FILE ...": what the file does not hold is said again. */
static void print_how_to_go_on(FILE *stream, const session *s) {
    const train_options *options = &s->training.options;
    if (!options->out) {
        fputs("nothing was saved, there was no --out\n", stream);
        return;
    }
    fprintf(stream, "saved to %s; go on with\n  clgrad train", options->out);
    print_argument(stream, "--resume", options->out);
    print_argument(stream, "--out", options->out);
    if (strcmp(options->data, cg_data_describe(s->training.data)->name) != 0) {
        print_argument(stream, "--data", options->data);
    }
    if (options->steps > 0) {
        fprintf(stream, " --steps %lld", (long long)options->steps);
    } else {
        fprintf(stream, " --epochs %lld", (long long)options->epochs);
    }
    fputc('\n', stream);
}

static int finish_interrupted(session *s) {
    char reason[256];
    snprintf(reason, sizeof reason, "%s", cg_error_message());
    cg_status status = save_rest(s);
    if (status != CG_OK) {
        return report_failure(status);
    }
    fprintf(stderr, "clgrad: %s; ", reason);
    print_how_to_go_on(stderr, s);
    return EXIT_INTERRUPTED;
}

static int print_json(session *s, cg_split split, const cg_evaluation *result) {
    const training *t = &s->training;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "device", cg_device_describe(t->device)->string);
    cJSON_AddStringToObject(object, "data", cg_data_describe(t->data)->name);
    cJSON_AddStringToObject(object, "model", t->model_text);
    cJSON_AddStringToObject(object, "loss_function", t->loss_text);
    cJSON_AddStringToObject(object, "optimizer", t->optimizer_text);
    cJSON_AddNumberToObject(object, "parameters", (double)training_parameters(t));
    cJSON_AddNumberToObject(object, "seed", (double)t->options.seed);
    cJSON_AddNumberToObject(object, "steps", (double)cg_optimizer_steps(t->optimizer));
    cJSON_AddItemToObject(object, "epochs", s->epochs);
    s->epochs = NULL;
    cJSON_AddStringToObject(object, "split", split_name(split));
    cJSON_AddNumberToObject(object, "n", (double)result->n);
    report_number(object, "loss", result->loss);
    report_number(object, "accuracy", result->accuracy);
    if (t->options.out) {
        cJSON_AddStringToObject(object, "out", t->options.out);
    }
    report_fallbacks_json(object, t->device);
    return report_json(object);
}

/* Whether --stop-after left something to do. */
static bool stopped_early(const session *s) {
    const train_options *options = &s->training.options;
    return options->stop_after > 0 && (options->steps > 0 ? cg_optimizer_steps(s->training.optimizer) < options->steps
                                                          : s->saved_epoch < options->epochs);
}

static void print_result(const session *s, cg_split split, const cg_evaluation *result) {
    const train_options *options = &s->training.options;
    if (stopped_early(s)) {
        fputs("stopped; ", stdout);
        print_how_to_go_on(stdout, s);
    }
    printf("%s loss %.4f", split_name(split), result->loss);
    if (!isnan(result->accuracy)) {
        printf(", accuracy %.2f %%", 100 * result->accuracy);
    }
    printf(" (%lld rows)", (long long)result->n);
    if (options->out) {
        printf(", saved to %s", options->out);
    }
    putchar('\n');
}

static int finish(session *s) {
    const training *t = &s->training;
    cg_split split = best_split(cg_data_describe(t->data));
    cg_evaluation result;
    cg_status status = save_rest(s);
    if (status == CG_OK) {
        status = cg_evaluate(t->model, t->loss, t->data, split, t->options.batch, &result);
    }
    if (status != CG_OK) {
        return report_failure(status);
    }
    if (t->options.json) {
        return print_json(s, split, &result);
    }
    if (!t->options.quiet) {
        print_result(s, split, &result);
    }
    return EXIT_GOOD;
}

static int run(session *s) {
    const train_options *options = &s->training.options;
    if (!options->quiet && !options->json) {
        print_start(&s->training);
    }
    catch_interrupt();
    cg_status status = cg_trainer_run(s->training.trainer);
    progress_clear(&s->view);
    if (s->failure != CG_OK) {
        return report_failure(cg_fail(s->failure, "%s", s->message));
    }
    int exit_status = status == CG_OK                ? finish(s)
                      : status == CG_ERR_INTERRUPTED ? finish_interrupted(s)
                                                     : report_failure(status);
    if (*options->fallback == 'w') {
        report_fallbacks(s->training.device);
    }
    return exit_status;
}

int cmd_train(int argc, char **argv) {
    train_options options;
    int parsed = train_options_parse(&options, argc, argv);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    session s = {.saved_epoch = -1};
    const cg_train_callbacks callbacks = {
        .context = &s, .on_batch = on_batch, .on_step = on_step, .on_epoch = on_epoch, .on_save = on_save};
    s.epochs = options.json ? cJSON_CreateArray() : NULL;
    progress_open(&s.view, stdout, options.quiet || options.json);
    cg_status status = training_open(&s.training, &options, &callbacks);
    int exit_status = status == CG_OK ? run(&s) : report_failure(status);
    training_close(&s.training);
    cJSON_Delete(s.epochs);
    return exit_status;
}
