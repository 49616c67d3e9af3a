/*
 * Chapter 9: a loop that others can listen to, with three callbacks; and the same training by the library's trainer.
 *
 *     lesson_callbacks --device cpu
 */
#include "lesson.h"

#include <clgrad/train.h>
#include <math.h>
#include <stdio.h>

enum { EPOCHS = 20, MOST = EPOCHS * 1000 }; /* MNIST has 1000 batches of 50 */

/* Remembers the loss of every step. */
typedef struct losses {
    double values[MOST];
    int count;
} losses;

static cg_status keep(losses *kept, double loss) {
    if (kept->count == MOST) {
        return cg_fail(CG_ERR_ARGUMENT, "more than %d steps: give fewer --rows", MOST);
    }
    kept->values[kept->count++] = loss;
    return CG_OK;
}

static cg_status record(void *context, lesson_fit *fit) {
    return keep(context, fit->loss);
}

static cg_status print_epoch(void *context, lesson_fit *fit) {
    const losses *kept = context;
    double sum = 0;
    int steps = kept->count / (fit->epoch + 1);
    for (int i = kept->count - steps; i < kept->count; i++) {
        sum += kept->values[i];
    }
    printf("epoch %d: mean loss %.2f, accuracy %.0f %%\n", fit->epoch + 1, sum / steps, fit->accuracy);
    return CG_OK;
}

/* Ends the training as soon as the network is good enough. */
static cg_status stop_when_good(void *context, lesson_fit *fit) {
    const double *enough = context;
    fit->stop = fit->accuracy >= *enough;
    return CG_OK;
}

static cg_status by_our_loop(lesson *l, lesson_training *t, losses *kept) {
    double enough = 90;
    const lesson_callback callbacks[] = {
        {.context = kept, .on = {[LESSON_AFTER_STEP] = record, [LESSON_AFTER_EPOCH] = print_epoch}},
        {.context = &enough, .on = {[LESSON_AFTER_EPOCH] = stop_when_good}},
    };
    lesson_fit fit = {.training = t, .callbacks = callbacks, .n_callbacks = 2, .epochs = EPOCHS};
    CG_TRY(lesson_fit_run(l, &fit));
    printf("stopped after %d of %d epochs\n", fit.epoch, fit.epochs);
    return CG_OK;
}

/* The same two for the library's trainer. */
static cg_status record_theirs(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    return keep(context, progress->loss);
}

static cg_status stop_theirs(void *context, cg_trainer *trainer, const cg_progress *progress) {
    const double *enough = context;
    if (100 * progress->valid_accuracy >= *enough) {
        cg_trainer_cancel(trainer);
    }
    return CG_OK;
}

static cg_status run_trainer(cg_trainer *trainer, losses *kept) {
    double enough = 90;
    CG_TRY(cg_trainer_attach(trainer, &(cg_callback){.context = kept, .on_loss = record_theirs}));
    CG_TRY(cg_trainer_attach(trainer, &(cg_callback){.context = &enough, .after_epoch = stop_theirs}));
    cg_status status = cg_trainer_run(trainer);
    return status == CG_ERR_INTERRUPTED ? CG_OK : status;
}

static cg_status by_trainer(lesson *l, lesson_training *t, losses *kept) {
    const cg_train_options options = {.batch = LESSON_BATCH, .epochs = EPOCHS, .seed = LESSON_SEED};
    cg_module *loss = NULL;
    cg_trainer *trainer = NULL;
    CG_TRY(cg_module_parse(l->device, "CrossEntropyLoss()", &loss));
    cg_status status = cg_trainer_create(t->model, loss, t->optimizer, t->data, &options, &trainer);
    status = status != CG_OK ? status : run_trainer(trainer, kept);
    cg_trainer_destroy(trainer);
    cg_module_destroy(loss);
    return status;
}

static cg_status compare(const losses *ours, const losses *theirs) {
    double furthest = 0;
    CG_TRY(lesson_within("steps of the library's trainer beside ours", fabs((double)(ours->count - theirs->count)), 0));
    for (int i = 0; i < ours->count; i++) {
        furthest = fmax(furthest, fabs(ours->values[i] - theirs->values[i]));
    }
    CG_TRY(lesson_within("loss of the library's trainer beside ours", furthest, 0));
    printf("the library's trainer: %d steps as well, and the same loss at each, to the last bit\n", theirs->count);
    return CG_OK;
}

static cg_status both(lesson *l, lesson_training *t) {
    losses ours = {.count = 0}, theirs = {.count = 0};
    CG_TRY(by_our_loop(l, t, &ours));
    CG_TRY(lesson_training_restart(t, "Adam(lr=0.004)"));
    CG_TRY(by_trainer(l, t, &theirs));
    return compare(&ours, &theirs);
}

static cg_status run(lesson *l) {
    return lesson_training_with(l, both);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"data", "mnist", "mnist, or a folder with its four files"},
                           {"rows", "2000", "how many images to learn from"},
                           {0}};
    return lesson_main(argc, argv, flags, run);
}
