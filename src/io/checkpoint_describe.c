/* What a checkpoint says about itself, written as metadata strings. */
#include "checkpoint_info.h"

#include <cjson/cJSON.h>

#include "number.h"
#include "number_list.h"

/* Begins one more text and returns its value, which is empty. */
static cg_text *add(cg_checkpoint_texts *texts, const char *key) {
    size_t i = texts->count++;
    texts->item[i].key = key;
    return &texts->value[i];
}

static void add_text(cg_checkpoint_texts *texts, const char *key, const char *text) {
    if (text != NULL) {
        cg_text_append(add(texts, key), "%s", text);
    }
}

static void add_integer(cg_checkpoint_texts *texts, const char *key, int64_t value) {
    cg_text_append(add(texts, key), "%lld", (long long)value);
}

static void add_seed(cg_checkpoint_texts *texts, const char *key, uint64_t value) {
    cg_text_append(add(texts, key), "%llu", (unsigned long long)value);
}

/* A list of strings, as JSON writes it. */
static void add_names(cg_checkpoint_texts *texts, const char *key, char *const *names, int64_t count) {
    cg_text *text = add(texts, key);
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; array != NULL && i < count; i++) {
        cJSON *name = cJSON_CreateString(names[i]);
        text->failed = text->failed || name == NULL || !cJSON_AddItemToArray(array, name);
    }
    char *printed = array != NULL ? cJSON_PrintUnformatted(array) : NULL;
    text->failed = text->failed || printed == NULL;
    if (printed != NULL) {
        cg_text_append(text, "%s", printed);
    }
    cJSON_free(printed);
    cJSON_Delete(array);
}

static void add_data(cg_checkpoint_texts *texts, const cg_checkpoint_info *info) {
    add_text(texts, "data", info->data);
    add_text(texts, "target", info->target);
    if (info->sample.rank > 0) {
        cg_text_append(add(texts, "sample"), "%s", cg_shape_print(&info->sample, CG_SHAPE_TEXT));
    }
    if (info->classes > 0) {
        add_integer(texts, "classes", info->classes);
    }
    if (info->class_names != NULL) {
        add_names(texts, "class_names", info->class_names, info->classes);
    }
    if (info->has_normalization) {
        cg_number_list_append(add(texts, "mean"), info->mean, info->channels);
        cg_number_list_append(add(texts, "std"), info->std, info->channels);
    }
    if (info->has_split) {
        char number[CG_NUMBER_SIZE];
        add_text(texts, "valid", cg_number_print(info->valid, number));
        add_seed(texts, "split_seed", info->split_seed);
        add_integer(texts, "limit", info->limit);
    }
}

const char *cg_note_key(cg_note note) {
    static const char *const keys[] = {
#define X(name, key) key,
        CG_NOTE_MAP(X)
#undef X
    };
    return keys[note];
}

static void add_training(cg_checkpoint_texts *texts, const cg_checkpoint_info *info, const cg_optimizer *optimizer) {
    add_text(texts, "optimizer", info->optimizer);
    add_integer(texts, "optimizer_steps", optimizer != NULL ? cg_optimizer_steps(optimizer) : info->optimizer_steps);
    add_integer(texts, "epoch", info->epoch);
    add_integer(texts, "position", info->position);
    add_seed(texts, "seed", info->seed);
    add_integer(texts, "batch", info->batch);
    add_text(texts, "shuffle", info->shuffle ? "true" : "false");
    if (!info->has_split) {
        add_integer(texts, "limit", info->limit);
    }
    for (int i = 0; i < CG_NOTES; i++) {
        add_text(texts, cg_note_key((cg_note)i), info->notes[i]);
    }
}

cg_status cg_checkpoint_describe(const cg_checkpoint_info *info, const cg_optimizer *optimizer,
                                 cg_checkpoint_texts *texts) {
    *texts = (cg_checkpoint_texts){0};
    if (info->has_normalization && info->channels < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "a normalization of %lld channels: at least 1 is needed",
                       (long long)info->channels);
    }
    add_text(texts, "format", CG_CHECKPOINT_FORMAT);
    add_text(texts, "model", info->model);
    add_data(texts, info);
    add_text(texts, "loss", info->loss);
    if (optimizer != NULL || info->optimizer != NULL) {
        add_training(texts, info, optimizer);
    }
    bool failed = false;
    for (size_t i = 0; i < texts->count; i++) {
        texts->item[i].value = cg_text_get(&texts->value[i]);
        failed = failed || texts->value[i].failed;
    }
    return failed ? CG_ERR_MEMORY : CG_OK;
}

void cg_checkpoint_texts_free(cg_checkpoint_texts *texts) {
    for (size_t i = 0; i < texts->count; i++) {
        cg_text_free(&texts->value[i]);
    }
    texts->count = 0;
}
