/* What the ops of an update cost: a few updates more than the training has, each op waited for, and all put back. */
#include <string.h>

#include "alloc.h"
#include "trainer.h"

#define TIMED_UPDATES 3

typedef struct op_timer {
    cg_device *device;
    double last; /* when the op before was done */
    cg_op_time *rows;
    size_t capacity, count; /* of rows; more kinds than fit are counted, not kept */
} op_timer;

static cg_status on_op(void *context, const cg_ran_op *op) {
    op_timer *timer = context;
    CG_TRY(cg_device_wait(timer->device));
    double now = cg_clock_now();
    size_t i = 0, kept = timer->count < timer->capacity ? timer->count : timer->capacity;
    while (i < kept && strcmp(timer->rows[i].op, op->name) != 0) {
        i++;
    }
    if (i == kept) {
        timer->count++;
    }
    if (i == kept && kept < timer->capacity) {
        timer->rows[kept++] = (cg_op_time){.op = op->name};
    }
    if (i < kept) {
        timer->rows[i].times++;
        timer->rows[i].seconds += now - timer->last;
    }
    timer->last = cg_clock_now();
    return CG_OK;
}

/* The next update of a pass that begins again where it ends. */
static cg_status update(cg_trainer *t) {
    if (t->position == t->batches) {
        t->position = 0;
        CG_TRY(cg_trainer_begin_pass(t));
    }
    return cg_trainer_repeat_update(t);
}

/* The first builds and fills what later ones find there, and is not timed. What an update does before its first op
 * counts for none. */
static cg_status time_updates(cg_trainer *t, op_timer *timer) {
    t->position = 0;
    CG_TRY(cg_trainer_begin_pass(t));
    CG_TRY(update(t));
    cg_tape_watch(t->tape, on_op, timer);
    cg_status status = CG_OK;
    for (int i = 0; i < TIMED_UPDATES && status == CG_OK; i++) {
        status = cg_device_wait(t->device);
        timer->last = cg_clock_now();
        status = status == CG_OK ? update(t) : status;
    }
    cg_tape_watch(t->tape, NULL, NULL);
    return status;
}

/* The copy is that of the NaN search, which finds the same state in it. */
static cg_status time_and_restore(cg_trainer *t, op_timer *timer) {
    int64_t position = t->position;
    t->snapshot_position = position;
    CG_TRY(cg_snapshot_take(&t->snapshot, t->tape));
    cg_status status = time_updates(t, timer);
    if (status != CG_OK) {
        cg_tape_reset(t->tape);
    }
    t->position = position;
    cg_status back = cg_snapshot_restore(&t->snapshot, t->tape);
    back = back == CG_OK ? cg_trainer_begin_pass(t) : back;
    return status != CG_OK ? status : back;
}

cg_status cg_trainer_time_ops(cg_trainer *t, cg_op_time *rows, size_t capacity, size_t *count) {
    *count = 0;
    if (t->n_pending > 0 || t->step.tape != NULL) {
        return cg_fail(CG_ERR_STATE, "ops are timed before, between or after epochs, not inside one");
    }
    op_timer timer = {.device = t->device, .rows = rows, .capacity = capacity};
    size_t listeners = t->n_callbacks;
    t->n_callbacks = 0;
    cg_exchange_pause(t->exchange, true); /* other ranks do not take part */
    cg_status status = time_and_restore(t, &timer);
    cg_exchange_pause(t->exchange, false);
    t->n_callbacks = listeners;
    for (size_t i = 0; i < timer.count && i < capacity; i++) {
        rows[i].seconds /= TIMED_UPDATES;
        rows[i].times /= TIMED_UPDATES;
    }
    *count = status == CG_OK ? timer.count : 0;
    return status;
}
