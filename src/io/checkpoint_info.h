/* The metadata of a checkpoint as texts, both ways: private to this folder. */
#ifndef CLGRAD_CHECKPOINT_INFO_H
#define CLGRAD_CHECKPOINT_INFO_H

#include <clgrad/checkpoint.h>

#include "safetensors.h"
#include "text.h"

#define CG_CHECKPOINT_FAMILY "clgrad-checkpoint-"
#define CG_CHECKPOINT_FORMAT CG_CHECKPOINT_FAMILY "1"
#define CG_CHECKPOINT_TEXTS (48 + CG_NOTES)

/* Keys and values to write. The values are owned. */
typedef struct cg_checkpoint_texts {
    cg_stored_text item[CG_CHECKPOINT_TEXTS];
    cg_text value[CG_CHECKPOINT_TEXTS];
    size_t count;
} cg_checkpoint_texts;

/* The texts of `info`; training state with them when there is an optimizer. */
cg_status cg_checkpoint_describe(const cg_checkpoint_info *info, const cg_optimizer *optimizer,
                                 cg_checkpoint_texts *texts) CG_MUST_USE;
void cg_checkpoint_texts_free(cg_checkpoint_texts *texts);

/* Reads them back. A file without metadata of this format gives a zero-initialised info. */
cg_status cg_checkpoint_parse(const char *path, const cg_safetensors *file, cg_checkpoint_info *info) CG_MUST_USE;

#endif
