/* Flags of clgrad train whose texts a checkpoint keeps as notes. */
#ifndef CLGRAD_TOOLS_TRAIN_NOTES_H
#define CLGRAD_TOOLS_TRAIN_NOTES_H

#include "train_options.h"

/* Texts that are made of numbers, and live as long as the trainer is made. */
typedef struct train_texts {
    char average[80];
} train_texts;

/* "f16": how numbers are kept, by the flag or else by the checkpoint; NULL: neither says. */
const char *train_notes_precision(const train_options *options, const cg_checkpoint_info *saved);

/* Fills in the trainer's options from the flags, and from the checkpoint where they were not given. CG_ERR_FORMAT when
 * that has something else than a number where one should be. */
cg_status train_notes_apply(const train_options *options, const cg_checkpoint_info *saved, train_texts *texts,
                            cg_train_options *chosen) CG_MUST_USE;

/* CG_ERR_ARGUMENT when a flag says something else than the checkpoint that is resumed; both in canonical form. */
cg_status train_notes_agree(const train_options *options, const cg_checkpoint_info *saved,
                            const cg_trainer *trainer) CG_MUST_USE;

#endif
