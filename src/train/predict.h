/* What a program's model and a predictor do alike: one batch through a model. */
#ifndef CLGRAD_PREDICT_H
#define CLGRAD_PREDICT_H

#include <clgrad/nn.h>

/* Samples that go through a model at a time. */
#define CG_PREDICT_ROWS 256

/* What each sample gets: `width` numbers, the model's own or the probabilities that they are the logits of. */
typedef struct cg_prediction {
    int64_t width;
    bool probabilities;
} cg_prediction;

/* x [n, sample...] of that shape to outputs [n, width]. The tape is empty afterwards. */
cg_status cg_predict_rows(cg_module *model, cg_tape *tape, const float *x, const cg_shape *shape,
                          const cg_prediction *wanted, float *outputs) CG_MUST_USE;

#endif
