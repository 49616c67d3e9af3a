/* Chapter 9's loop: chapter 7's, with three places where callbacks are told what happens. */
#include "lesson.h"

static cg_status tell(lesson_fit *f, int event) {
    for (int i = 0; i < f->n_callbacks; i++) {
        const lesson_callback *callback = &f->callbacks[i];
        if (callback->on[event] != NULL) {
            CG_TRY(callback->on[event](callback->context, f));
        }
    }
    return CG_OK;
}

static cg_status one_step(lesson *l, lesson_fit *f, const cg_batch *batch) {
    lesson_training *t = f->training;
    CG_TRY(tell(f, LESSON_BEFORE_STEP));
    cg_tensor *logits = cg_module_forward(t->model, l->tape, batch->x);
    cg_tensor *loss = cg_cross_entropy(l->tape, logits, batch->y, CG_REDUCE_MEAN);
    CG_TRY(cg_backward(l->tape, loss));
    CG_TRY(cg_optimizer_step(t->optimizer, l->tape));
    CG_TRY(cg_tensor_item(loss, &f->loss));
    CG_TRY(cg_tape_run(l->tape));
    CG_TRY(tell(f, LESSON_AFTER_STEP));
    f->step++;
    return CG_OK;
}

static cg_status one_epoch(lesson *l, lesson_fit *f) {
    cg_batch batch = {0};
    cg_tape_set_mode(l->tape, CG_TRAIN);
    CG_TRY(cg_loader_start(f->training->train, true, LESSON_SEED, (uint64_t)f->epoch));
    CG_TRY(cg_loader_next(f->training->train, &batch));
    while (batch.n > 0 && !f->stop) {
        CG_TRY(one_step(l, f, &batch));
        CG_TRY(cg_loader_next(f->training->train, &batch));
    }
    return CG_OK;
}

cg_status lesson_fit_run(lesson *l, lesson_fit *f) {
    for (f->epoch = f->step = 0; f->epoch < f->epochs && !f->stop; f->epoch++) {
        CG_TRY(one_epoch(l, f));
        if (!f->stop) {
            CG_TRY(lesson_validate(l, f->training, &f->accuracy));
            CG_TRY(tell(f, LESSON_AFTER_EPOCH));
        }
    }
    return CG_OK;
}
