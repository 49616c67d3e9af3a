/* Saving a checkpoint: tensors are read back from the device, numbers as f32, and written in one step. */
#include <string.h>

#include "alloc.h"
#include "checkpoint_info.h"
#include "slots.h"

static cg_stored_dtype stored_dtype(cg_dtype dtype) {
    switch (dtype) {
    case CG_F32:
    case CG_F64:
    case CG_F16:
    case CG_BF16:
        return CG_STORED_F32;
    case CG_I32:
        return CG_STORED_I32;
    case CG_I64:
        return CG_STORED_I64;
    case CG_U8:
        return CG_STORED_U8;
    }
    return CG_STORED_OTHER;
}

/* Reads one tensor into memory that the caller frees (stored->data). */
static cg_status read_tensor(const cg_slot *slot, cg_stored *stored) {
    stored->name = slot->name;
    stored->dtype = stored_dtype(cg_tensor_dtype(slot->tensor));
    stored->shape = *cg_tensor_shape(slot->tensor);
    int64_t count = cg_tensor_numel(slot->tensor);
    stored->bytes = (size_t)count * cg_stored_dtype_size(stored->dtype);
    void *memory = cg_alloc(stored->bytes);
    if (memory == NULL) {
        return CG_ERR_MEMORY;
    }
    stored->data = memory;
    return stored->dtype == CG_STORED_F32 ? cg_tensor_read_f32(slot->tensor, memory, count)
                                          : cg_tensor_read(slot->tensor, memory, stored->bytes);
}

static cg_status read_tensors(const cg_slots *slots, cg_stored *tensors) {
    for (size_t i = 0; i < slots->count; i++) {
        CG_TRY(read_tensor(&slots->item[i], &tensors[i]));
    }
    return CG_OK;
}

static cg_status save_slots(const char *path, const cg_slots *slots, const cg_checkpoint_texts *texts) {
    cg_stored *tensors = cg_alloc_zero(slots->count, sizeof *tensors);
    if (tensors == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = read_tensors(slots, tensors);
    if (status == CG_OK) {
        status = cg_safetensors_write(path, tensors, slots->count, texts->item, texts->count);
    }
    for (size_t i = 0; i < slots->count; i++) {
        cg_free((void *)tensors[i].data);
    }
    cg_free(tensors);
    return status;
}

cg_status cg_checkpoint_save_parts(const char *path, const cg_checkpoint_parts *parts, const cg_checkpoint_info *info) {
    static const cg_checkpoint_info nothing = {0};
    cg_checkpoint_texts texts = {0};
    cg_slots slots = {0};
    cg_status status = cg_checkpoint_describe(info != NULL ? info : &nothing, parts->optimizer, &texts);
    if (status == CG_OK) {
        status = cg_slots_collect(parts, &slots);
    }
    if (status == CG_OK) {
        status = save_slots(path, &slots, &texts);
    }
    cg_slots_free(&slots);
    cg_checkpoint_texts_free(&texts);
    return status;
}

cg_status cg_checkpoint_save(const char *path, cg_module *module, cg_optimizer *optimizer,
                             const cg_checkpoint_info *info) {
    return cg_checkpoint_save_parts(path, &(cg_checkpoint_parts){.module = module, .optimizer = optimizer}, info);
}
