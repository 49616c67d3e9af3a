/* Collecting what a checkpoint holds. */
#include "slots.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"

static cg_status add_state(const cg_optimizer *optimizer, size_t index, cg_slot *slot) {
    const char *name;
    *slot = (cg_slot){.kind = CG_SLOT_STATE, .tensor = cg_optimizer_state(optimizer, index, &name)};
    size_t size = strlen(CG_TRAINING_PREFIX) + strlen(name) + 1;
    slot->owned = cg_alloc(size);
    if (slot->owned == NULL) {
        return CG_ERR_MEMORY;
    }
    snprintf(slot->owned, size, "%s%s", CG_TRAINING_PREFIX, name);
    slot->name = slot->owned;
    return CG_OK;
}

cg_status cg_slots_collect(const cg_module *module, const cg_optimizer *optimizer, cg_slots *slots) {
    *slots = (cg_slots){0};
    size_t parameters = cg_module_parameter_count(module), buffers = cg_module_buffer_count(module);
    size_t states = optimizer != NULL ? cg_optimizer_state_count(optimizer) : 0;
    slots->item = cg_alloc_zero(parameters + buffers + states, sizeof *slots->item);
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
    for (size_t i = 0; i < states; i++) {
        CG_TRY(add_state(optimizer, i, &slots->item[slots->count++]));
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
