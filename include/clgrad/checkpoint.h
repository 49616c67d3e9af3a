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

/* What a checkpoint says about itself besides the tensors. Written as metadata strings. */
typedef struct cg_checkpoint_info {
    char *model;     /* cg_module_print's text; NULL: a bare state dict, as PyTorch writes it */
    char *data;      /* name of the data set; NULL: unknown */
    cg_shape sample; /* shape of one input row; rank 0: unknown */
    int64_t classes;
    bool has_normalization;
    int channels;
    double mean[CG_MAX_CHANNELS], std[CG_MAX_CHANNELS];
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

#ifdef __cplusplus
}
#endif
#endif
