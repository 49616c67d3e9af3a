/* Times of ops: what is told, and that a training is the same with them. */
#include <criterion/criterion.h>
#include <string.h>

#include <clgrad/train.h>

#include "devices.h"
#include "small_training.h"

/* Times ops after each epoch. */
static cg_status time_ops(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)progress;
    size_t *count = context;
    cg_op_time rows[64];
    CG_TRY(cg_trainer_time_ops(trainer, rows, 64, count));
    bool products = false;
    for (size_t i = 0; i < *count; i++) {
        cr_expect_gt(rows[i].seconds, 0);
        products = products || (strcmp(rows[i].op, "matmul") == 0 && rows[i].times >= 5);
    }
    cr_expect(products, "two layers' forward and backward have five matrix products");
    return CG_OK;
}

static cg_status time_inside(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)progress;
    size_t count;
    *(cg_status *)context = cg_trainer_time_ops(trainer, NULL, 0, &count);
    return CG_OK;
}

Test(op_times, a_training_whose_ops_are_timed_ends_with_the_same_bits) {
    small_training plain = small_training_begin(SMALL_DROPPING, "Adam(lr=0.01)"),
                   timed = small_training_begin(SMALL_DROPPING, "Adam(lr=0.01)");
    const cg_train_options options = {
        .batch = SMALL_BATCH, .epochs = 2, .average = "EMA(decay=0.9)", .schedule = "StepLR(step_size=5)"};
    small_training_make(&plain, &options);
    small_training_make(&timed, &options);
    size_t count = 0;
    cg_status inside = CG_OK;
    cr_assert_eq(cg_trainer_attach(timed.trainer, &(cg_callback){.context = &count, .after_epoch = time_ops}), CG_OK);
    cr_assert_eq(cg_trainer_attach(timed.trainer, &(cg_callback){.context = &inside, .after_loss = time_inside}),
                 CG_OK);
    cr_assert_eq(cg_trainer_run(plain.trainer), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_trainer_run(timed.trainer), CG_OK, "%s", cg_error_message());
    cr_expect_gt(count, 4);
    cr_expect_eq(inside, CG_ERR_STATE);
    small_training_expect_equal(&plain, &timed);
    small_training_end(&plain);
    small_training_end(&timed);
}
