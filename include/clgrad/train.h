/* The trainer: data, model, loss, optimizer; and evaluation. `clgrad train` is a thin face of it. */
#ifndef CLGRAD_TRAIN_H
#define CLGRAD_TRAIN_H

#include <clgrad/checkpoint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One update, or one epoch. */
typedef struct cg_progress {
    int64_t epoch, epochs;  /* epoch from 1; epochs 0: counted in steps */
    int64_t step, steps;    /* over all epochs, from 1 */
    int64_t batch, batches; /* in this epoch, from 1 */
    int64_t samples;        /* trained on in this epoch */
    double loss;            /* this batch's, before its update (step events); running mean of this epoch (progress) */
    double
        accuracy; /* running, of this epoch's training rows: of one batch in 16, NAN before the first and for numbers */
    double lr;
    double seconds;       /* since the first update began */
    double train_seconds; /* epoch events: this epoch's updates, without loading, building and validation */
    bool has_valid;
    double train_loss, valid_loss, valid_accuracy; /* epoch events; accuracy NAN for numbers */
} cg_progress;

/* What a program hears of a training. Every function may be NULL; one that returns false stops it after the current
 * step (CG_ERR_INTERRUPTED; the state is whole and can be saved). */
typedef struct cg_train_callbacks {
    void *context;
    bool (*on_batch)(
        void *context,
        const cg_progress *progress); /* after each batch is recorded: cheap, the loss is the newest one known */
    bool (*on_step)(
        void *context,
        const cg_progress *progress); /* once for each update, in order, with its exact loss, some steps late */
    bool (*on_epoch)(void *context, const cg_progress *progress); /* after validation */
    bool (*on_save)(void *context,
                    const cg_progress *progress); /* the moment to save: every save_every updates, after each epoch */
} cg_train_callbacks;

typedef struct cg_train_options {
    int64_t batch;
    int64_t epochs;
    int64_t steps;      /* exactly so many updates instead of epochs; 0: epochs */
    int64_t stop_after; /* stop after this epoch, as if interrupted at its end; 0: no */
    int64_t save_every; /* updates; 0: no */
    uint64_t seed;
    bool no_shuffle;
} cg_train_options;

typedef struct cg_trainer cg_trainer;

/* The parts are borrowed and must outlive the trainer. loss: a module of two inputs. */
CG_API cg_status cg_trainer_create(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                                   const cg_train_options *options, const cg_train_callbacks *callbacks,
                                   cg_trainer **trainer) CG_MUST_USE;
CG_API void cg_trainer_destroy(cg_trainer *trainer);

/* Where to go on: finished epochs, and finished batches of the next one. */
CG_API void cg_trainer_set_position(cg_trainer *trainer, int64_t epoch, int64_t position);
CG_API void cg_trainer_position(const cg_trainer *trainer, int64_t *epoch, int64_t *position);

/* Trains. CG_ERR_NAN when a loss is not a number, naming step and epoch; CG_ERR_INTERRUPTED when a callback stopped it.
 */
CG_API cg_status cg_trainer_run(cg_trainer *trainer) CG_MUST_USE;

typedef struct cg_evaluation {
    double loss;
    double accuracy; /* share, NAN when the target is a number */
    int64_t n;
} cg_evaluation;

/* Mean loss and accuracy over a split, in eval mode. n is 0 for an empty split. */
CG_API cg_status cg_evaluate(cg_module *model, cg_module *loss, const cg_data *data, cg_split split, int64_t batch,
                             cg_evaluation *evaluation) CG_MUST_USE;

/* Class probabilities of n samples x [n, sample...]: probabilities [n, classes]. */
CG_API cg_status cg_predict(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *probabilities,
                            int64_t classes) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
