/* The flags of clgrad train, and how they go together with a checkpoint that is resumed. */
#ifndef CLGRAD_TOOLS_TRAIN_OPTIONS_H
#define CLGRAD_TOOLS_TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <clgrad/train.h>

#include "options.h"

/* Texts are NULL and numbers NOT_GIVEN (valid: negative) until train_options_complete. */
typedef struct train_options {
    const char *data, *target, *task, *augment, *normalize, *schedule, *schedule_every, *freeze, *groups, *save_best,
        *model, *loss, *optimizer, *init, *out, *resume, *log, *report, *precision, *fallback, *device;
    double valid, ema, clip_norm, clip_value; /* not given: below 0, 0, 0 */
    int64_t memory, workers, limit, batch, epochs, steps, stop_after, save_every, accumulate, patience, seed;
    text_list devices; /* as given; device is the one of this process */
    bool allow_missing, allow_extra, no_shuffle, find_lr, stats, quiet, json;
} train_options;

/* Reads the flags; OPTIONS_RUN or an exit status, as options_parse. */
int train_options_parse(train_options *options, int argc, char **argv);
void train_options_clear(train_options *options);

/* Takes what was not given from the checkpoint that is resumed (saved NULL: none), then from the defaults. Flags that
 * disagree with the checkpoint are CG_ERR_ARGUMENT naming both. */
cg_status train_options_complete(train_options *options, const cg_checkpoint_info *saved) CG_MUST_USE;

/* CG_ERR_ARGUMENT when `flag` was given with a text whose meaning is not the checkpoint's; both in canonical form. */
cg_status check_agreement(const train_options *options, const char *flag, const char *given,
                          const char *saved) CG_MUST_USE;

#endif
