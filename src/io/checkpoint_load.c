/* Loading a state dict: everything about the file is checked before the first tensor is written. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "checkpoint_info.h"
#include "slots.h"

#define NAMES_SHOWN 8

/* One load: the file, what it goes into, and memory for one tensor's values. */
typedef struct load {
    const char *path;
    cg_safetensors *file;
    cg_slots slots;
    unsigned flags;
    double *values;
} load;

/* Names that are missing or unexpected, the first few of them written out. */
typedef struct name_list {
    cg_text text;
    size_t count;
} name_list;

static void add_name(name_list *list, const char *name) {
    if (list->count++ < NAMES_SHOWN) {
        cg_text_append(&list->text, "%s%.100s", list->count > 1 ? ", " : "", name);
    }
}

static void end_names(name_list *list) {
    if (list->count > NAMES_SHOWN) {
        cg_text_append(&list->text, " and %zu more", list->count - NAMES_SHOWN);
    }
}

static bool is_wanted(const load *l, const char *name) {
    for (size_t i = 0; i < l->slots.count; i++) {
        if (strcmp(l->slots.item[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void find_missing(load *l, name_list *missing) {
    for (size_t i = 0; i < l->slots.count; i++) {
        cg_slot *slot = &l->slots.item[i];
        slot->stored = cg_safetensors_find(l->file, slot->name);
        bool optional = slot->kind == CG_SLOT_BUFFER ||
                        (slot->kind == CG_SLOT_PARAMETER && (l->flags & CG_LOAD_ALLOW_MISSING) != 0);
        if (slot->stored == NULL && !optional) {
            add_name(missing, slot->name);
        }
    }
}

/* Training state is passed over by a caller that gives no optimizer. */
static void find_extra(load *l, bool training, name_list *extra) {
    for (size_t i = 0; i < cg_safetensors_count(l->file); i++) {
        const char *name = cg_safetensors_tensor(l->file, i)->name;
        bool is_training = cg_slots_is_training(name);
        bool passed_over = is_training ? !training : (l->flags & CG_LOAD_ALLOW_EXTRA) != 0;
        if (!passed_over && !is_wanted(l, name)) {
            add_name(extra, name);
        }
    }
}

static cg_status check_names(load *l, bool training) {
    name_list missing = {0}, extra = {0};
    find_missing(l, &missing);
    find_extra(l, training, &extra);
    end_names(&missing);
    end_names(&extra);
    cg_status status = CG_OK;
    if (missing.text.failed || extra.text.failed) {
        status = CG_ERR_MEMORY;
    } else if (missing.count + extra.count > 0) {
        const char *both = missing.count > 0 && extra.count > 0 ? "; " : "";
        status = cg_fail(CG_ERR_FORMAT, "%s does not fit the model: %s%s%s%s%s", l->path,
                         missing.count > 0 ? "missing " : "", cg_text_get(&missing.text), both,
                         extra.count > 0 ? "unexpected " : "", cg_text_get(&extra.text));
    }
    cg_text_free(&missing.text);
    cg_text_free(&extra.text);
    return status;
}

static bool is_real(const cg_tensor *tensor) {
    return cg_tensor_dtype(tensor) == CG_F32 || cg_tensor_dtype(tensor) == CG_F64;
}

static bool dtype_fits(const cg_slot *slot) {
    cg_stored_dtype stored = slot->stored->dtype;
    switch (cg_tensor_dtype(slot->tensor)) {
    case CG_F32:
    case CG_F64:
    case CG_F16:
    case CG_BF16:
        return cg_stored_is_real(stored);
    case CG_I32:
        return stored == CG_STORED_I32;
    case CG_I64:
        return stored == CG_STORED_I64;
    case CG_U8:
        return stored == CG_STORED_U8;
    }
    return false;
}

static cg_status check_slot(const load *l, const cg_slot *slot) {
    const cg_stored *stored = slot->stored;
    const cg_shape *shape = cg_tensor_shape(slot->tensor);
    if (!cg_shape_equal(&stored->shape, shape)) {
        return cg_fail(CG_ERR_SHAPE, "%s: %s has the shape %s, the model's has %s", l->path, slot->name,
                       cg_shape_print(&stored->shape, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    if (!dtype_fits(slot)) {
        return cg_fail(CG_ERR_DTYPE, "%s: %s has the dtype %s, the model's has %s", l->path, slot->name,
                       stored->dtype_name, cg_dtype_name(cg_tensor_dtype(slot->tensor)));
    }
    return CG_OK;
}

/* The place of element `flat` of a shape, in the form of a shape. */
static cg_shape place_of(const cg_shape *shape, int64_t flat) {
    cg_shape place = {.rank = shape->rank};
    for (int i = shape->rank - 1; i >= 0; i--) {
        place.dim[i] = flat % shape->dim[i];
        flat /= shape->dim[i];
    }
    return place;
}

static cg_status check_values(const load *l, const cg_slot *slot) {
    CG_TRY(cg_stored_read_f64(slot->stored, l->values));
    int64_t count = cg_shape_numel(&slot->stored->shape);
    for (int64_t i = 0; i < count; i++) {
        if (isnan(l->values[i])) {
            cg_shape place = place_of(&slot->stored->shape, i);
            return cg_fail(CG_ERR_FORMAT, "%s: %s has an element that is not a number at %s", l->path, slot->name,
                           cg_shape_print(&place, CG_SHAPE_TEXT));
        }
    }
    return CG_OK;
}

static cg_status check_slots(load *l) {
    int64_t most = 0;
    for (size_t i = 0; i < l->slots.count; i++) {
        const cg_slot *slot = &l->slots.item[i];
        if (slot->stored != NULL) {
            CG_TRY(check_slot(l, slot));
            int64_t count = cg_tensor_numel(slot->tensor);
            most = count > most ? count : most;
        }
    }
    l->values = cg_alloc((size_t)most * sizeof *l->values);
    if (l->values == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < l->slots.count && (l->flags & CG_LOAD_ALLOW_NAN) == 0; i++) {
        const cg_slot *slot = &l->slots.item[i];
        if (slot->stored != NULL && is_real(slot->tensor)) {
            CG_TRY(check_values(l, slot));
        }
    }
    return CG_OK;
}

/* Doubles hold every stored real exactly, so that there is one rounding at most. */
static cg_status write_slots(const load *l) {
    for (size_t i = 0; i < l->slots.count; i++) {
        const cg_slot *slot = &l->slots.item[i];
        if (slot->stored == NULL) {
            continue;
        }
        if (is_real(slot->tensor)) {
            CG_TRY(cg_stored_read_f64(slot->stored, l->values));
            CG_TRY(cg_tensor_write_f64(slot->tensor, l->values, cg_tensor_numel(slot->tensor)));
        } else {
            CG_TRY(cg_tensor_write(slot->tensor, slot->stored->data, slot->stored->bytes));
        }
    }
    return CG_OK;
}

static cg_status load_file(load *l, const cg_checkpoint_parts *parts) {
    cg_optimizer *optimizer = parts->optimizer;
    cg_checkpoint_info info;
    CG_TRY(cg_checkpoint_parse(l->path, l->file, &info));
    int64_t steps = info.optimizer_steps;
    cg_checkpoint_info_clear(&info);
    if (optimizer != NULL && cg_safetensors_metadata(l->file, "optimizer_steps") == NULL) {
        return cg_fail(CG_ERR_FORMAT, "%s has weights only, no training state to go on with", l->path);
    }
    CG_TRY(cg_slots_collect(parts, &l->slots));
    CG_TRY(check_names(l, optimizer != NULL));
    CG_TRY(check_slots(l));
    CG_TRY(write_slots(l));
    if (optimizer != NULL) {
        cg_optimizer_set_steps(optimizer, steps);
    }
    return CG_OK;
}

cg_status cg_checkpoint_load_parts(const char *path, const cg_checkpoint_parts *parts, unsigned flags) {
    load l = {.path = path, .flags = flags};
    CG_TRY(cg_safetensors_open(path, &l.file));
    cg_status status = load_file(&l, parts);
    cg_slots_free(&l.slots);
    cg_free(l.values);
    cg_safetensors_close(l.file);
    return status;
}

cg_status cg_checkpoint_load(const char *path, cg_module *module, cg_optimizer *optimizer, unsigned flags) {
    return cg_checkpoint_load_parts(path, &(cg_checkpoint_parts){.module = module, .optimizer = optimizer}, flags);
}
