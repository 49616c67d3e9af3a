/* Evaluation that can be repeated without allocating: what the trainer does after each epoch. */
#ifndef CLGRAD_EVALUATOR_H
#define CLGRAD_EVALUATOR_H

#include <clgrad/metrics.h>

typedef struct cg_evaluator cg_evaluator;

/* The parts are borrowed. A split without rows is allowed. */
cg_status cg_evaluator_create(cg_module *model, cg_module *loss, const cg_data *data, cg_split split, int64_t batch,
                              cg_evaluator **evaluator) CG_MUST_USE;
void cg_evaluator_destroy(cg_evaluator *evaluator);
cg_status cg_evaluator_run(cg_evaluator *evaluator, cg_evaluation *evaluation) CG_MUST_USE;

/* From now on each run leaves its figures in `metrics`, too; they are borrowed, and there may be several.
 * CG_ERR_ARGUMENT when they were made for other data. */
cg_status cg_evaluator_measure(cg_evaluator *evaluator, cg_metrics *metrics) CG_MUST_USE;

/* The device that holds a model's parameters; CG_ERR_ARGUMENT for a model without any. */
cg_status cg_model_device(const cg_module *model, cg_device **device) CG_MUST_USE;

/* [n, sample...] */
cg_shape cg_batch_shape(const cg_shape *sample, int64_t n);

/* CG_ERR_SHAPE when the model does not take batches of this data or gives too few outputs for its classes. */
cg_status cg_model_fits(cg_module *model, const cg_data *data, int64_t batch) CG_MUST_USE;

/* The loss of a batch, on the tape; poisoned when the tape has failed. */
cg_status cg_batch_loss(cg_module *loss, cg_tape *tape, cg_tensor *output, cg_tensor *target, cg_tensor **result);

#endif
