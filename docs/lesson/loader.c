/* Chapter 8: batches in a random order, of images that are on the device already. */
#include "lesson.h"

#include <clgrad/random.h>
#include <stdlib.h>

/* Each place changes with one at or before it, drawn anew: every order is as likely as any other (Fisher, Yates). */
static void shuffle(float *order, int64_t n, uint64_t epoch) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)((double)cg_random_uniform(LESSON_SEED, epoch, (uint64_t)i) * (double)(i + 1));
        float moved = order[i];
        order[i] = order[j];
        order[j] = moved;
    }
}

cg_status lesson_batches_start(lesson *l, lesson_batches *b, bool shuffled, uint64_t epoch) {
    int64_t n = cg_tensor_shape(b->x)->dim[0];
    if (b->order == NULL) {
        CG_TRY(lesson_tensor(l, CG_SHAPE(n), &b->order));
    }
    float *order = malloc((size_t)n * sizeof *order);
    if (order == NULL) {
        return cg_fail(CG_ERR_MEMORY, "no memory for the order of %lld images", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        order[i] = (float)i; /* exact up to 16 million */
    }
    if (shuffled) {
        shuffle(order, n, epoch);
    }
    b->next = 0;
    cg_status status = cg_tensor_write_f32(b->order, order, n);
    free(order);
    return status;
}

bool lesson_batches_next(cg_tape *tape, lesson_batches *b, cg_tensor **x, cg_tensor **y) {
    int64_t n = cg_tensor_shape(b->x)->dim[0], start = b->next, end = start + b->size < n ? start + b->size : n;
    if (start == n) {
        return false;
    }
    cg_tensor *rows = cg_cast(tape, cg_slice(tape, b->order, 0, start, end, 1), CG_I64);
    *x = cg_index_select(tape, b->x, 0, rows);
    *y = cg_index_select(tape, b->y, 0, rows);
    b->next = end;
    return true;
}
