/* The trainer: data, model, loss, optimizer, callbacks; and evaluation. `clgrad train` is a thin face of it. */
#ifndef CLGRAD_TRAIN_H
#define CLGRAD_TRAIN_H

#include <clgrad/checkpoint.h>
#include <clgrad/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_trainer cg_trainer;

/* Where a training is, in numbers. */
typedef struct cg_progress {
    int64_t epoch, epochs;  /* epoch from 1; epochs 0: counted in steps */
    int64_t step, steps;    /* updates over all epochs, from 1 */
    int64_t batch, batches; /* in this epoch, from 1 */
    int64_t samples;        /* trained on in this epoch */
    double loss;            /* on_loss: of this update's batches, before it; else the running mean of this epoch */
    double
        accuracy; /* running, of this epoch's training rows: of one batch in 16, NAN before the first and for numbers */
    double lr;
    double seconds;       /* since the first update began */
    double train_seconds; /* epoch events: this epoch's updates, without loading, building and validation */
    bool has_valid;
    double train_loss, valid_loss, valid_accuracy; /* epoch events; accuracy NAN for numbers */
    bool best; /* epoch events: none before had a higher accuracy, or a lower loss where the target is a number */
} cg_progress;

/* What the running step is made of; what is not recorded yet is NULL. The tape's tensors are gone after the step. */
typedef struct cg_step {
    cg_tape *tape;
    cg_tensor *x, *y; /* the loader's batch */
    int64_t n;        /* its rows */
    cg_tensor *output, *loss;
} cg_step;

/*
 * What a program hears of a training, by fast.ai's events. In `before_batch` to `after_step` the step is being
 * recorded and has not run: a function may record ops of its own, and reading a value runs what stands there. Nothing
 * is read back from the device unless a function asks for it.
 *
 * A function returns CG_OK; CG_ERR_INTERRUPTED to end the training after the current step, as cg_trainer_cancel does;
 * any other failure to end it at once. Functions may be NULL.
 */
typedef cg_status (*cg_event)(void *context, cg_trainer *trainer, const cg_progress *progress);

typedef struct cg_callback {
    void *context;
    cg_event before_fit;   /* once a run */
    cg_event before_epoch; /* also where a resumed training goes on inside one */
    cg_event before_batch; /* x and y are there */
    cg_event after_loss;   /* output and loss are recorded */
    cg_event after_backward;
    cg_event before_step; /* the gradients of all batches of an update are recorded */
    cg_event after_step;  /* the update is recorded */
    cg_event after_batch; /* the batch is under way: cheap, the loss is the newest one known */
    cg_event on_loss;     /* once for each update, in order, with its exact loss, some steps late */
    cg_event before_validation, after_validation;
    cg_event after_epoch; /* after validation */
    cg_event on_save;     /* the moment to save: every save_every updates, after each epoch */
    cg_event after_fit;   /* however it ended; not when before_fit failed */
} cg_callback;

typedef struct cg_train_options {
    int64_t batch;
    int64_t epochs;
    int64_t steps;      /* exactly so many updates instead of epochs; 0: epochs */
    int64_t stop_after; /* stop after this epoch, as if interrupted at its end; 0: no */
    int64_t save_every; /* updates; 0: no */
    int64_t accumulate; /* batches to an update, whose gradient is the mean of theirs; fewer at an epoch's end. 0: 1 */
    const char *schedule;         /* as of cg_schedule_parse, from the optimizer's rates; NULL: none */
    bool schedule_by_epoch;       /* it counts epochs instead of updates. ReduceLROnPlateau always goes by epochs */
    double clip_norm, clip_value; /* as of cg_clip_grad_value, then cg_clip_grad_norm of order 2; 0: not */
    const char *average;          /* as of cg_average_parse; NULL: none. Validation and saved weights are of it */
    const char *freeze;           /* patterns as of cg_module_freeze, "0.*,*.bias"; NULL: none */
    const char *groups;           /* as of cg_optimizer_add_group, "0.*: lr=1e-4; *.bias: weight_decay=0"; NULL: none */
    int64_t patience;             /* ends when the validation loss has not fallen for so many epochs; 0: never */
    uint64_t seed;
    bool no_shuffle;
    const cg_ranks *ranks; /* that train together, each a part of every batch; borrowed. NULL: this process alone */
} cg_train_options;

/*
 * Of several ranks each makes a trainer of the same parts and options. They begin with the weights of rank 0; each
 * takes its rows of a batch, and gradients, weighted by rows, are added up. Layers that look at a whole batch (batch
 * norm) see this rank's rows, as in PyTorch; buffers are rank 0's when a training is validated and saved. Losses are
 * those of whole batches. All ranks stop together.
 */

/* The parts are borrowed and must outlive the trainer. loss: a module of two inputs. Errors: CG_ERR_ARGUMENT, also for
 * a schedule that ends before the training does, CG_ERR_SHAPE when model and data do not fit, and those of the
 * functions that the options name. Freezing and groups outlive the trainer. */
CG_API cg_status cg_trainer_create(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                                   const cg_train_options *options, cg_trainer **trainer) CG_MUST_USE;
CG_API void cg_trainer_destroy(cg_trainer *trainer);

/* Adds a listener, which is copied; its context is borrowed. Events come in the order of attachment. */
CG_API cg_status cg_trainer_attach(cg_trainer *trainer, const cg_callback *callback) CG_MUST_USE;

/* Saves model, optimizer and what the trainer knows of the training, so that cg_trainer_load goes on with the same
 * bits; `about` has the rest, as of cg_checkpoint_save. */
CG_API cg_status cg_trainer_save(cg_trainer *trainer, const char *path, const cg_checkpoint_info *about) CG_MUST_USE;

/* Goes on where the training stopped that saved this file: with a trainer of the same parts and options that has not
 * run. Errors as cg_checkpoint_load. */
CG_API cg_status cg_trainer_load(cg_trainer *trainer, const char *path) CG_MUST_USE;

/* Fills in what cg_trainer_save adds: position and options. Texts are new ones that cg_checkpoint_info_clear frees. */
CG_API cg_status cg_trainer_describe(const cg_trainer *trainer, cg_checkpoint_info *info) CG_MUST_USE;

/* Where to go on: finished epochs, and finished batches of the next one. */
CG_API void cg_trainer_set_position(cg_trainer *trainer, int64_t epoch, int64_t position);
CG_API void cg_trainer_position(const cg_trainer *trainer, int64_t *epoch, int64_t *position);

/* Trains. CG_ERR_NAN when a loss is not a number, naming
 * step and epoch; CG_ERR_INTERRUPTED when it was cancelled: the state is whole then and can be saved. */
CG_API cg_status cg_trainer_run(cg_trainer *trainer) CG_MUST_USE;

/* Ends the run after the current step with CG_ERR_INTERRUPTED. From any thread, and from a signal handler. */
CG_API void cg_trainer_cancel(cg_trainer *trainer);

/* For callbacks: the step that is being recorded, and the parts. */
CG_API const cg_step *cg_trainer_step(const cg_trainer *trainer);
CG_API cg_module *cg_trainer_model(const cg_trainer *trainer);
CG_API cg_optimizer *cg_trainer_optimizer(const cg_trainer *trainer);

/* The schedule, NULL: none; whether it counts epochs; and how many steps of it the whole training takes. */
CG_API cg_schedule *cg_trainer_schedule(const cg_trainer *trainer);
CG_API bool cg_trainer_schedule_by_epoch(const cg_trainer *trainer);
CG_API int64_t cg_trainer_schedule_steps(const cg_trainer *trainer);

/* The best epoch so far: highest validation accuracy, or lowest loss where the target is a number or accuracies are
 * equal. epoch 0: none yet. */
typedef struct cg_best_epoch {
    int64_t epoch;
    double valid_loss, valid_accuracy;
} cg_best_epoch;
CG_API cg_best_epoch cg_trainer_best(const cg_trainer *trainer);

/* Whether patience has run out; the weights are the last epoch's. */
CG_API bool cg_trainer_out_of_patience(const cg_trainer *trainer);

/* Updates made, and those there are to be. */
CG_API int64_t cg_trainer_updates(const cg_trainer *trainer);
CG_API int64_t cg_trainer_planned(const cg_trainer *trainer);

/* All ops of one kind in an update. */
typedef struct cg_op_time {
    const char *op;
    uint64_t times;
    double seconds; /* by the host's clock, each op waited for: its launch counts, too */
} cg_op_time;

/* What the ops of an update cost: four updates from the epoch's first batch on, the last three timed, without
 * callbacks, schedule, clipping and averages; then everything is as it was, so that a training with this inside ends
 * with the same bits. Writes up to `capacity` rows, in the order of their first op, and their number. Before
 * cg_trainer_run, after it, and in after_epoch; CG_ERR_STATE inside an epoch. */
CG_API cg_status cg_trainer_time_ops(cg_trainer *trainer, cg_op_time *rows, size_t capacity, size_t *count) CG_MUST_USE;

typedef struct cg_evaluation {
    double loss;
    double accuracy; /* share, NAN when the target is a number */
    int64_t n;
} cg_evaluation;

/* Mean loss and accuracy over a split, in eval mode. n is 0 for an empty split. */
CG_API cg_status cg_evaluate(cg_module *model, cg_module *loss, const cg_data *data, cg_split split, int64_t batch,
                             cg_evaluation *evaluation) CG_MUST_USE;

/* The same of a training: by the averages where there are some. */
CG_API cg_status cg_trainer_evaluate(cg_trainer *trainer, cg_split split, cg_evaluation *evaluation) CG_MUST_USE;

/* Class probabilities of n samples x [n, sample...]: probabilities [n, classes]. */
CG_API cg_status cg_predict(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *probabilities,
                            int64_t classes) CG_MUST_USE;

/* The model's outputs as they are, where it learnt numbers: numbers [n, targets]. */
CG_API cg_status cg_predict_numbers(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *numbers,
                                    int64_t targets) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
