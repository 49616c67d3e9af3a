/* Clipping of gradients, as the options ask for it: values first, then the norm of what is left of them. */
#include "trainer.h"

static cg_status before_step(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)context;
    (void)progress;
    if (t->options.clip_value > 0) {
        CG_TRY(cg_clip_grad_value(t->tape, t->parameters, t->n_parameters, t->options.clip_value));
    }
    if (t->options.clip_norm > 0) {
        CG_TRY(cg_clip_grad_norm(t->tape, t->parameters, t->n_parameters, t->options.clip_norm, 2.0, false, NULL));
    }
    return CG_OK;
}

cg_status cg_trainer_add_clipping(cg_trainer *t) {
    if (!(t->options.clip_norm >= 0 && t->options.clip_value >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "clip_norm is %g and clip_value %g: expected numbers of at least 0",
                       t->options.clip_norm, t->options.clip_value);
    }
    bool any = t->options.clip_norm > 0 || t->options.clip_value > 0;
    return any ? cg_trainer_attach(t, &(cg_callback){.before_step = before_step}) : CG_OK;
}
