/* What a program hears of a training and may do to it: order of events, values, cancellation, and what is built of
 * them. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include <clgrad/activations.h>

#include "devices.h"
#include "files.h"
#include "small_training.h"

#define MAX_EVENTS 256

/* The events of a run, a letter each, and what was seen at them. */
typedef struct diary {
    char text[MAX_EVENTS + 1];
    size_t length;
    char tag;            /* written in front of each letter; 0: nothing */
    struct diary *other; /* whose text is written to; NULL: its own */
    char fails_at;       /* the letter that returns `failure` */
    cg_status failure;
    double rates[MAX_EVENTS]; /* of each batch */
    size_t n_rates;
} diary;

static cg_status note(diary *d, char letter) {
    diary *to = d->other != NULL ? d->other : d;
    cr_assert_lt(to->length + 1, MAX_EVENTS);
    if (d->tag != 0) {
        to->text[to->length++] = d->tag;
    }
    to->text[to->length++] = letter;
    return letter == d->fails_at ? cg_fail(d->failure, "asked to at %c", letter) : CG_OK;
}

#define HEARS(name, letter)                                                                                            \
    static cg_status name(void *context, cg_trainer *trainer, const cg_progress *progress) {                           \
        (void)trainer;                                                                                                 \
        (void)progress;                                                                                                \
        return note(context, letter);                                                                                  \
    }
HEARS(before_fit, 'F')
HEARS(before_epoch, 'E')
HEARS(before_batch, 'B')
HEARS(after_loss, 'l')
HEARS(after_backward, 'g')
HEARS(before_step, 'S')
HEARS(after_step, 's')
HEARS(on_loss, 'L')
HEARS(before_validation, 'V')
HEARS(after_validation, 'v')
HEARS(after_epoch, 'e')
HEARS(on_save, 'w')
HEARS(after_fit, 'f')

static cg_status after_batch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    diary *d = context;
    cr_expect_eq(cg_trainer_step(trainer)->tape, NULL, "nothing is being recorded");
    d->rates[d->n_rates++] = progress->lr;
    return note(d, 'b');
}

static cg_callback everything(diary *d) {
    return (cg_callback){
        .context = d,
        .before_fit = before_fit,
        .before_epoch = before_epoch,
        .before_batch = before_batch,
        .after_loss = after_loss,
        .after_backward = after_backward,
        .before_step = before_step,
        .after_step = after_step,
        .after_batch = after_batch,
        .on_loss = on_loss,
        .before_validation = before_validation,
        .after_validation = after_validation,
        .after_epoch = after_epoch,
        .on_save = on_save,
        .after_fit = after_fit,
    };
}

static void attach(const small_training *s, diary *d) {
    const cg_callback callback = everything(d);
    cr_assert_eq(cg_trainer_attach(s->trainer, &callback), CG_OK);
}

static small_training begin(const cg_train_options *options) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1, momentum=0.9)");
    small_training_make(&s, options);
    return s;
}

static void expect_run(const small_training *s) {
    cr_assert_eq(cg_trainer_run(s->trainer), CG_OK, "%s", cg_error_message());
}

Test(callbacks, events_come_in_the_order_of_a_step) {
    small_training s = begin(&(cg_train_options){.steps = 2});
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    /* The first step of a batch size has the device to itself; the second one's loss is read at the end. */
    cr_expect_str_eq(d.text, "FEBlgSsbBlgSsbLLf");
    small_training_end(&s);
}

Test(callbacks, an_epoch_ends_with_losses_validation_and_the_moment_to_save) {
    small_training s = begin(&(cg_train_options){.epochs = 1});
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    cr_expect_str_eq(d.text + d.length - 6, "LVvewf", "%s", d.text);
    small_training_end(&s);
}

Test(callbacks, several_are_told_in_the_order_of_attachment) {
    small_training s = begin(&(cg_train_options){.steps = 1});
    diary first = {.tag = '1'}, second = {.tag = '2', .other = &first};
    attach(&s, &first);
    attach(&s, &second);
    expect_run(&s);
    cr_expect_str_eq(first.text, "1F2F1E2E1B2B1l2l1g2g1S2S1s2s1b2b1L2L1f2f");
    small_training_end(&s);
}

Test(callbacks, interrupting_at_any_event_ends_after_the_step_with_a_whole_state) {
    for (const char *letter = "BlgSsb"; *letter != '\0'; letter++) {
        small_training s = begin(&(cg_train_options){.epochs = 2});
        diary d = {.fails_at = *letter, .failure = CG_ERR_INTERRUPTED};
        attach(&s, &d);
        cr_expect_eq(cg_trainer_run(s.trainer), CG_ERR_INTERRUPTED, "%c", *letter);
        cr_expect_str_eq(d.text, "FEBlgSsbLf", "%c", *letter);
        cr_expect_eq(cg_optimizer_steps(s.optimizer), 1);
        small_training_end(&s);
    }
}

Test(callbacks, any_other_failure_ends_it_at_once_with_its_message) {
    for (const char *letter = "EBlgSsbLVvew"; *letter != '\0'; letter++) {
        small_training s = begin(&(cg_train_options){.epochs = 1});
        diary d = {.fails_at = *letter, .failure = CG_ERR_FILE};
        attach(&s, &d);
        cr_expect_eq(cg_trainer_run(s.trainer), CG_ERR_FILE, "%c", *letter);
        cr_expect_eq(strncmp(cg_error_message(), "asked to at ", 12), 0, "%s", cg_error_message());
        cr_expect_eq(d.text[d.length - 1], 'f');
        small_training_end(&s);
    }
}

/* Reads the loss of every step as soon as it is recorded, and scales the gradients of a bias by 0. */
typedef struct meddler {
    double losses[64], told[64];
    size_t n_losses, n_told;
} meddler;

static cg_status read_loss(void *context, cg_trainer *trainer, const cg_progress *progress) {
    meddler *m = context;
    const cg_step *step = cg_trainer_step(trainer);
    cr_expect_eq(cg_tensor_shape(step->output)->dim[0], step->n);
    cr_expect_eq(progress->batch, (int64_t)m->n_losses + 1);
    cr_expect_eq(progress->step, (int64_t)m->n_losses + 1);
    return cg_tensor_item(step->loss, &m->losses[m->n_losses++]);
}

static cg_status hear_loss(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    meddler *m = context;
    m->told[m->n_told++] = progress->loss;
    return CG_OK;
}

static cg_status still_the_bias(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)context;
    (void)progress;
    cg_tensor *grad = cg_tensor_grad(cg_module_find(cg_trainer_model(trainer), "1.bias"));
    return cg_copy(cg_trainer_step(trainer)->tape, grad, cg_scale(cg_trainer_step(trainer)->tape, grad, 0.0));
}

Test(callbacks, a_program_reads_values_of_the_step_and_changes_gradients) {
    small_training s = begin(&(cg_train_options){.epochs = 1});
    meddler m = {.n_losses = 0};
    float before[6], after[6];
    cg_tensor *bias = cg_module_find(s.model, "1.bias");
    cr_assert_eq(cg_tensor_read_f32(bias, before, 6), CG_OK);
    cg_callback callback = {
        .context = &m, .after_loss = read_loss, .after_backward = still_the_bias, .on_loss = hear_loss};
    cr_assert_eq(cg_trainer_attach(s.trainer, &callback), CG_OK);
    expect_run(&s);
    cr_assert_eq(cg_tensor_read_f32(bias, after, 6), CG_OK);
    cr_expect_eq(memcmp(before, after, sizeof before), 0);
    cr_expect_eq(m.n_told, SMALL_BATCHES);
    cr_expect_eq(memcmp(m.losses, m.told, SMALL_BATCHES * sizeof *m.told), 0, "the same losses, one late, one at once");
    small_training_end(&s);
}

Test(callbacks, a_cancelled_training_can_be_run_again) {
    small_training s = begin(&(cg_train_options){.epochs = 1});
    cg_trainer_cancel(s.trainer);
    cr_expect_eq(cg_trainer_run(s.trainer), CG_ERR_INTERRUPTED);
    cr_expect_eq(cg_optimizer_steps(s.optimizer), 0);
    expect_run(&s);
    cr_expect_eq(cg_optimizer_steps(s.optimizer), SMALL_BATCHES);
    small_training_end(&s);
}

/* The rate of each batch is that of the schedule, from the optimizer's. */
static void expect_rates(const cg_train_options *options, int64_t each, size_t count) {
    small_training s = begin(options);
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    cg_schedule *schedule;
    cr_assert_eq(cg_schedule_parse(options->schedule, 0.1, 0.9, &schedule), CG_OK);
    cr_expect_eq(d.n_rates, count);
    for (size_t i = 0; i < d.n_rates; i++) {
        double lr, momentum;
        cr_assert_eq(cg_schedule_at(schedule, (int64_t)i / each, &lr, &momentum), CG_OK);
        cr_expect_eq(d.rates[i], lr, "batch %zu: %g, expected %g", i, d.rates[i], lr);
    }
    cg_schedule_destroy(schedule);
    small_training_end(&s);
}

Test(callbacks, a_schedule_counts_updates) {
    expect_rates(&(cg_train_options){.epochs = 2, .schedule = "OneCycleLR(max_lr=0.4, total_steps=14)"}, 1, 14);
}

Test(callbacks, a_schedule_counts_updates_of_several_batches) {
    /* 7 batches: updates of 2, 2, 2 and 1 */
    small_training s = begin(&(cg_train_options){.epochs = 1, .accumulate = 2, .schedule = "ExponentialLR(gamma=0.5)"});
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    cr_expect_eq(cg_optimizer_steps(s.optimizer), 4);
    cr_expect_eq(cg_optimizer_lr(s.optimizer), 0.1 / 8);
    small_training_end(&s);
}

Test(callbacks, a_schedule_counts_epochs) {
    expect_rates(&(cg_train_options){.epochs = 3, .schedule = "StepLR(step_size=1)", .schedule_by_epoch = true},
                 SMALL_BATCHES, 21);
}

Test(callbacks, reduce_on_plateau_goes_by_the_validation_loss) {
    /* No loss is better by a threshold of 10: after each epoch but the first the rate is halved. */
    const cg_train_options options = {
        .epochs = 4, .schedule = "ReduceLROnPlateau(factor=0.5, patience=0, threshold=10, threshold_mode='abs')"};
    small_training s = begin(&options);
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    const double expected[] = {0.1, 0.1, 0.05, 0.025};
    for (size_t i = 0; i < 4 * SMALL_BATCHES; i++) {
        cr_expect_eq(d.rates[i], expected[i / SMALL_BATCHES], "batch %zu: %g", i, d.rates[i]);
    }
    small_training_end(&s);
}

static void expect_refused(const char *schedule, cg_status status, const char *part) {
    small_training s = small_training_begin(SMALL_MODEL, "Adagrad(lr=0.1)");
    const cg_train_options options = {.batch = SMALL_BATCH, .epochs = 2, .schedule = schedule};
    cg_status found = cg_trainer_create(s.model, s.loss, s.optimizer, s.data, &options, &s.trainer);
    cr_expect_eq(found, status, "%s", cg_status_name(found));
    cr_expect_not_null(strstr(cg_error_message(), part), "%s", cg_error_message());
    small_training_end(&s);
}

Test(callbacks, schedules_that_cannot_be_are_refused_before_the_first_step) {
    expect_refused("OneCycleLR(max_lr=0.4, total_steps=13, cycle_momentum=False)", CG_ERR_ARGUMENT,
                   "ends after 13 updates, the training has 14");
    expect_refused("OneCycleLR(max_lr=0.4, total_steps=14)", CG_ERR_ARGUMENT, "momentum");
    expect_refused("StepLR(", CG_ERR_SYNTAX, "column");
    expect_refused("Foo()", CG_ERR_NAME, "Foo");
}

Test(callbacks, a_plateau_needs_validation_rows) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1)");
    cg_data_destroy(s.data);
    const cg_data_options data = {.valid = 0, .limit = SMALL_ROWS};
    cr_assert_eq(cg_data_load("digits", &data, &s.data), CG_OK);
    const cg_train_options options = {.batch = SMALL_BATCH, .epochs = 1, .schedule = "ReduceLROnPlateau()"};
    cr_expect_eq(cg_trainer_create(s.model, s.loss, s.optimizer, s.data, &options, &s.trainer), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "validation"), "%s", cg_error_message());
    small_training_end(&s);
}

Test(callbacks, accumulated_batches_make_the_step_of_their_mean) {
    /* Two batches of 32 are one of 64: the same rows in file order. The sums have another order: not the same bits. */
    small_training two = begin(&(cg_train_options){.steps = 1, .accumulate = 2, .no_shuffle = true});
    small_training one = small_training_begin(SMALL_MODEL, "SGD(lr=0.1, momentum=0.9)");
    const cg_train_options options = {.batch = 2 * SMALL_BATCH, .steps = 1, .no_shuffle = true};
    cr_assert_eq(cg_trainer_create(one.model, one.loss, one.optimizer, one.data, &options, &one.trainer), CG_OK);
    expect_run(&two);
    expect_run(&one);
    float left[SMALL_PARAMETERS], right[SMALL_PARAMETERS];
    small_training_read(&two, left);
    small_training_read(&one, right);
    for (int i = 0; i < SMALL_PARAMETERS; i++) {
        cr_expect_lt(fabsf(left[i] - right[i]), 1e-6F, "parameter %d: %g and %g", i, (double)left[i], (double)right[i]);
    }
    small_training_end(&two);
    small_training_end(&one);
}

Test(callbacks, an_accumulated_update_is_told_once_with_the_mean_of_its_losses) {
    small_training s = begin(&(cg_train_options){.epochs = 1, .accumulate = 3});
    meddler m = {.n_losses = 0};
    cg_callback callback = {.context = &m, .on_loss = hear_loss};
    cr_assert_eq(cg_trainer_attach(s.trainer, &callback), CG_OK);
    diary d = {0};
    attach(&s, &d);
    expect_run(&s);
    cr_expect_eq(m.n_told, 3, "updates of 3, 3 and 1 batches");
    cr_expect_neq(strstr(d.text, "BlgbBlgbBlgSsb"), NULL, "%s", d.text);
    small_training_end(&s);
}

/* Two trainings of one seed with these options, whose weights are compared by the caller. */
static void run_pair(const cg_train_options *a, const cg_train_options *b, small_training pair[2]) {
    pair[0] = begin(a);
    pair[1] = begin(b);
    expect_run(&pair[0]);
    expect_run(&pair[1]);
}

static void expect_pair(const cg_train_options *a, const cg_train_options *b, bool equal) {
    small_training pair[2];
    float left[SMALL_PARAMETERS], right[SMALL_PARAMETERS];
    run_pair(a, b, pair);
    small_training_read(&pair[0], left);
    small_training_read(&pair[1], right);
    cr_expect_eq(memcmp(left, right, sizeof left) == 0, equal);
    small_training_end(&pair[0]);
    small_training_end(&pair[1]);
}

Test(callbacks, clipping_does_nothing_to_small_gradients_and_something_to_large_ones) {
    const cg_train_options plain = {.steps = 3}, loose = {.steps = 3, .clip_norm = 1e6, .clip_value = 1e6};
    const cg_train_options by_norm = {.steps = 3, .clip_norm = 0.01}, by_value = {.steps = 3, .clip_value = 1e-4};
    expect_pair(&plain, &loose, true);
    expect_pair(&plain, &by_norm, false);
    expect_pair(&plain, &by_value, false);
}

Test(callbacks, a_clipped_step_is_as_long_as_the_norm_says) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=1)");
    small_training_make(&s, &(cg_train_options){.steps = 1, .clip_norm = 0.125});
    float before[SMALL_PARAMETERS], after[SMALL_PARAMETERS];
    small_training_read(&s, before);
    expect_run(&s);
    small_training_read(&s, after);
    double sum = 0;
    for (int i = 0; i < SMALL_PARAMETERS; i++) {
        sum += ((double)after[i] - (double)before[i]) * ((double)after[i] - (double)before[i]);
    }
    cr_expect_lt(fabs(sqrt(sum) - 0.125), 1e-5, "%g", sqrt(sum));
    small_training_end(&s);
}

Test(callbacks, frozen_parameters_stay_and_groups_have_rates_of_their_own) {
    small_training s = begin(&(cg_train_options){.steps = 3, .freeze = "1.*", .groups = "3.bias: lr=0"});
    float before[SMALL_PARAMETERS], after[SMALL_PARAMETERS];
    small_training_read(&s, before);
    expect_run(&s);
    small_training_read(&s, after);
    enum { FIRST = 64 * 6 + 6, BIAS = SMALL_PARAMETERS - 10 };
    cr_expect_eq(memcmp(before, after, FIRST * sizeof *before), 0);
    cr_expect_neq(memcmp(before + FIRST, after + FIRST, (BIAS - FIRST) * sizeof *before), 0);
    cr_expect_eq(memcmp(before + BIAS, after + BIAS, 10 * sizeof *before), 0);
    small_training_end(&s);
}

/* The averages by hand, from the weights after each step. */
typedef struct by_hand {
    float average[SMALL_PARAMETERS];
    bool begun;
} by_hand;

static cg_status average_by_hand(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)progress;
    by_hand *hand = context;
    float weights[SMALL_PARAMETERS];
    small_training seen = {.model = cg_trainer_model(trainer)};
    small_training_read(&seen, weights);
    for (int i = 0; i < SMALL_PARAMETERS; i++) {
        hand->average[i] = hand->begun ? 0.75F * hand->average[i] + 0.25F * weights[i] : weights[i];
    }
    hand->begun = true;
    return CG_OK;
}

Test(callbacks, the_average_is_validated_and_saved_and_the_weights_go_on_without_it) {
    small_training s = begin(&(cg_train_options){.epochs = 1, .average = "EMA(decay=0.75)"});
    small_training plain = begin(&(cg_train_options){.epochs = 1});
    by_hand hand = {.begun = false};
    cg_callback callback = {.context = &hand, .after_batch = average_by_hand};
    cr_assert_eq(cg_trainer_attach(s.trainer, &callback), CG_OK);
    expect_run(&s);
    expect_run(&plain);
    small_training_expect_equal(&s, &plain);
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_path(&folder, "average", path);
    const cg_checkpoint_info about = {.model = (char *)SMALL_MODEL, .optimizer = (char *)"SGD"};
    cr_assert_eq(cg_trainer_save(s.trainer, path, &about), CG_OK, "%s", cg_error_message());
    cg_evaluation by_average, by_weights;
    cr_assert_eq(cg_trainer_evaluate(s.trainer, CG_SPLIT_VALID, &by_average), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_checkpoint_load(path, s.model, NULL, CG_LOAD_STRICT), CG_OK, "%s", cg_error_message());
    float saved[SMALL_PARAMETERS];
    small_training_read(&s, saved);
    for (int i = 0; i < SMALL_PARAMETERS; i++) {
        cr_expect_lt(fabsf(saved[i] - hand.average[i]), 1e-6F, "parameter %d", i);
    }
    cr_assert_eq(cg_evaluate(s.model, s.loss, s.data, CG_SPLIT_VALID, SMALL_BATCH, &by_weights), CG_OK);
    cr_expect_eq(by_average.loss, by_weights.loss);
    small_training_end(&plain);
    small_training_end(&s);
    test_folder_remove(&folder);
}

Test(callbacks, patience_ends_the_training_and_the_best_epoch_is_known) {
    /* A rate of 0: no epoch is better than the first. */
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0)");
    small_training_make(&s, &(cg_train_options){.epochs = 9, .patience = 3});
    expect_run(&s);
    int64_t epoch, position;
    cg_trainer_position(s.trainer, &epoch, &position);
    cr_expect_eq(epoch, 4);
    cr_expect(cg_trainer_out_of_patience(s.trainer));
    cr_expect_eq(cg_trainer_best(s.trainer).epoch, 1);
    cr_expect_gt(cg_trainer_best(s.trainer).valid_loss, 1);
    small_training_end(&s);
}

static void expect_options_refused(cg_train_options options, cg_status status, const char *part) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1)");
    options.batch = SMALL_BATCH;
    cg_status found = cg_trainer_create(s.model, s.loss, s.optimizer, s.data, &options, &s.trainer);
    cr_expect_eq(found, status, "%s: %s", part, cg_status_name(found));
    cr_expect_not_null(strstr(cg_error_message(), part), "%s", cg_error_message());
    cr_expect_null(s.trainer);
    small_training_end(&s);
}

Test(callbacks, options_that_cannot_be_are_refused) {
    expect_options_refused((cg_train_options){.clip_norm = -1}, CG_ERR_ARGUMENT, "clip_norm is -1");
    expect_options_refused((cg_train_options){.clip_value = (double)NAN}, CG_ERR_ARGUMENT, "clip_value nan");
    expect_options_refused((cg_train_options){.accumulate = -1}, CG_ERR_ARGUMENT, "accumulate");
    expect_options_refused((cg_train_options){.average = "EMA(decay=2)"}, CG_ERR_ARGUMENT, "decay");
    expect_options_refused((cg_train_options){.freeze = "7.*"}, CG_ERR_NAME, "7.*");
    expect_options_refused((cg_train_options){.freeze = "1.*, 3.*"}, CG_ERR_ARGUMENT, "nothing is left");
    expect_options_refused((cg_train_options){.groups = "1.*"}, CG_ERR_SYNTAX, "colon");
    expect_options_refused((cg_train_options){.groups = "1.*: lr=-1"}, CG_ERR_ARGUMENT, "lr");
    expect_options_refused((cg_train_options){.groups = "9.*: lr=1"}, CG_ERR_NAME, "9.*");
}

/* Spoils one weight before the training and expects the message to name these two parts. */
static void expect_cause(const char *optimizer, double value, const char *first, const char *second) {
    small_training s = small_training_begin(SMALL_MODEL, optimizer);
    float weights[64 * 6];
    cg_tensor *weight = cg_module_find(s.model, "1.weight");
    cr_assert_eq(cg_tensor_read_f32(weight, weights, 64 * 6), CG_OK);
    weights[70] = value != 0 ? (float)value : weights[70];
    cr_assert_eq(cg_tensor_write_f32(weight, weights, 64 * 6), CG_OK);
    small_training_make(&s, &(cg_train_options){.epochs = 2, .accumulate = 2, .average = "EMA()"});
    diary d = {0};
    attach(&s, &d);
    cr_expect_eq(cg_trainer_run(s.trainer), CG_ERR_NAN, "%s", optimizer);
    cr_expect_not_null(strstr(cg_error_message(), first), "%s", cg_error_message());
    cr_expect_not_null(strstr(cg_error_message(), second), "%s", cg_error_message());
    int64_t epoch, position;
    cg_trainer_position(s.trainer, &epoch, &position);
    cr_expect_eq(epoch, 0);
    cr_expect_eq(d.text[d.length - 1], 'f');
    small_training_end(&s);
}

Test(callbacks, a_nan_is_followed_to_the_op_or_the_weight_that_it_came_from) {
    expect_cause("SGD(lr=0.1)", (double)NAN, "epoch 1, step 1 ", "the first NaN came out of parameter 1.weight");
    expect_cause("SGD(lr=0.1)", (double)INFINITY, "epoch 1, step 1 ", "in layer 1, Linear(");
    expect_cause("SGD(lr=1e38)", 0, "the first NaN came out of ", "in ");
}

/* A gradient that a program spoils is none of the training's ops. */
static cg_status spoil(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)context;
    cg_tape *tape = cg_trainer_step(trainer)->tape;
    cg_tensor *grad = cg_tensor_grad(cg_module_find(cg_trainer_model(trainer), "3.bias"));
    return progress->step == 5 ? cg_copy(tape, grad, cg_scale(tape, grad, (double)NAN)) : CG_OK;
}

Test(callbacks, a_nan_that_cannot_be_repeated_is_told_without_a_cause) {
    small_training s = begin(&(cg_train_options){.epochs = 2});
    cr_assert_eq(cg_trainer_attach(s.trainer, &(cg_callback){.after_backward = spoil}), CG_OK);
    cr_expect_eq(cg_trainer_run(s.trainer), CG_ERR_NAN);
    cr_expect_not_null(strstr(cg_error_message(), "epoch 1, step 6 "), "%s", cg_error_message());
    cr_expect_null(strstr(cg_error_message(), "came out"), "%s", cg_error_message());
    small_training_end(&s);
}

/* The outputs of the first linear layer, by hand, on every batch. */
typedef struct first_layer {
    double mean, std;
    int64_t n;
} first_layer;

static cg_status measure_first_layer(void *context, cg_trainer *trainer, const cg_progress *progress) {
    first_layer *f = context;
    if (progress->batch != 1) {
        return CG_OK;
    }
    const cg_step *step = cg_trainer_step(trainer);
    cg_tensor *input = cg_flatten(step->tape, step->x, 1, -1);
    cg_tensor *output = cg_linear(step->tape, input, cg_module_find(cg_trainer_model(trainer), "1.weight"),
                                  cg_module_find(cg_trainer_model(trainer), "1.bias"));
    double values[SMALL_BATCH * 6], squares = 0;
    CG_TRY(cg_tensor_read_f64(output, values, SMALL_BATCH * 6));
    f->mean = 0;
    for (int i = 0; i < SMALL_BATCH * 6; i++) {
        f->mean += values[i] / (SMALL_BATCH * 6);
    }
    for (int i = 0; i < SMALL_BATCH * 6; i++) {
        squares += (values[i] - f->mean) * (values[i] - f->mean) / (SMALL_BATCH * 6);
    }
    f->std = sqrt(squares);
    return CG_OK;
}

Test(callbacks, activations_are_those_of_the_sampled_batch_and_change_no_bit) {
    small_training s = begin(&(cg_train_options){.epochs = 2}), plain = begin(&(cg_train_options){.epochs = 2});
    cg_activations *a;
    first_layer first = {.n = 0};
    cg_callback measures = {.context = &first, .before_batch = measure_first_layer};
    cr_assert_eq(cg_activations_create(s.model, &a), CG_OK, "%s", cg_error_message());
    cr_expect(isnan(cg_activations_get(a, 1).mean), "nothing yet");
    cr_assert_eq(cg_activations_attach(a, s.trainer), CG_OK);
    cr_assert_eq(cg_trainer_attach(s.trainer, &measures), CG_OK);
    expect_run(&s);
    expect_run(&plain);
    cr_assert_eq(cg_activations_count(a), 4);
    const cg_layer_activations linear = cg_activations_get(a, 1), relu = cg_activations_get(a, 2);
    cr_expect_str_eq(linear.path, "1");
    cr_expect_str_eq(linear.class_name, "Linear");
    cr_expect_lt(fabs(linear.mean - first.mean), 1e-5, "%g, expected %g", linear.mean, first.mean);
    cr_expect_lt(fabs(linear.std - first.std), 1e-5, "%g, expected %g", linear.std, first.std);
    cr_expect_eq(linear.zeros, 0);
    cr_expect_gt(relu.zeros, 0.1);
    cr_expect_lt(relu.zeros, 0.9);
    cr_expect_gt(relu.mean, 0);
    small_training_expect_equal(&s, &plain);
    small_training_end(&plain);
    cg_activations_destroy(a);
    small_training_end(&s);
}
