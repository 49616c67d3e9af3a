/* Flags of clgrad train whose texts a checkpoint keeps as notes. */
#include "train_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* The flag's text, else the checkpoint's; NULL for none. */
static const char *choose(const char *given, const cg_checkpoint_info *saved, cg_note note) {
    const char *text = given ? given : saved->notes[note];
    return text && strcmp(text, "none") != 0 ? text : NULL;
}

/* A number that the checkpoint has; 0 where it has none. */
static cg_status saved_number(const char *path, const cg_checkpoint_info *saved, cg_note note, double *number) {
    const char *text = saved->notes[note];
    char *end = NULL;
    *number = text ? strtod(text, &end) : 0;
    if (text && (end == text || *end || !(*number > 0 && *number < 1e15))) {
        return cg_fail(CG_ERR_FORMAT, "%s: its metadata says %s = \"%.100s\", which should be a number above 0", path,
                       cg_note_key(note), text);
    }
    return CG_OK;
}

static cg_status choose_count(const train_options *options, const cg_checkpoint_info *saved, cg_note note,
                              int64_t given, int64_t *count) {
    double number;
    CG_TRY(saved_number(options->resume, saved, note, &number));
    *count = given != NOT_GIVEN ? given : (int64_t)number;
    return CG_OK;
}

static cg_status choose_real(const train_options *options, const cg_checkpoint_info *saved, cg_note note, double given,
                             double *real) {
    CG_TRY(saved_number(options->resume, saved, note, real));
    *real = given > 0 ? given : *real;
    return CG_OK;
}

/* As PyTorch's own recipes: the running statistics of batch norms are averaged like the weights they belong to. */
static void name_average(const train_options *options, const cg_checkpoint_info *saved, train_texts *texts,
                         cg_train_options *chosen) {
    chosen->average = saved->notes[CG_NOTE_AVERAGE];
    if (options->ema >= 0) {
        snprintf(texts->average, sizeof texts->average, "EMA(decay=%.17g, use_buffers=True)", options->ema);
        chosen->average = texts->average;
    }
}

const char *train_notes_precision(const train_options *options, const cg_checkpoint_info *saved) {
    return options->precision ? options->precision : saved->notes[CG_NOTE_PRECISION];
}

cg_status train_notes_apply(const train_options *options, const cg_checkpoint_info *saved, train_texts *texts,
                            cg_train_options *chosen) {
    const char *every = choose(options->schedule_every, saved, CG_NOTE_SCHEDULE_EVERY);
    chosen->schedule = choose(options->schedule, saved, CG_NOTE_SCHEDULE);
    chosen->schedule_by_epoch = every && strcmp(every, "epoch") == 0;
    chosen->freeze = choose(options->freeze, saved, CG_NOTE_FREEZE);
    chosen->groups = choose(options->groups, saved, CG_NOTE_GROUPS);
    name_average(options, saved, texts, chosen);
    CG_TRY(choose_real(options, saved, CG_NOTE_CLIP_NORM, options->clip_norm, &chosen->clip_norm));
    CG_TRY(choose_real(options, saved, CG_NOTE_CLIP_VALUE, options->clip_value, &chosen->clip_value));
    CG_TRY(choose_count(options, saved, CG_NOTE_ACCUMULATE, options->accumulate, &chosen->accumulate));
    return choose_count(options, saved, CG_NOTE_PATIENCE, options->patience, &chosen->patience);
}

/* Patience is not among them: it may run out and be given anew. */
static const struct {
    cg_note note;
    const char *flag, *none;
} flags[] = {
    {CG_NOTE_SCHEDULE, "--schedule", "none"},   {CG_NOTE_SCHEDULE_EVERY, "--schedule-every", "none"},
    {CG_NOTE_CLIP_NORM, "--clip-norm", "none"}, {CG_NOTE_CLIP_VALUE, "--clip-value", "none"},
    {CG_NOTE_AVERAGE, "--ema", "none"},         {CG_NOTE_ACCUMULATE, "--accumulate", "none"},
    {CG_NOTE_AUGMENT, "--augment", "none"},     {CG_NOTE_FREEZE, "--freeze", "none"},
    {CG_NOTE_GROUPS, "--groups", "none"},       {CG_NOTE_PRECISION, "--precision", "f32"},
};

static cg_status agree(const train_options *options, const cg_checkpoint_info *saved, const cg_checkpoint_info *now) {
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const char *given = now->notes[flags[i].note], *stored = saved->notes[flags[i].note];
        CG_TRY(check_agreement(options, flags[i].flag, given ? given : flags[i].none, stored ? stored : flags[i].none));
    }
    return CG_OK;
}

cg_status train_notes_agree(const train_options *options, const cg_checkpoint_info *saved, const cg_trainer *trainer) {
    cg_checkpoint_info now = {0};
    cg_status status = cg_trainer_describe(trainer, &now);
    if (status == CG_OK) {
        status = agree(options, saved, &now);
    }
    cg_checkpoint_info_clear(&now);
    return status;
}
