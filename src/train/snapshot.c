/* A copy on the device of what a step changes. */
#include "snapshot.h"

#include "alloc.h"

static cg_status add(cg_snapshot *s, cg_tensor *tensor) {
    s->tensors[s->count] = tensor;
    return cg_tensor_create(cg_tensor_device(tensor), cg_tensor_dtype(tensor), cg_tensor_shape(tensor),
                            &s->copies[s->count++]);
}

cg_status cg_snapshot_create(cg_module *model, cg_optimizer *optimizer, cg_loss_scale *scale, cg_snapshot *s) {
    size_t parameters = cg_module_parameter_count(model), buffers = cg_module_buffer_count(model);
    size_t states = cg_optimizer_state_count(optimizer), all = parameters + buffers + states;
    *s = (cg_snapshot){.optimizer = optimizer, .scale = scale};
    s->tensors = cg_alloc_zero(all, sizeof *s->tensors);
    s->copies = cg_alloc_zero(all, sizeof *s->copies);
    if (s->tensors == NULL || s->copies == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < parameters; i++) {
        CG_TRY(add(s, cg_module_parameter(model, i, NULL)));
    }
    for (size_t i = 0; i < buffers; i++) {
        CG_TRY(add(s, cg_module_buffer(model, i, NULL)));
    }
    for (size_t i = 0; i < states; i++) {
        CG_TRY(add(s, cg_optimizer_state(optimizer, i, NULL)));
    }
    return CG_OK;
}

void cg_snapshot_clear(cg_snapshot *s) {
    for (size_t i = 0; i < s->count; i++) {
        cg_tensor_destroy(s->copies[i]);
    }
    cg_free(s->tensors);
    cg_free(s->copies);
    *s = (cg_snapshot){0};
}

cg_status cg_snapshot_take(cg_snapshot *s, cg_tape *tape) {
    s->steps = cg_optimizer_steps(s->optimizer);
    s->scale_then = *s->scale;
    for (size_t i = 0; i < s->count; i++) {
        CG_TRY(cg_copy(tape, s->copies[i], s->tensors[i]));
    }
    return cg_tape_run(tape);
}

cg_status cg_snapshot_restore(const cg_snapshot *s, cg_tape *tape) {
    for (size_t i = 0; i < s->count; i++) {
        CG_TRY(cg_copy(tape, s->tensors[i], s->copies[i]));
    }
    CG_TRY(cg_tape_run(tape));
    cg_optimizer_set_steps(s->optimizer, s->steps);
    *s->scale = s->scale_then;
    return CG_OK;
}
