/* The state of a training besides weights and optimizer: into a checkpoint and out of it. */
#include <string.h>

#include "alloc.h"
#include "number.h"
#include "number_list.h"
#include "trainer.h"

/* Takes the text's memory; `status` goes on. */
static cg_status keep(cg_checkpoint_info *info, cg_note note, cg_text *text) {
    info->notes[note] = text->bytes;
    return text->failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status note_word(cg_checkpoint_info *info, cg_note note, const char *word) {
    info->notes[note] = cg_strdup(word);
    return info->notes[note] != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status note_numbers(cg_checkpoint_info *info, cg_note note, const double *numbers, int count) {
    cg_text text = {0};
    cg_number_list_append(&text, numbers, count);
    return keep(info, note, &text);
}

/* The numbers of a note, `count` of them; CG_ERR_FORMAT when it is there and is something else. Left as they are where
 * it is not. */
static cg_status read_numbers(const cg_checkpoint_info *info, cg_note note, double *numbers, int count) {
    const char *text = info->notes[note];
    double read[8];
    if (text == NULL) {
        return CG_OK;
    }
    if (cg_number_list_read(text, read, 8) != count) {
        return cg_fail(CG_ERR_FORMAT, "its training state has \"%.100s\" where a list of %d numbers was expected", text,
                       count);
    }
    memcpy(numbers, read, (size_t)count * sizeof *numbers);
    return CG_OK;
}

static cg_status describe_schedule(const cg_trainer *t, cg_checkpoint_info *info) {
    const size_t size = cg_schedule_print(t->schedule, NULL, 0) + 1;
    info->notes[CG_NOTE_SCHEDULE] = cg_alloc(size);
    if (info->notes[CG_NOTE_SCHEDULE] == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_schedule_print(t->schedule, info->notes[CG_NOTE_SCHEDULE], size);
    CG_TRY(note_word(info, CG_NOTE_SCHEDULE_EVERY, t->options.schedule_by_epoch ? "epoch" : "step"));
    if (!cg_schedule_wants_metric(t->schedule)) {
        return CG_OK;
    }
    const cg_schedule_state state = cg_schedule_get_state(t->schedule);
    const double numbers[] = {state.best, (double)state.bad, (double)state.cooldown, (double)state.reductions};
    return note_numbers(info, CG_NOTE_SCHEDULE_STATE, numbers, 4);
}

static cg_status restore_schedule(cg_trainer *t, const cg_checkpoint_info *info) {
    if (t->schedule == NULL) {
        return CG_OK;
    }
    const cg_schedule_state state = cg_schedule_get_state(t->schedule);
    double numbers[] = {state.best, (double)state.bad, (double)state.cooldown, (double)state.reductions};
    CG_TRY(read_numbers(info, CG_NOTE_SCHEDULE_STATE, numbers, 4));
    const cg_schedule_state restored = {numbers[0], (int64_t)numbers[1], (int64_t)numbers[2], (int64_t)numbers[3]};
    cg_schedule_set_state(t->schedule, &restored);
    return CG_OK;
}

static cg_status note_count(cg_checkpoint_info *info, cg_note note, int64_t count) {
    cg_text text = {0};
    cg_text_append(&text, "%lld", (long long)count);
    return keep(info, note, &text);
}

static cg_status describe_precision(const cg_trainer *t, cg_checkpoint_info *info) {
    cg_dtype precision = cg_device_precision(t->device);
    CG_TRY(precision != CG_F32 ? note_word(info, CG_NOTE_PRECISION, cg_dtype_name(precision)) : CG_OK);
    const double numbers[] = {t->scale.value, (double)t->scale.good};
    return t->scale.value != 0 ? note_numbers(info, CG_NOTE_LOSS_SCALE, numbers, 2) : CG_OK;
}

static cg_status restore_scale(cg_trainer *t, const cg_checkpoint_info *info) {
    double numbers[] = {t->scale.value, (double)t->scale.good};
    CG_TRY(read_numbers(info, CG_NOTE_LOSS_SCALE, numbers, 2));
    if (!(numbers[0] >= 1 && numbers[0] <= 0x1p24 && numbers[1] >= 0)) {
        return cg_fail(CG_ERR_FORMAT, "its loss scale is %g after %g updates", numbers[0], numbers[1]);
    }
    t->scale.value = numbers[0];
    t->scale.good = (int64_t)numbers[1];
    return CG_OK;
}

/* What is off has no note. */
static cg_status describe_options(const cg_trainer *t, cg_checkpoint_info *info) {
    const cg_train_options *o = &t->options;
    const char *augment = cg_data_describe(t->data)->augment;
    CG_TRY(augment != NULL ? note_word(info, CG_NOTE_AUGMENT, augment) : CG_OK);
    char number[CG_NUMBER_SIZE];
    CG_TRY(o->clip_norm > 0 ? note_word(info, CG_NOTE_CLIP_NORM, cg_number_print(o->clip_norm, number)) : CG_OK);
    CG_TRY(o->clip_value > 0 ? note_word(info, CG_NOTE_CLIP_VALUE, cg_number_print(o->clip_value, number)) : CG_OK);
    CG_TRY(o->accumulate > 1 ? note_count(info, CG_NOTE_ACCUMULATE, o->accumulate) : CG_OK);
    CG_TRY(o->freeze != NULL ? note_word(info, CG_NOTE_FREEZE, o->freeze) : CG_OK);
    CG_TRY(o->groups != NULL ? note_word(info, CG_NOTE_GROUPS, o->groups) : CG_OK);
    CG_TRY(o->patience > 0 ? note_count(info, CG_NOTE_PATIENCE, o->patience) : CG_OK);
    CG_TRY(describe_precision(t, info));
    if (t->average == NULL) {
        return CG_OK;
    }
    CG_TRY(note_word(info, CG_NOTE_AVERAGE, o->average));
    const double updates = (double)cg_average_updates(t->average);
    return note_numbers(info, CG_NOTE_AVERAGE_UPDATES, &updates, 1);
}

static cg_status restore_average(cg_trainer *t, const cg_checkpoint_info *info) {
    if (t->average == NULL) {
        return CG_OK;
    }
    double updates = 0;
    CG_TRY(read_numbers(info, CG_NOTE_AVERAGE_UPDATES, &updates, 1));
    cg_average_set_updates(t->average, (int64_t)updates);
    return CG_OK;
}

static cg_status restore_best(cg_trainer *t, const cg_checkpoint_info *info) {
    const cg_best *b = &t->best;
    double best[] = {(double)b->epoch, b->loss, b->accuracy, b->lowest_loss, (double)b->stale};
    CG_TRY(read_numbers(info, CG_NOTE_BEST, best, 5));
    t->best = (cg_best){(int64_t)best[0], best[1], best[2], best[3], (int64_t)best[4]};
    return CG_OK;
}

cg_status cg_trainer_describe(const cg_trainer *t, cg_checkpoint_info *info) {
    memset(info->notes, 0, sizeof info->notes);
    info->optimizer_steps = cg_optimizer_steps(t->optimizer);
    info->epoch = t->epoch;
    info->position = t->position;
    info->seed = t->options.seed;
    info->batch = t->options.batch;
    info->shuffle = !t->options.no_shuffle;
    const int64_t *rows = cg_data_describe(t->data)->rows;
    const double counts[] = {(double)rows[CG_SPLIT_TRAIN], (double)rows[CG_SPLIT_VALID]};
    CG_TRY(note_numbers(info, CG_NOTE_ROWS, counts, 2));
    CG_TRY(t->schedule != NULL ? describe_schedule(t, info) : CG_OK);
    CG_TRY(describe_options(t, info));
    const cg_best *b = &t->best;
    const double best[] = {(double)b->epoch, b->loss, b->accuracy, b->lowest_loss, (double)b->stale};
    return b->epoch > 0 ? note_numbers(info, CG_NOTE_BEST, best, 5) : CG_OK;
}

static void free_notes(cg_checkpoint_info *info) {
    for (int i = 0; i < CG_NOTES; i++) {
        cg_free(info->notes[i]);
    }
}

cg_status cg_trainer_save(cg_trainer *t, const char *path, const cg_checkpoint_info *about) {
    cg_checkpoint_info info = *about;
    cg_status status = cg_trainer_describe(t, &info);
    if (status == CG_OK) {
        const cg_checkpoint_parts parts = {t->model, t->optimizer, t->average};
        status = cg_checkpoint_save_parts(path, &parts, &info);
    }
    free_notes(&info);
    return status;
}

/* Other rows would come in another order, and the position would be of another epoch. */
static cg_status check_rows(const cg_trainer *t, const cg_checkpoint_info *info) {
    const cg_data_info *data = cg_data_describe(t->data);
    const int64_t train = data->rows[CG_SPLIT_TRAIN], valid = data->rows[CG_SPLIT_VALID];
    double saved[] = {(double)train, (double)valid};
    CG_TRY(read_numbers(info, CG_NOTE_ROWS, saved, 2));
    if (saved[0] != (double)train || saved[1] != (double)valid) {
        return cg_fail(CG_ERR_FORMAT,
                       "it was trained on %.0f rows and validated on %.0f, the data '%s' has %lld and %lld", saved[0],
                       saved[1], data->name, (long long)train, (long long)valid);
    }
    return CG_OK;
}

static cg_status restore(cg_trainer *t, const char *path, const cg_checkpoint_info *info) {
    CG_TRY(check_rows(t, info));
    if (info->position % cg_trainer_group(t) != 0 && info->position % t->batches != 0) {
        return cg_fail(CG_ERR_FORMAT,
                       "it was saved after %lld batches of an epoch, between two updates of %lld batches",
                       (long long)info->position, (long long)cg_trainer_group(t));
    }
    CG_TRY(restore_schedule(t, info));
    CG_TRY(restore_average(t, info));
    CG_TRY(restore_best(t, info));
    CG_TRY(t->scale.value != 0 ? restore_scale(t, info) : CG_OK);
    const cg_checkpoint_parts parts = {t->model, t->optimizer, t->average};
    CG_TRY(cg_checkpoint_load_parts(path, &parts, CG_LOAD_STRICT));
    cg_trainer_set_position(t, info->epoch, info->position);
    return CG_OK;
}

cg_status cg_trainer_load(cg_trainer *t, const char *path) {
    cg_checkpoint_info info;
    CG_TRY(cg_checkpoint_read(path, &info));
    cg_status status = restore(t, path, &info);
    if (status == CG_ERR_FORMAT && strncmp(cg_error_message(), path, strlen(path)) != 0) {
        status = cg_fail_context(status, "%s: ", path);
    }
    cg_checkpoint_info_clear(&info);
    return status;
}
