/* Slots on the device for losses and predictions. */
#include "collector.h"

#include "alloc.h"

cg_status cg_collector_create(cg_device *device, cg_dtype dtype, int64_t total, int64_t size, cg_collector *collector) {
    *collector = (cg_collector){0};
    CG_TRY(cg_tensor_create(device, dtype, &CG_SHAPE(total), &collector->values));
    size_t n_slots = (size_t)((total + size - 1) / size);
    collector->slots = cg_alloc_zero(n_slots ? n_slots : 1, sizeof(cg_tensor *));
    if (!collector->slots) {
        return CG_ERR_MEMORY;
    }
    collector->n_slots = n_slots;
    for (size_t i = 0; i < n_slots; i++) {
        int64_t begin = (int64_t)i * size;
        int64_t n = total - begin < size ? total - begin : size;
        CG_TRY(cg_tensor_view(collector->values, (size_t)begin, &CG_SHAPE(n), &collector->slots[i]));
    }
    return CG_OK;
}

void cg_collector_clear(cg_collector *collector) {
    for (size_t i = 0; i < collector->n_slots; i++) {
        cg_tensor_destroy(collector->slots[i]);
    }
    cg_free(collector->slots);
    cg_tensor_destroy(collector->values);
    *collector = (cg_collector){0};
}
