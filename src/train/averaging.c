/* The average of a training's weights: updated after each step, put in the model's place for validation. */
#include "trainer.h"

static cg_status after_step(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)context;
    (void)progress;
    return cg_average_update(t->average, t->tape);
}

static cg_status swap(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)context;
    (void)progress;
    return cg_average_swap(t->average, t->tape);
}

cg_status cg_trainer_add_average(cg_trainer *t) {
    if (t->options.average == NULL) {
        return CG_OK;
    }
    CG_TRY(cg_average_parse(t->options.average, t->model, &t->average));
    return cg_trainer_attach(
        t, &(cg_callback){.after_step = after_step, .before_validation = swap, .after_validation = swap});
}

cg_status cg_trainer_swap_average(cg_trainer *t) {
    return t->average != NULL ? cg_average_swap(t->average, t->tape) : CG_OK;
}

cg_status cg_trainer_evaluate(cg_trainer *t, cg_split split, cg_evaluation *evaluation) {
    CG_TRY(cg_trainer_swap_average(t));
    cg_status status = cg_evaluate(t->model, t->loss, t->data, split, t->options.batch, evaluation);
    cg_status back = cg_trainer_swap_average(t);
    return status != CG_OK ? status : back;
}
