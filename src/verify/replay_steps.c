/* Replaying an optimizer, gradients given step by step, and a schedule, which needs no device. */
#include <clgrad/optim.h>
#include <clgrad/schedule.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "case.h"
#include "record.h"

#define SCHEDULE_MOMENTUM 0.9 /* of the optimizer that cases are recorded with */

typedef struct session {
    const cg_case *c;
    cg_optimizer *optimizer;
    cg_tape *tape;
    cg_tensor **params;
    size_t count;
} session;

static const cg_stored *find(const session *s, const char *prefix, int64_t step, size_t index) {
    char name[64];
    snprintf(name, sizeof name, "%s%" PRId64 ".%zu", prefix, step, index);
    return cg_safetensors_find(s->c->file, name);
}

static cg_status make(session *s, cg_device *device) {
    while (cg_case_find(s->c, "param.", (int64_t)s->count) != NULL) {
        s->count++;
    }
    s->params = cg_alloc_zero(s->count, sizeof *s->params);
    if (s->params == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < s->count; i++) {
        CG_TRY(cg_case_upload(cg_case_find(s->c, "param.", (int64_t)i), device, &s->params[i]));
        cg_tensor_set_requires_grad(s->params[i], true);
    }
    CG_TRY(cg_optimizer_create(s->c->text, s->params, NULL, s->count, &s->optimizer));
    s->tape = cg_tape_create(device);
    return s->tape != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status give_gradient(const session *s, int64_t step, size_t index) {
    const cg_stored *stored = find(s, "grad.", step, index);
    int64_t count = cg_shape_numel(&stored->shape);
    float *values = cg_alloc((size_t)count * sizeof *values);
    if (values == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = cg_stored_read_f32(stored, values);
    if (status == CG_OK) {
        status = cg_tensor_set_grad(s->params[index], values, count);
    }
    cg_free(values);
    return status;
}

static cg_status run_step(const session *s, int64_t step, cg_results *results) {
    for (size_t i = 0; i < s->count; i++) {
        CG_TRY(give_gradient(s, step, i));
    }
    CG_TRY(cg_optimizer_step(s->optimizer, s->tape));
    CG_TRY(cg_tape_run(s->tape));
    for (size_t i = 0; i < s->count; i++) {
        CG_TRY(cg_results_take(results, find(s, "after.", step, i), s->params[i]));
    }
    return CG_OK;
}

cg_status cg_case_replay_optimizer(const cg_case *c, cg_device *device, cg_results *results) {
    session s = {.c = c};
    cg_status status = make(&s, device);
    for (int64_t step = 0; step < c->steps && status == CG_OK; step++) {
        status = run_step(&s, step, results);
    }
    cg_tape_destroy(s.tape);
    cg_optimizer_destroy(s.optimizer);
    for (size_t i = 0; i < s.count && s.params != NULL; i++) {
        cg_tensor_destroy(s.params[i]);
    }
    cg_free(s.params);
    return status;
}

static cg_status compute(const cg_case *c, const cg_schedule *schedule, double *lr, double *momentum,
                         cg_results *results) {
    for (int64_t step = 0; step < c->steps; step++) {
        CG_TRY(cg_schedule_at(schedule, step, &lr[step], &momentum[step]));
    }
    CG_TRY(cg_results_take_values(results, cg_safetensors_find(c->file, "lr"), lr));
    return cg_results_take_values(results, cg_safetensors_find(c->file, "momentum"), momentum);
}

cg_status cg_case_replay_schedule(const cg_case *c, cg_device *device, cg_results *results) {
    (void)device;
    cg_schedule *schedule = NULL;
    CG_TRY(cg_schedule_parse(c->text, c->lr, SCHEDULE_MOMENTUM, &schedule));
    double *values = cg_alloc(2 * (size_t)c->steps * sizeof *values);
    cg_status status = values != NULL ? compute(c, schedule, values, values + c->steps, results) : CG_ERR_MEMORY;
    cg_free(values);
    cg_schedule_destroy(schedule);
    return status;
}
