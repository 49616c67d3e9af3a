/* Chapter 7's training loop, of the library's parts: data, loader, model, loss, optimizer. */
#include "lesson.h"

#include <stdio.h>

cg_status lesson_training_restart(lesson_training *t, const char *optimizer) {
    cg_optimizer_destroy(t->optimizer);
    t->optimizer = NULL;
    CG_TRY(cg_module_init(t->model, LESSON_SEED));
    return cg_optimizer_parse(optimizer, t->model, &t->optimizer);
}

cg_status lesson_training_open(lesson *l, int64_t n, lesson_training *t) {
    CG_TRY(cg_data_load(lesson_text(l, "data"), &(cg_data_options){.valid = -1, .limit = n}, &t->data));
    CG_TRY(cg_loader_create(l->device, t->data, CG_SPLIT_TRAIN, LESSON_BATCH, &t->train));
    CG_TRY(cg_loader_create(l->device, t->data, CG_SPLIT_VALID, 1000, &t->valid));
    CG_TRY(cg_module_parse(l->device, "Flatten(), LazyLinear(50), ReLU(), Linear(50, 10)", &t->model));
    CG_TRY(cg_module_resolve(t->model, &cg_data_describe(t->data)->sample, NULL));
    return lesson_training_restart(t, "Adam(lr=0.004)");
}

void lesson_training_close(lesson *l, lesson_training *t) {
    cg_tape_reset(l->tape);
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->model);
    cg_loader_destroy(t->train);
    cg_loader_destroy(t->valid);
    cg_data_destroy(t->data);
}

cg_status lesson_training_with(lesson *l, cg_status (*use)(lesson *, lesson_training *)) {
    lesson_training t = {0};
    int64_t n = 0;
    CG_TRY(lesson_count(l, "rows", &n));
    cg_status status = lesson_training_open(l, n, &t);
    status = status != CG_OK ? status : use(l, &t);
    lesson_training_close(l, &t);
    return status;
}

/* One pass over the training images: forward, loss, backward, step. */
static cg_status one_epoch(lesson *l, lesson_training *t, int epoch, double *mean_loss) {
    cg_batch batch = {0};
    *mean_loss = 0;
    cg_tape_set_mode(l->tape, CG_TRAIN);
    CG_TRY(cg_loader_start(t->train, true, LESSON_SEED, (uint64_t)epoch));
    for (;;) {
        double value = 0;
        CG_TRY(cg_loader_next(t->train, &batch));
        if (batch.n == 0) {
            break;
        }
        cg_tensor *logits = cg_module_forward(t->model, l->tape, batch.x);
        cg_tensor *loss = cg_cross_entropy(l->tape, logits, batch.y, CG_REDUCE_MEAN);
        CG_TRY(cg_backward(l->tape, loss));
        CG_TRY(cg_optimizer_step(t->optimizer, l->tape));
        CG_TRY(cg_tensor_item(loss, &value));
        CG_TRY(cg_tape_run(l->tape));
        *mean_loss += value / (double)cg_loader_batches(t->train);
    }
    return CG_OK;
}

/* How many of the batch's classes are the largest output. */
static cg_status count_right(lesson *l, lesson_training *t, const cg_batch *batch, double *right) {
    double found = 0;
    cg_tensor *guess = cg_argmax(l->tape, cg_module_forward(t->model, l->tape, batch->x), 1);
    cg_tensor *same = cg_eq(l->tape, cg_cast(l->tape, guess, CG_F32), cg_cast(l->tape, batch->y, CG_F32));
    CG_TRY(cg_tensor_item(cg_sum(l->tape, same, CG_ALL_AXES, false), &found));
    *right += found;
    return cg_tape_run(l->tape);
}

cg_status lesson_validate(lesson *l, lesson_training *t, double *percent) {
    cg_batch batch = {0};
    double right = 0;
    cg_tape_set_mode(l->tape, CG_EVAL);
    CG_TRY(cg_loader_start(t->valid, false, 0, 0));
    do {
        CG_TRY(cg_loader_next(t->valid, &batch));
        if (batch.n > 0) {
            CG_TRY(count_right(l, t, &batch, &right));
        }
    } while (batch.n > 0);
    *percent = 100 * right / (double)cg_data_describe(t->data)->rows[CG_SPLIT_VALID];
    return CG_OK;
}

cg_status lesson_train(lesson *l, lesson_training *t, int epochs) {
    for (int epoch = 1; epoch <= epochs; epoch++) {
        double loss = 0, percent = 0;
        CG_TRY(one_epoch(l, t, epoch, &loss));
        CG_TRY(lesson_validate(l, t, &percent));
        printf("epoch %d: mean loss %.2f, %.0f %% of the validation images right\n", epoch, loss, percent);
    }
    return CG_OK;
}
