/*
 * Checkpoints: safetensors files with PyTorch's state-dict names, metadata beside. Any device loads them. Written to a
 * temporary file, flushed and renamed: the old file is whole until the new one is. No time, path or version is stored:
 * the same training gives the same bytes.
 *
 * The optimizer's state is stored under the names of cg_optimizer_state with "__training__." in front. In PyTorch:
 *     state = {k: v for k, v in load_file(path).items() if not k.startswith("__training__.")}
 *     model.load_state_dict(state)
 * A file saved without an optimizer is loaded as it is.
 */
#ifndef CLGRAD_CHECKPOINT_H
#define CLGRAD_CHECKPOINT_H

#include <clgrad/data.h>
#include <clgrad/optim.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Texts of a training that its command or program gave: X(NAME, key). What the trainer knows it writes itself. */
#define CG_NOTE_MAP(X)                                                                                                 \
    X(SCHEDULE, "schedule")                                                                                            \
    X(SCHEDULE_EVERY, "schedule_every") /* "epoch" or "step" */                                                        \
    X(SCHEDULE_STATE, "schedule_state") /* of ReduceLROnPlateau: [best, bad, cooldown, reductions] */                  \
    X(ROWS, "rows")                     /* of training and of validation: [1438, 359] */                               \
    X(CLIP_NORM, "clip_norm")                                                                                          \
    X(CLIP_VALUE, "clip_value")                                                                                        \
    X(ACCUMULATE, "accumulate")                                                                                        \
    X(AVERAGE, "average")                                                                                              \
    X(AVERAGE_UPDATES, "average_updates")                                                                              \
    X(AUGMENT, "augment")                                                                                              \
    X(FREEZE, "freeze")                                                                                                \
    X(GROUPS, "groups")                                                                                                \
    X(PATIENCE, "patience")                                                                                            \
    X(PRECISION, "precision")   /* "f16", "bf16" */                                                                    \
    X(LOSS_SCALE, "loss_scale") /* of f16: [factor, updates since it changed] */                                       \
    X(BEST, "best")             /* [epoch, loss, accuracy, lowest loss of any epoch, epochs since that] */

typedef enum cg_note {
#define X(name, key) CG_NOTE_##name,
    CG_NOTE_MAP(X)
#undef X
        CG_NOTES
} cg_note;

/* "schedule": the key of a note in the file. */
CG_API const char *cg_note_key(cg_note note);

/* What a checkpoint says about itself besides the tensors. Written as metadata strings. cg_checkpoint_read allocates
 * what is pointed to; cg_checkpoint_save borrows it. */
typedef struct cg_checkpoint_info {
    char *model;     /* cg_module_print's text; NULL: a bare state dict, as PyTorch writes it */
    char *data;      /* name of the data set; NULL: unknown */
    char *target;    /* name of what was learnt, a column of a table; NULL: it has none */
    cg_shape sample; /* shape of one input row; rank 0: unknown */
    int64_t classes;
    char **class_names; /* [classes]; NULL: they are called "0", "1", "2" */
    bool has_normalization;
    int64_t channels;
    double *mean, *std; /* [channels] */
    bool has_split;
    double valid;
    uint64_t split_seed;
    /* Training state; optimizer NULL: none. */
    char *optimizer;
    char *loss;
    int64_t optimizer_steps, epoch, position; /* finished epochs, finished batches of the next */
    uint64_t seed;
    int64_t batch, limit;
    bool shuffle;
    char *notes[CG_NOTES]; /* NULL: not there */
} cg_checkpoint_info;

CG_API void cg_checkpoint_info_clear(cg_checkpoint_info *info);

/* Saves parameters, buffers and, unless NULL, the optimizer's state. A full disk or a missing folder is CG_ERR_FILE,
 * and the old file stays. A parameter that is not a number is saved as it is. */
CG_API cg_status cg_checkpoint_save(const char *path, cg_module *module, cg_optimizer *optimizer,
                                    const cg_checkpoint_info *info) CG_MUST_USE;

/* Reads the metadata only. The caller clears it. */
CG_API cg_status cg_checkpoint_read(const char *path, cg_checkpoint_info *info) CG_MUST_USE;

typedef enum cg_load_flags {
    CG_LOAD_STRICT = 0,
    CG_LOAD_ALLOW_MISSING = 1, /* a parameter that the file lacks keeps its value */
    CG_LOAD_ALLOW_EXTRA = 2,   /* names that the module lacks are passed over */
    CG_LOAD_ALLOW_NAN = 4,     /* a value that is not a number is no error */
} cg_load_flags;

/* Loads a state dict into a resolved module: every parameter must be there (buffers may lack), no unknown name, shapes
 * equal, dtypes f32, f64, f16 or bf16, all values numbers. Nothing is changed when it fails. optimizer NULL: weights
 * only. Errors: CG_ERR_FILE, CG_ERR_FORMAT (a damaged file, names that are missing or unexpected, a value that is not a
 * number), CG_ERR_SHAPE and CG_ERR_DTYPE (a tensor that does not fit). */
CG_API cg_status cg_checkpoint_load(const char *path, cg_module *module, cg_optimizer *optimizer,
                                    unsigned flags) CG_MUST_USE;

/* A training with an average of its weights: the file's weights are the averages, so that everybody who loads it has
 * those, and what is trained is state of the training, "__training__.raw.0.weight". Else as the two above. */
typedef struct cg_checkpoint_parts {
    cg_module *module;
    cg_optimizer *optimizer; /* NULL: none */
    cg_average *average;     /* NULL: none */
} cg_checkpoint_parts;
CG_API cg_status cg_checkpoint_save_parts(const char *path, const cg_checkpoint_parts *parts,
                                          const cg_checkpoint_info *info) CG_MUST_USE;
CG_API cg_status cg_checkpoint_load_parts(const char *path, const cg_checkpoint_parts *parts,
                                          unsigned flags) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
