/* clgrad train: runs a training, shows it, logs it, saves it, and says how to go on when it was stopped. */
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activation_view.h"
#include "commands.h"
#include "exit_status.h"
#include "find_lr.h"
#include "log.h"
#include "metric_view.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "run_report.h"
#include "saved_model.h"
#include "shell_text.h"
#include "together.h"
#include "training.h"

/* A training and what is heard of it. */
typedef struct session {
    cg_ranks ranks;
    training training;
    progress_view view;
    cJSON *epochs; /* with --json, one object for each */
    activation_view activations;
    cg_metrics *metrics; /* of the validation; NULL where nobody looks at them */
    run_report report;
    int64_t saved_epoch, saved_position;
} session;

/* A signal handler reaches nothing else. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    interrupted = 1;
    if (number == SIGTERM) {
        cg_ranks_hurry();
    }
}

/* The first Ctrl-C ends the training after the step it is in, the second at once. mpirun's word for it is SIGTERM, also
 * when another process was lost. */
static void catch_interrupt(const cg_ranks *ranks) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    if (together(ranks)) {
        sigaction(SIGTERM, &action, NULL);
    }
}

static cg_status after_batch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    session *s = context;
    progress_batch(&s->view, progress);
    return interrupted ? CG_ERR_INTERRUPTED : CG_OK;
}

static cg_status check_log(const session *s, bool written) {
    return written ? CG_OK : cg_fail(CG_ERR_FILE, "cannot write %s", s->training.options.log);
}

static cg_status on_loss(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    session *s = context;
    progress_loss(&s->view, progress);
    CG_TRY(run_report_step(&s->report, progress));
    return s->training.log ? check_log(s, log_step(s->training.log, progress)) : CG_OK;
}

static void add_epoch(cJSON *epochs, const cg_progress *progress, const cg_metrics *metrics,
                      const activation_view *activations) {
    cJSON *epoch = cJSON_CreateObject();
    cJSON_AddNumberToObject(epoch, "epoch", (double)progress->epoch);
    report_number(epoch, "train_loss", progress->train_loss);
    if (progress->has_valid) {
        report_number(epoch, "valid_loss", progress->valid_loss);
    }
    if (progress->has_valid && !isnan(progress->valid_accuracy)) {
        report_number(epoch, "valid_accuracy", progress->valid_accuracy);
    }
    if (progress->has_valid && metrics && !cg_metrics_confusion(metrics)) {
        report_number(epoch, "valid_mae", cg_metrics_numbers(metrics).mae);
        report_number(epoch, "valid_r2", cg_metrics_numbers(metrics).r2);
    }
    cJSON_AddNumberToObject(epoch, "train_seconds", progress->train_seconds);
    if (activations->activations) {
        cJSON_AddItemToObject(epoch, "activations", activation_view_json(activations));
    }
    cJSON_AddItemToArray(epochs, epoch);
}

static cg_status after_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    session *s = context;
    progress_epoch(&s->view, progress);
    CG_TRY(activation_view_keep(&s->activations));
    if (s->epochs) {
        add_epoch(s->epochs, progress, s->metrics, &s->activations);
    }
    if (progress->best) {
        CG_TRY(training_save(&s->training, s->training.options.save_best));
    }
    CG_TRY(run_report_epoch(&s->report, progress));
    return s->training.log ? check_log(s, log_epoch(s->training.log, progress, s->metrics, &s->activations)) : CG_OK;
}

static cg_status save(session *s) {
    CG_TRY(training_save(&s->training, s->training.options.out));
    cg_trainer_position(s->training.trainer, &s->saved_epoch, &s->saved_position);
    return CG_OK;
}

static cg_status on_save(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    (void)progress;
    return save(context);
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

/* What PyTorch would let pass, too, but nobody means: a run that is longer or shorter than the schedule. */
static void warn_of_schedule(const training *t) {
    const cg_schedule *schedule = cg_trainer_schedule(t->trainer);
    long long length = schedule ? (long long)cg_schedule_length(schedule) : 0;
    long long wanted = (long long)cg_trainer_schedule_steps(t->trainer);
    if (length > 0 && length != wanted) {
        fprintf(stderr, "clgrad: the schedule is made for %lld %s, the training has %lld: the learning rate %s\n",
                length, cg_trainer_schedule_by_epoch(t->trainer) ? "epochs" : "updates", wanted,
                wanted < length ? "will not come down to its end" : "will not follow it after that");
    }
}

static void print_schedule(const training *t) {
    const cg_schedule *schedule = cg_trainer_schedule(t->trainer);
    char text[512];
    if (schedule) {
        cg_schedule_print(schedule, text, sizeof text);
        printf("schedule   %s, counting %s\n", text, cg_trainer_schedule_by_epoch(t->trainer) ? "epochs" : "updates");
    }
}

static void print_data(const cg_data_info *data) {
    printf("data       %s: %lld training, %lld validation, %lld test rows %s, ", data->name,
           (long long)data->rows[CG_SPLIT_TRAIN], (long long)data->rows[CG_SPLIT_VALID],
           (long long)data->rows[CG_SPLIT_TEST], cg_shape_print(&data->sample, CG_SHAPE_TEXT));
    if (data->classes > 0) {
        printf("%lld classes", (long long)data->classes);
    } else {
        printf("%lld number%s to learn", (long long)data->targets, data->targets == 1 ? "" : "s");
    }
    printf("%s%s%s\n", data->target ? ", target " : "", data->target ? data->target : "",
           data->streamed ? ", read as needed" : "");
}

static void print_start(const training *t) {
    const cg_device_info *device = cg_device_describe(t->device);
    const char *choice = cg_device_choice(t->device);
    printf("device     %s: %s%s%s%s\n", device->string, device->name, *choice ? " (" : "", choice, *choice ? ")" : "");
    print_data(cg_data_describe(t->data));
    printf("model      %s: %lld parameters\n", t->model_text, (long long)training_parameters(t));
    printf("optimizer  %s\n", t->optimizer_text);
    if (t->ranks->count > 1) {
        printf("ranks      %d processes, each on a part of every batch of %lld\n", t->ranks->count,
               (long long)t->options.batch);
    }
    print_schedule(t);
    print_position(t);
    putchar('\n');
    fflush(stdout);
}

static void print_argument(FILE *stream, const char *flag, const char *text) {
    fprintf(stream, " %s ", flag);
    shell_text(stream, text);
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
    if (options->target && !cg_data_describe(s->training.data)->target) {
        print_argument(stream, "--target", options->target);
    }
    if (options->save_best) {
        print_argument(stream, "--save-best", options->save_best);
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
    if (run_report_stop(&s->report, reason) != CG_OK) {
        report_failure(CG_ERR_FILE);
    }
    return EXIT_INTERRUPTED;
}

/* The page says why, too; that it cannot be written is said behind the reason. */
static int finish_failed(session *s, cg_status status) {
    char reason[512];
    snprintf(reason, sizeof reason, "failed: %s", cg_error_message());
    int exit_status = report_failure(status);
    if (run_report_stop(&s->report, reason) != CG_OK) {
        report_failure(CG_ERR_FILE);
    }
    return exit_status;
}

static void add_best(cJSON *object, const training *t) {
    const cg_best_epoch best = cg_trainer_best(t->trainer);
    cJSON_AddBoolToObject(object, "out_of_patience", cg_trainer_out_of_patience(t->trainer));
    if (best.epoch > 0) {
        cJSON *item = cJSON_AddObjectToObject(object, "best");
        cJSON_AddNumberToObject(item, "epoch", (double)best.epoch);
        report_number(item, "valid_loss", best.valid_loss);
        report_number(item, "valid_accuracy", best.valid_accuracy);
    }
}

static int print_json(session *s, cg_split split, const cg_evaluation *result, const cg_metrics *metrics) {
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
    if (!isnan(result->accuracy)) {
        report_number(object, "accuracy", result->accuracy);
    }
    metric_view_json(object, metrics, t->data);
    add_best(object, t);
    if (t->options.out) {
        cJSON_AddStringToObject(object, "out", t->options.out);
    }
    report_fallbacks_json(object, t->device);
    return report_json(object);
}

/* Why a training ended before its last epoch, and what the weights are then. */
static void print_patience(const training *t) {
    int64_t epoch, position;
    cg_trainer_position(t->trainer, &epoch, &position);
    const cg_best_epoch best = cg_trainer_best(t->trainer);
    printf("stopped    after epoch %lld: the validation loss has not fallen any more; the weights are that epoch's",
           (long long)epoch);
    if (t->options.save_best) {
        printf(", the best, of epoch %lld, in %s", (long long)best.epoch, t->options.save_best);
    }
    putchar('\n');
}

/* Whether --stop-after left something to do. */
static bool stopped_early(const session *s) {
    const train_options *options = &s->training.options;
    return options->stop_after > 0 && (options->steps > 0 ? cg_optimizer_steps(s->training.optimizer) < options->steps
                                                          : s->saved_epoch < options->epochs);
}

static void print_result(const session *s, cg_split split, const cg_evaluation *result, const cg_metrics *metrics) {
    const train_options *options = &s->training.options;
    if (cg_trainer_out_of_patience(s->training.trainer)) {
        print_patience(&s->training);
    } else if (stopped_early(s)) {
        fputs("stopped; ", stdout);
        print_how_to_go_on(stdout, s);
    }
    printf("%s loss %.4f", split_name(split), result->loss);
    if (!isnan(result->accuracy)) {
        printf(", accuracy %.2f %%", 100 * result->accuracy);
    }
    metric_view_line(stdout, metrics);
    printf(" (%lld rows)", (long long)result->n);
    if (options->out) {
        printf(", saved to %s", options->out);
    }
    putchar('\n');
}

static cg_status measure(const training *t, cg_split split, cg_metrics **metrics, cg_evaluation *result) {
    CG_TRY(metric_view_create(t->data, NULL, metrics));
    return *metrics ? cg_metrics_evaluate_training(*metrics, t->trainer, split, result)
                    : cg_trainer_evaluate(t->trainer, split, result);
}

static int show_result(session *s, cg_split split, const cg_evaluation *result, const cg_metrics *metrics) {
    const training *t = &s->training;
    if (t->options.json) {
        return print_json(s, split, result, metrics);
    }
    if (!t->options.quiet && s->activations.first) {
        activation_view_print(&s->activations, stdout);
    }
    if (!t->options.quiet) {
        print_result(s, split, result, metrics);
    }
    return EXIT_GOOD;
}

static int finish(session *s) {
    const training *t = &s->training;
    cg_split split = best_split(cg_data_describe(t->data));
    cg_evaluation result;
    cg_metrics *metrics = NULL;
    cg_status status = save_rest(s);
    if (status == CG_OK) {
        status = measure(t, split, &metrics, &result);
    }
    int exit_status = status == CG_OK ? show_result(s, split, &result, metrics) : report_failure(status);
    if (status == CG_OK && run_report_finish(&s->report, split, &result) != CG_OK) {
        exit_status = report_failure(CG_ERR_FILE);
    }
    cg_metrics_destroy(metrics);
    return exit_status;
}

/* Something that one rank met alone: the others wait for it, or it waits for one that was lost. All end. */
static int finish_alone(session *s, cg_status status) {
    int exit_status = finish_failed(s, together_name(&s->ranks, status));
    if (together_speaks(&s->ranks) && s->saved_epoch >= 0) {
        fputs("the last checkpoint: ", stderr);
        print_how_to_go_on(stderr, s);
    }
    together_abort(&s->ranks, exit_status);
    return exit_status;
}

/* What a training ends with that all ranks end with: rank 0 says it. */
static int finish_run(session *s, cg_status status) {
    bool common = status == CG_OK || status == CG_ERR_INTERRUPTED || status == CG_ERR_NAN;
    if (together(&s->ranks) && !common) {
        return finish_alone(s, status);
    }
    if (!together_speaks(&s->ranks)) {
        return exit_status_of(status);
    }
    return status == CG_OK                ? finish(s)
           : status == CG_ERR_INTERRUPTED ? finish_interrupted(s)
                                          : finish_failed(s, status);
}

static int run(session *s) {
    const train_options *options = &s->training.options;
    if (!options->quiet) {
        report_notes(s->training.data);
    }
    if (!options->quiet && !options->json) {
        print_start(&s->training);
    }
    if (!options->quiet) {
        warn_of_schedule(&s->training);
    }
    catch_interrupt(&s->ranks);
    cg_status status = cg_trainer_run(s->training.trainer);
    progress_end(&s->view);
    int exit_status = finish_run(s, status);
    report_fallbacks(s->training.device, options->fallback);
    int first;
    return together_agree(&s->ranks, exit_status, &first); /* the others wait until the result is there */
}

/* The activations are read before the session hears of the epoch. */
static cg_status open_training(session *s, const train_options *options, int argc, char **argv) {
    const cg_callback callback = {
        .context = s, .after_batch = after_batch, .on_loss = on_loss, .after_epoch = after_epoch, .on_save = on_save};
    training *t = &s->training;
    CG_TRY(training_open(t, options, &s->ranks));
    bool numbers = cg_data_describe(t->data)->classes == 0;
    if (options->report || (numbers && (options->log || options->json))) {
        CG_TRY(run_metrics_open(t, &s->metrics));
    }
    CG_TRY(run_report_open(&s->report, t, s->metrics, argc, argv));
    CG_TRY(options->stats ? activation_view_open(&s->activations, t->model, t->trainer) : CG_OK);
    return cg_trainer_attach(t->trainer, &callback);
}

static int open_and_run(session *s, const train_options *options, int argc, char **argv) {
    int first;
    cg_status status = open_training(s, options, argc, argv);
    int exit_status = together_agree(&s->ranks, exit_status_of(status), &first);
    if (exit_status != EXIT_GOOD) {
        return first == s->ranks.rank ? report_failure(together_name(&s->ranks, status)) : exit_status;
    }
    return options->find_lr ? find_lr(&s->training) : run(s);
}

static int train(train_options *options, int argc, char **argv) {
    session s = {.saved_epoch = -1};
    int exit_status = together_join(&s.ranks, options);
    if (exit_status == OPTIONS_RUN) {
        s.epochs = options->json ? cJSON_CreateArray() : NULL;
        progress_open(&s.view, stdout, options->quiet || options->json);
        exit_status = open_and_run(&s, options, argc, argv);
        activation_view_close(&s.activations); /* it listens to the model */
        run_report_close(&s.report);
        training_close(&s.training);
        cg_metrics_destroy(s.metrics);
        cJSON_Delete(s.epochs);
    }
    cg_ranks_close(&s.ranks);
    return exit_status;
}

int cmd_train(int argc, char **argv) {
    train_options options;
    int parsed = train_options_parse(&options, argc, argv);
    int exit_status = parsed == OPTIONS_RUN ? train(&options, argc, argv) : parsed;
    train_options_clear(&options);
    return exit_status;
}
