/*
 * The tensors of a module and its optimizer under the names they have in a checkpoint. A parameter or buffer has its
 * own name, so that other programs find a state dict; the optimizer's state is told apart by a prefix:
 * {k: v for k, v in load_file(path).items() if not k.startswith("__training__.")} is what PyTorch loads strictly.
 */
#ifndef CLGRAD_SLOTS_H
#define CLGRAD_SLOTS_H

#include <clgrad/checkpoint.h>

#include "safetensors.h"

#define CG_TRAINING_PREFIX "__training__."

typedef enum cg_slot_kind { CG_SLOT_PARAMETER, CG_SLOT_BUFFER, CG_SLOT_STATE } cg_slot_kind;

typedef struct cg_slot {
    cg_slot_kind kind;
    const char *name; /* in the file */
    char *owned;      /* the name's memory when the prefix was put in front */
    cg_tensor *tensor;
    const cg_stored *stored; /* loading: what the file has for it, or NULL */
} cg_slot;

typedef struct cg_slots {
    cg_slot *item;
    size_t count;
} cg_slots;

/* Parameters, buffers, and the state of the optimizer unless it is NULL. With an average the names of weights stand
 * for their averages, and "__training__.raw.0.weight" for what is trained. cg_slots_free also after a failure. */
cg_status cg_slots_collect(const cg_checkpoint_parts *parts, cg_slots *slots) CG_MUST_USE;
void cg_slots_free(cg_slots *slots);

/* Whether a name of a file is training state. */
bool cg_slots_is_training(const char *name);

#endif
