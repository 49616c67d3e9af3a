/* The tape's random stream: where an op that draws gets its numbers from. */
#include "tape.h"

void cg_tape_set_seed(cg_tape *tape, uint64_t seed, int64_t steps) {
    tape->seed = seed;
    tape->step = steps;
    tape->draws = 0;
}

/* Brings the count of steps to the device: once a step, before its first draw, so that nothing unrun uses it. */
static cg_status write_counter(cg_tape *tape) {
    if (tape->counter == NULL) {
        CG_TRY(cg_tensor_create(tape->device, CG_I64, &CG_SHAPE(1), &tape->counter));
    }
    int64_t count = tape->step + 1; /* stream words of 0 are those of initial weights */
    return cg_tensor_write(tape->counter, &count, sizeof count);
}

cg_tensor *cg_tape_draw(cg_tape *tape, uint64_t *seed, uint64_t *stream) {
    cg_status status = tape->status == CG_OK && tape->draws == 0 ? write_counter(tape) : tape->status;
    if (status != CG_OK) {
        return cg_tape_fail_status(tape, status);
    }
    *seed = tape->seed;
    *stream = tape->draws++;
    return tape->counter;
}
