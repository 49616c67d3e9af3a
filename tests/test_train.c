/* The trainer's promises: the loss falls, a stopped training goes on as if it had not been, NaN is told, and after the
 * first step of each shape nothing is allocated. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include <clgrad/train.h>

#include "devices.h"
#include "small_training.h"

#define MAX_EVENTS 64

/* What was heard of a training, in order. */
typedef struct heard {
    int batches, steps, epochs, saves;
    int stop_at_batch, stop_at_step, stop_at_epoch; /* 0: never */
    int64_t step_numbers[MAX_EVENTS];
    double losses[MAX_EVENTS];
    cg_progress last_epoch;
    uint64_t host_first, host_last, device_first, device_last; /* allocations after the first and at the last epoch */
    cg_device *device;
} heard;

typedef struct setup {
    small_training parts;
    heard heard;
} setup;

static cg_status go_on(int count, int stop) {
    return count == stop ? CG_ERR_INTERRUPTED : CG_OK;
}

static cg_status after_batch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    heard *h = context;
    cr_expect_leq(progress->batch, progress->batches);
    return go_on(++h->batches, h->stop_at_batch);
}

static cg_status on_loss(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    heard *h = context;
    cr_assert_lt(h->steps, MAX_EVENTS);
    h->step_numbers[h->steps] = progress->step;
    h->losses[h->steps] = progress->loss;
    return go_on(++h->steps, h->stop_at_step);
}

static cg_status after_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    heard *h = context;
    cg_device_stats stats;
    cg_device_stats_get(h->device, &stats);
    h->host_last = cg_host_allocations();
    h->device_last = stats.buffer_allocations;
    if (h->epochs == 0) {
        h->host_first = h->host_last;
        h->device_first = h->device_last;
    }
    h->last_epoch = *progress;
    return go_on(++h->epochs, h->stop_at_epoch);
}

static cg_status on_save(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    (void)progress;
    ((heard *)context)->saves++;
    return CG_OK;
}

static setup begin_model(const char *model, const char *optimizer) {
    return (setup){.parts = small_training_begin(model, optimizer)};
}

static setup begin(const char *optimizer) {
    return begin_model(SMALL_MODEL, optimizer);
}

static void make_trainer(setup *s, const cg_train_options *options) {
    const cg_callback callback = {.context = &s->heard,
                                  .after_batch = after_batch,
                                  .on_loss = on_loss,
                                  .after_epoch = after_epoch,
                                  .on_save = on_save};
    s->heard.device = s->parts.device;
    small_training_make(&s->parts, options);
    cr_assert_eq(cg_trainer_attach(s->parts.trainer, &callback), CG_OK);
}

static cg_status run(setup *s, const cg_train_options *options) {
    make_trainer(s, options);
    return cg_trainer_run(s->parts.trainer);
}

static void end(setup *s) {
    small_training_end(&s->parts);
}

Test(train, the_loss_falls_and_the_digits_are_learned) {
    setup s = begin("Adam(lr=0.03)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 6}), CG_OK, "%s", cg_error_message());
    cr_expect_gt(s.heard.losses[0], 1.5);
    cr_expect_lt(s.heard.last_epoch.train_loss, 0.7);
    cr_expect(s.heard.last_epoch.has_valid);
    cr_expect_gt(s.heard.last_epoch.valid_accuracy, 0.6);
    end(&s);
}

Test(train, every_update_is_told_once_and_in_order) {
    setup s = begin("SGD(lr=0.1)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 3}), CG_OK, "%s", cg_error_message());
    cr_expect_eq(s.heard.steps, 3 * SMALL_BATCHES);
    cr_expect_eq(s.heard.batches, 3 * SMALL_BATCHES);
    cr_expect_eq(s.heard.epochs, 3);
    cr_expect_eq(s.heard.saves, 3);
    for (int i = 0; i < s.heard.steps; i++) {
        cr_expect_eq(s.heard.step_numbers[i], i + 1);
        cr_expect(isfinite(s.heard.losses[i]));
    }
    cr_expect_eq(s.heard.last_epoch.epoch, 3);
    cr_expect_eq(s.heard.last_epoch.samples, SMALL_ROWS);
    end(&s);
}

Test(train, the_epochs_loss_is_the_mean_over_its_samples) {
    setup s = begin("SGD(lr=0.1)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 1}), CG_OK, "%s", cg_error_message());
    double sum = 0;
    for (int i = 0; i < SMALL_BATCHES; i++) {
        sum +=
            s.heard.losses[i] * (i < SMALL_BATCHES - 1 ? SMALL_BATCH : SMALL_ROWS - SMALL_BATCH * (SMALL_BATCHES - 1));
    }
    cr_expect_lt(fabs(s.heard.last_epoch.train_loss - sum / SMALL_ROWS), 1e-12);
    end(&s);
}

Test(train, steps_instead_of_epochs_are_counted_exactly) {
    setup s = begin("SGD(lr=0.1)");
    cr_assert_eq(run(&s, &(cg_train_options){.steps = SMALL_BATCHES + 2}), CG_OK, "%s", cg_error_message());
    cr_expect_eq(s.heard.steps, SMALL_BATCHES + 2);
    cr_expect_eq(s.heard.epochs, 1);
    int64_t epoch, position;
    cg_trainer_position(s.parts.trainer, &epoch, &position);
    cr_expect_eq(epoch, 1);
    cr_expect_eq(position, 2);
    end(&s);
}

Test(train, a_callback_that_returns_false_stops_after_the_step) {
    setup s = begin("SGD(lr=0.1)");
    s.heard.stop_at_batch = SMALL_BATCHES + 3;
    cr_expect_eq(run(&s, &(cg_train_options){.epochs = 3}), CG_ERR_INTERRUPTED);
    cr_expect_neq(strstr(cg_error_message(), "epoch 2"), NULL, "%s", cg_error_message());
    cr_expect_eq(s.heard.steps, SMALL_BATCHES + 3, "the losses of all steps that were done are told");
    int64_t epoch, position;
    cg_trainer_position(s.parts.trainer, &epoch, &position);
    cr_expect_eq(epoch, 1);
    cr_expect_eq(position, 3);
    end(&s);
}

Test(train, a_stop_at_the_end_of_an_epoch_leaves_the_next_one_to_do) {
    setup s = begin("SGD(lr=0.1)");
    s.heard.stop_at_epoch = 1;
    cr_expect_eq(run(&s, &(cg_train_options){.epochs = 3}), CG_ERR_INTERRUPTED);
    int64_t epoch, position;
    cg_trainer_position(s.parts.trainer, &epoch, &position);
    cr_expect_eq(epoch, 1);
    cr_expect_eq(position, 0);
    end(&s);
}

/* Stops after some batches and goes on with another trainer, as a program that was started again does. */
static void run_in_two_parts(setup *s, const cg_train_options *options, int batches) {
    int64_t epoch, position;
    s->heard.stop_at_batch = batches;
    cr_assert_eq(run(s, options), CG_ERR_INTERRUPTED);
    cg_trainer_position(s->parts.trainer, &epoch, &position);
    cg_trainer_destroy(s->parts.trainer);
    s->heard.stop_at_batch = 0;
    make_trainer(s, options);
    cg_trainer_set_position(s->parts.trainer, epoch, position);
    cr_assert_eq(cg_trainer_run(s->parts.trainer), CG_OK, "%s", cg_error_message());
}

static void check_going_on(const char *model) {
    const cg_train_options options = {.epochs = 3, .seed = 5};
    setup whole = begin_model(model, "Adam(lr=0.01)"), stopped = begin_model(model, "Adam(lr=0.01)");
    cr_assert_eq(run(&whole, &options), CG_OK, "%s", cg_error_message());
    run_in_two_parts(&stopped, &options, SMALL_BATCHES + 3);
    cr_expect_eq(stopped.heard.steps, whole.heard.steps);
    for (int i = 0; i < whole.heard.steps; i++) {
        cr_expect_eq(stopped.heard.losses[i], whole.heard.losses[i], "step %d", i + 1);
    }
    small_training_expect_equal(&whole.parts, &stopped.parts);
    end(&whole);
    end(&stopped);
}

Test(train, an_interrupted_training_goes_on_as_if_it_had_not_been) {
    check_going_on(SMALL_MODEL);
}

Test(train, an_interrupted_training_goes_on_dropping_what_it_would_have) {
    check_going_on(SMALL_DROPPING);
}

Test(train, stop_after_ends_with_that_epoch) {
    setup s = begin("SGD(lr=0.1)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 3, .stop_after = 2}), CG_OK, "%s", cg_error_message());
    cr_expect_eq(s.heard.epochs, 2);
    end(&s);
}

/* Whether the seed decides the first loss, with the rows in their order when they are not shuffled. */
static void check_seeds(const char *model, bool no_shuffle) {
    const cg_train_options three = {.epochs = 1, .seed = 3, .no_shuffle = no_shuffle};
    const cg_train_options four = {.epochs = 1, .seed = 4, .no_shuffle = no_shuffle};
    setup a = begin_model(model, "SGD(lr=0.1)"), b = begin_model(model, "SGD(lr=0.1)"),
          c = begin_model(model, "SGD(lr=0.1)");
    cr_assert_eq(run(&a, &three), CG_OK, "%s", cg_error_message());
    cr_assert_eq(run(&b, &three), CG_OK, "%s", cg_error_message());
    cr_assert_eq(run(&c, &four), CG_OK, "%s", cg_error_message());
    small_training_expect_equal(&a.parts, &b.parts);
    cr_expect_neq(a.heard.losses[0], c.heard.losses[0]);
    end(&a);
    end(&b);
    end(&c);
}

Test(train, the_same_seed_gives_the_same_bits_and_another_seed_does_not) {
    check_seeds(SMALL_MODEL, false);
}

Test(train, the_same_seed_drops_the_same_and_another_seed_does_not) {
    check_seeds(SMALL_DROPPING, true);
}

Test(train, saves_are_due_every_so_many_updates_and_after_each_epoch) {
    setup s = begin("SGD(lr=0.1)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 2, .save_every = 3}), CG_OK, "%s", cg_error_message());
    cr_expect_eq(s.heard.saves, 6, "after 3, 6, 7, 9, 12 and 14 updates, not after %d", s.heard.saves);
    end(&s);
}

Test(train, a_loss_that_is_not_a_number_ends_it_naming_epoch_and_step) {
    setup s = begin("SGD(lr=1e30)");
    cr_expect_eq(run(&s, &(cg_train_options){.epochs = 3}), CG_ERR_NAN);
    cr_expect_neq(strstr(cg_error_message(), "epoch 1, step "), NULL, "%s", cg_error_message());
    cr_expect_eq(s.heard.epochs, 0);
    cr_expect_eq(s.heard.saves, 0, "a good checkpoint must not be replaced");
    end(&s);
}

Test(train, after_the_first_epoch_nothing_is_allocated) {
    setup s = begin("Adam(lr=0.01)");
    cr_assert_eq(run(&s, &(cg_train_options){.epochs = 4}), CG_OK, "%s", cg_error_message());
    cr_expect_eq(s.heard.host_last, s.heard.host_first, "heap: %llu more",
                 (unsigned long long)(s.heard.host_last - s.heard.host_first));
    cr_expect_eq(s.heard.device_last, s.heard.device_first, "device: %llu more",
                 (unsigned long long)(s.heard.device_last - s.heard.device_first));
    end(&s);
}

Test(train, evaluation_counts_rows_and_right_answers) {
    setup s = begin("SGD(lr=0.1)");
    cg_evaluation small, large;
    cr_assert_eq(cg_evaluate(s.parts.model, s.parts.loss, s.parts.data, CG_SPLIT_VALID, 7, &small), CG_OK, "%s",
                 cg_error_message());
    cr_assert_eq(cg_evaluate(s.parts.model, s.parts.loss, s.parts.data, CG_SPLIT_VALID, 1000, &large), CG_OK, "%s",
                 cg_error_message());
    cr_expect_eq(small.n, cg_data_describe(s.parts.data)->rows[CG_SPLIT_VALID]);
    cr_expect_eq(small.accuracy, large.accuracy);
    cr_expect_lt(fabs(small.loss - large.loss), 1e-5);
    cr_assert_eq(cg_evaluate(s.parts.model, s.parts.loss, s.parts.data, CG_SPLIT_TEST, 7, &small), CG_OK);
    cr_expect_eq(small.n, 0, "the digits have no test rows");
    end(&s);
}

Test(train, probabilities_are_positive_and_sum_to_one) {
    enum { N = 300 };
    setup s = begin("SGD(lr=0.1)");
    static float x[N * 64], probabilities[N * 10];
    for (int i = 0; i < N * 64; i++) {
        x[i] = (float)(i % 17) / 16;
    }
    cr_assert_eq(cg_predict(s.parts.model, x, N, &CG_SHAPE(1, 8, 8), probabilities, 10), CG_OK, "%s",
                 cg_error_message());
    for (int i = 0; i < N; i++) {
        float sum = 0;
        for (int c = 0; c < 10; c++) {
            cr_expect_gt(probabilities[i * 10 + c], 0);
            sum += probabilities[i * 10 + c];
        }
        cr_expect_lt(fabsf(sum - 1), 1e-5F, "row %d sums to %g", i, (double)sum);
    }
    cr_expect_eq(cg_predict(s.parts.model, x, 1, &CG_SHAPE(1, 8, 8), probabilities, 5), CG_ERR_SHAPE);
    end(&s);
}

Test(train, a_model_that_does_not_fit_the_data_is_refused_before_the_first_step) {
    setup s = begin("SGD(lr=0.1)");
    cg_module *narrow;
    cg_trainer *trainer;
    const cg_train_options options = {.batch = SMALL_BATCH, .epochs = 1};
    cr_assert_eq(cg_module_parse(s.parts.device, "Flatten(), Linear(64, 5)", &narrow), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_trainer_create(narrow, s.parts.loss, s.parts.optimizer, s.parts.data, &options, &trainer),
                 CG_ERR_SHAPE);
    cr_expect_neq(strstr(cg_error_message(), "10 classes"), NULL, "%s", cg_error_message());
    cg_module_destroy(narrow);
    const cg_train_options none = {.batch = 0, .epochs = 1};
    cr_expect_eq(cg_trainer_create(s.parts.model, s.parts.loss, s.parts.optimizer, s.parts.data, &none, &trainer),
                 CG_ERR_ARGUMENT);
    end(&s);
}
