/* Reading a checkpoint's metadata: every value is checked, as it may come from anywhere. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "checkpoint_info.h"
#include "number.h"
#include "number_list.h"

/* The metadata of one file; `failed` is set by the first value that is wrong. */
typedef struct reader {
    const char *path;
    const cg_safetensors *file;
    cg_status failed;
} reader;

static const char *find(const reader *in, const char *key) {
    return in->failed == CG_OK ? cg_safetensors_metadata(in->file, key) : NULL;
}

static void refuse(reader *in, const char *key, const char *value, const char *wanted) {
    in->failed = cg_fail(CG_ERR_FORMAT, "%s: its metadata says %s = \"%.200s\", which should be %s", in->path, key,
                         value, wanted);
}

static char *read_text(reader *in, const char *key) {
    const char *value = find(in, key);
    char *copy = value != NULL ? cg_strdup(value) : NULL;
    if (value != NULL && copy == NULL) {
        in->failed = CG_ERR_MEMORY;
    }
    return copy;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static uint64_t read_unsigned(reader *in, const char *key, uint64_t most, const char *wanted) {
    const char *value = find(in, key);
    if (value == NULL) {
        return 0;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!is_digit(value[0]) || *end != '\0' || errno != 0 || number > most) {
        refuse(in, key, value, wanted);
        return 0;
    }
    return number;
}

static int64_t read_count(reader *in, const char *key) {
    return (int64_t)read_unsigned(in, key, INT64_MAX, "a whole number, at least 0");
}

static uint64_t read_seed(reader *in, const char *key) {
    return read_unsigned(in, key, UINT64_MAX, "a whole number of 64 bits");
}

static bool read_share(reader *in, const char *key, double *share) {
    const char *value = find(in, key);
    if (value == NULL) {
        return false;
    }
    if (!cg_number_read(value, strlen(value), share) || !(*share >= 0 && *share < 1)) {
        refuse(in, key, value, "a number from 0 to less than 1");
        return false;
    }
    return true;
}

static void read_sample(reader *in, cg_shape *sample) {
    const char *value = find(in, "sample");
    double size[CG_MAX_RANK];
    int rank = value != NULL ? cg_number_list_read(value, size, CG_MAX_RANK) : 0;
    bool good = rank >= 0;
    double product = 1;
    for (int i = 0; i < rank; i++) {
        good = good && size[i] >= 1 && size[i] == floor(size[i]);
        product *= size[i];
    }
    if (!good || product > 0x1p40) {
        refuse(in, "sample", value, "the shape of one sample");
        return;
    }
    sample->rank = rank;
    for (int i = 0; i < rank; i++) {
        sample->dim[i] = (int64_t)size[i];
    }
}

/* A list of any length, for the caller to free; NULL when there is none. */
static double *read_numbers(reader *in, const char *key, int64_t *count, bool positive) {
    const char *text = find(in, key);
    *count = 0;
    if (text == NULL) {
        return NULL;
    }
    int most = 1;
    for (const char *c = text; *c != '\0'; c++) {
        most += *c == ',' && most < INT_MAX;
    }
    double *values = cg_alloc((size_t)most * sizeof *values);
    if (values == NULL) {
        in->failed = CG_ERR_MEMORY;
        return NULL;
    }
    int found = cg_number_list_read(text, values, most);
    bool good = found >= 0;
    for (int i = 0; i < found; i++) {
        good = good && isfinite(values[i]) && (!positive || values[i] > 0);
    }
    if (!good) {
        refuse(in, key, text, positive ? "a list of numbers above 0" : "a list of numbers");
    }
    *count = found;
    return values;
}

static void read_normalization(reader *in, cg_checkpoint_info *info) {
    int64_t stds;
    info->mean = read_numbers(in, "mean", &info->channels, false);
    info->std = read_numbers(in, "std", &stds, true);
    if (in->failed == CG_OK && info->channels != stds) {
        in->failed = cg_fail(CG_ERR_FORMAT, "%s: its metadata has %lld means and %lld standard deviations", in->path,
                             (long long)info->channels, (long long)stds);
    }
    info->has_normalization = in->failed == CG_OK && info->channels > 0;
}

static void take_name(reader *in, cg_checkpoint_info *info, const cJSON *name, int64_t i) {
    if (!cJSON_IsString(name)) {
        refuse(in, "class_names", cg_safetensors_metadata(in->file, "class_names"), "a list of strings");
        return;
    }
    info->class_names[i] = cg_strdup(name->valuestring);
    if (info->class_names[i] == NULL) {
        in->failed = CG_ERR_MEMORY;
    }
}

static void take_names(reader *in, cg_checkpoint_info *info, const cJSON *list) {
    info->class_names = cg_alloc_zero((size_t)info->classes, sizeof *info->class_names);
    if (info->class_names == NULL) {
        in->failed = CG_ERR_MEMORY;
        return;
    }
    int64_t i = 0;
    for (const cJSON *name = list->child; name != NULL && in->failed == CG_OK; name = name->next) {
        take_name(in, info, name, i++);
    }
}

/* As many names as there are classes. */
static void read_class_names(reader *in, cg_checkpoint_info *info) {
    const char *text = find(in, "class_names");
    if (text == NULL) {
        return;
    }
    cJSON *list = cJSON_Parse(text);
    int64_t count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (count < 1 || count != info->classes) {
        refuse(in, "class_names", text, "a list with a name for each class");
    } else {
        take_names(in, info, list);
    }
    cJSON_Delete(list);
}

static void read_shuffle(reader *in, bool *shuffle) {
    const char *value = find(in, "shuffle");
    *shuffle = value != NULL && strcmp(value, "true") == 0;
    if (value != NULL && !*shuffle && strcmp(value, "false") != 0) {
        refuse(in, "shuffle", value, "true or false");
    }
}

static void read_all(reader *in, cg_checkpoint_info *info) {
    info->model = read_text(in, "model");
    info->data = read_text(in, "data");
    info->target = read_text(in, "target");
    read_sample(in, &info->sample);
    info->classes = read_count(in, "classes");
    read_class_names(in, info);
    read_normalization(in, info);
    info->has_split = read_share(in, "valid", &info->valid);
    info->split_seed = read_seed(in, "split_seed");
    info->limit = read_count(in, "limit");
    info->loss = read_text(in, "loss");
    info->optimizer = read_text(in, "optimizer");
    info->optimizer_steps = read_count(in, "optimizer_steps");
    info->epoch = read_count(in, "epoch");
    info->position = read_count(in, "position");
    info->seed = read_seed(in, "seed");
    info->batch = read_count(in, "batch");
    read_shuffle(in, &info->shuffle);
    for (int i = 0; i < CG_NOTES; i++) {
        info->notes[i] = read_text(in, cg_note_key((cg_note)i));
    }
}

cg_status cg_checkpoint_parse(const char *path, const cg_safetensors *file, cg_checkpoint_info *info) {
    *info = (cg_checkpoint_info){0};
    const char *format = cg_safetensors_metadata(file, "format");
    if (format == NULL || strncmp(format, CG_CHECKPOINT_FAMILY, strlen(CG_CHECKPOINT_FAMILY)) != 0) {
        return CG_OK;
    }
    reader in = {.path = path, .file = file};
    if (strcmp(format, CG_CHECKPOINT_FORMAT) != 0) {
        refuse(&in, "format", format, CG_CHECKPOINT_FORMAT " (a newer program wrote it)");
    } else {
        read_all(&in, info);
    }
    if (in.failed != CG_OK) {
        cg_checkpoint_info_clear(info);
    }
    return in.failed;
}

void cg_checkpoint_info_clear(cg_checkpoint_info *info) {
    for (int64_t i = 0; info->class_names != NULL && i < info->classes; i++) {
        cg_free(info->class_names[i]);
    }
    cg_free(info->class_names);
    cg_free(info->mean);
    cg_free(info->std);
    cg_free(info->model);
    cg_free(info->data);
    cg_free(info->target);
    cg_free(info->optimizer);
    cg_free(info->loss);
    for (int i = 0; i < CG_NOTES; i++) {
        cg_free(info->notes[i]);
    }
    *info = (cg_checkpoint_info){0};
}

cg_status cg_checkpoint_read(const char *path, cg_checkpoint_info *info) {
    *info = (cg_checkpoint_info){0};
    cg_safetensors *file;
    CG_TRY(cg_safetensors_open(path, &file));
    cg_status status = cg_checkpoint_parse(path, file, info);
    cg_safetensors_close(file);
    return status;
}
