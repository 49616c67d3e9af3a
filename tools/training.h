/* One training of the command: its parts, from the flags to a trainer that can run, and saving. */
#ifndef CLGRAD_TOOLS_TRAINING_H
#define CLGRAD_TOOLS_TRAINING_H

#include <stdio.h>

#include <clgrad/train.h>

#include "train_notes.h"

typedef struct training {
    train_options options;
    cg_checkpoint_info resumed; /* what --resume's file says; zero without */
    cg_device *device;
    cg_data *data;
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    char *model_text, *loss_text, *optimizer_text;
    train_texts texts;
    cg_train_options chosen; /* what the trainer was made with */
    cg_trainer *trainer;
    FILE *log;
    const cg_ranks *ranks; /* that train together; none when its count is 0 or 1 */
} training;

/* Builds everything, so that what can go wrong does before the first step. training_close afterwards in any case. */
cg_status training_open(training *t, const train_options *options, const cg_ranks *ranks) CG_MUST_USE;
void training_close(training *t);

/* Saves to a file; does nothing when it is NULL. */
cg_status training_save(const training *t, const char *path) CG_MUST_USE;

/* Number of elements of all parameters. */
int64_t training_parameters(const training *t);

#endif
