/* Collecting what a checkpoint holds. */
#include "slots.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"

static cg_status add_state(cg_slots *slots, const char *prefix, const char *name, cg_tensor *tensor) {
    cg_slot *slot = &slots->item[slots->count++];
    *slot = (cg_slot){.kind = CG_SLOT_STATE, .tensor = tensor};
    size_t size = strlen(prefix) + strlen(name) + 1;
    slot->owned = cg_alloc(size);
    if (slot->owned == NULL) {
        return CG_ERR_MEMORY;
    }
    snprintf(slot->owned, size, "%s%s", prefix, name);
    slot->name = slot->owned;
    return CG_OK;
}

static cg_slot *find(const cg_slots *slots, const char *name) {
    size_t i = 0;
    while (i < slots->count && strcmp(slots->item[i].name, name) != 0) {
        i++;
    }
    return i < slots->count ? &slots->item[i] : NULL;
}

/* The average takes the place of the weight, which becomes a state. */
static cg_status exchange(cg_slots *slots, const char *name, cg_tensor *average) {
    cg_slot *slot = find(slots, name);
    if (slot == NULL) {
        return cg_fail(CG_ERR_ARGUMENT, "there is an average of %s, which the module has not", name);
    }
    cg_tensor *raw = slot->tensor;
    slot->tensor = average;
    return add_state(slots, CG_TRAINING_PREFIX "raw.", name, raw);
}

cg_status cg_slots_collect(const cg_checkpoint_parts *parts, cg_slots *slots) {
    const cg_module *module = parts->module;
    const cg_optimizer *optimizer = parts->optimizer;
    *slots = (cg_slots){0};
    size_t parameters = cg_module_parameter_count(module), buffers = cg_module_buffer_count(module);
    size_t states = optimizer != NULL ? cg_optimizer_state_count(optimizer) : 0;
    size_t averages = parts->average != NULL ? cg_average_count(parts->average) : 0;
    slots->item = cg_alloc_zero(parameters + buffers + states + averages, sizeof *slots->item);
    if (slots->item == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < parameters; i++) {
        cg_slot *slot = &slots->item[slots->count++];
        slot->kind = CG_SLOT_PARAMETER;
        slot->tensor = cg_module_parameter(module, i, &slot->name);
    }
    for (size_t i = 0; i < buffers; i++) {
        cg_slot *slot = &slots->item[slots->count++];
        slot->kind = CG_SLOT_BUFFER;
        slot->tensor = cg_module_buffer(module, i, &slot->name);
    }
    const char *name;
    for (size_t i = 0; i < states; i++) {
        cg_tensor *state = cg_optimizer_state(optimizer, i, &name);
        CG_TRY(add_state(slots, CG_TRAINING_PREFIX, name, state));
    }
    for (size_t i = 0; i < averages; i++) {
        cg_tensor *average = cg_average_tensor(parts->average, i, &name);
        CG_TRY(exchange(slots, name, average));
    }
    return CG_OK;
}

void cg_slots_free(cg_slots *slots) {
    for (size_t i = 0; i < slots->count; i++) {
        cg_free(slots->item[i].owned);
    }
    cg_free(slots->item);
    *slots = (cg_slots){0};
}

bool cg_slots_is_training(const char *name) {
    return strncmp(name, CG_TRAINING_PREFIX, strlen(CG_TRAINING_PREFIX)) == 0;
}
