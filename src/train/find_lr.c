/* The learning-rate finder: steps whose rate grows, and where the loss falls fastest. */
#include <clgrad/find_lr.h>
#include <math.h>

#include "trainer.h"

#define DECAY 0.98
#define BURST 4.0
#define LAST_LEFT_OUT 5
#define LEAST_FALL 0.05

static cg_status check(const cg_find_lr_options *find) {
    if (!(find->start_lr > 0 && find->end_lr > find->start_lr && isfinite(find->end_lr)) || find->steps < 2) {
        return cg_fail(CG_ERR_ARGUMENT, "learning rates from %g to %g in %lld steps: at least 2 that rise are needed",
                       find->start_lr, find->end_lr, (long long)find->steps);
    }
    return CG_OK;
}

static double rate_of(const cg_find_lr_options *find, size_t i) {
    return find->start_lr * pow(find->end_lr / find->start_lr, (double)i / (double)(find->steps - 1));
}

/* Group 0 gets the rate, the others so many times of it as they were made with. */
static void set_rates(const cg_trainer *t, double lr) {
    double first, initial, momentum;
    cg_optimizer_group_initial(t->optimizer, 0, &first, &momentum);
    for (size_t i = 0; i < cg_optimizer_group_count(t->optimizer); i++) {
        cg_optimizer_group_initial(t->optimizer, i, &initial, &momentum);
        cg_optimizer_set_group_lr(t->optimizer, i, first > 0 ? lr * initial / first : lr);
    }
}

static void restore_rates(const cg_trainer *t) {
    double initial, momentum;
    for (size_t i = 0; i < cg_optimizer_group_count(t->optimizer); i++) {
        cg_optimizer_group_initial(t->optimizer, i, &initial, &momentum);
        cg_optimizer_set_group_lr(t->optimizer, i, initial);
    }
}

/* One update, over the end of the data where it comes; its last batch's loss is read at once. */
static cg_status step(cg_trainer *t, double *loss) {
    if (t->position == t->batches) {
        t->epoch++;
        t->position = 0;
        CG_TRY(cg_trainer_begin_pass(t));
    }
    CG_TRY(cg_trainer_repeat_update(t));
    return cg_tensor_item(t->history.slots[0], loss);
}

static cg_status sweep(cg_trainer *t, const cg_find_lr_options *find, cg_lr_point *points, size_t *count) {
    double mean = 0, lowest = INFINITY;
    bool going = true;
    CG_TRY(cg_trainer_begin_pass(t));
    for (size_t i = 0; going && i < (size_t)find->steps; i++) {
        cg_lr_point *point = &points[i];
        point->lr = rate_of(find, i);
        set_rates(t, point->lr);
        CG_TRY(step(t, &point->loss));
        mean = DECAY * mean + (1 - DECAY) * point->loss;
        point->smooth = mean / (1 - pow(DECAY, (double)(i + 1)));
        lowest = fmin(lowest, point->smooth);
        going = point->smooth <= BURST * lowest; /* not when it is NaN */
        *count += isnan(point->smooth) ? 0 : 1;
    }
    return CG_OK;
}

/* Batches differ: a fall of less than this share of the first loss may be nothing but that. */
static bool falls(const cg_lr_point *points, size_t count) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = any || points[i].smooth < (1 - LEAST_FALL) * points[0].smooth;
    }
    return any;
}

static double suggest(const cg_lr_point *points, size_t count, int64_t steps) {
    double steepest = 0, found = NAN;
    if (!falls(points, count)) {
        return NAN;
    }
    for (size_t i = (size_t)(steps / 10); i + 1 + LAST_LEFT_OUT < count; i++) {
        double slope = (points[i + 1].smooth - points[i].smooth) / (log(points[i + 1].lr) - log(points[i].lr));
        if (slope < steepest) {
            steepest = slope;
            found = points[i].lr;
        }
    }
    return found;
}

/* The sweep between a copy of the state and its return. */
static cg_status sweep_and_restore(cg_trainer *t, const cg_find_lr_options *find, cg_lr_point *points, size_t *count) {
    CG_TRY(cg_snapshot_take(&t->snapshot, t->tape));
    cg_status status = sweep(t, find, points, count);
    if (status != CG_OK) {
        cg_tape_reset(t->tape);
    }
    restore_rates(t);
    cg_status back = cg_snapshot_restore(&t->snapshot, t->tape);
    return status != CG_OK ? status : back;
}

cg_status cg_find_lr(cg_module *model, cg_module *loss, cg_optimizer *optimizer, const cg_data *data,
                     const cg_train_options *options, const cg_find_lr_options *find, cg_lr_point *points,
                     size_t *count, double *suggestion) {
    cg_find_lr_options chosen = *find;
    chosen.start_lr = find->start_lr != 0 ? find->start_lr : 1e-7;
    chosen.end_lr = find->end_lr != 0 ? find->end_lr : 10;
    chosen.steps = find->steps != 0 ? find->steps : 100;
    *count = 0;
    *suggestion = NAN;
    CG_TRY(check(&chosen));
    const cg_train_options plain = {.batch = options->batch,
                                    .accumulate = options->accumulate,
                                    .clip_norm = options->clip_norm,
                                    .clip_value = options->clip_value,
                                    .seed = options->seed,
                                    .no_shuffle = options->no_shuffle};
    cg_trainer *trainer;
    CG_TRY(cg_trainer_create(model, loss, optimizer, data, &plain, &trainer));
    cg_status status = sweep_and_restore(trainer, &chosen, points, count);
    cg_trainer_destroy(trainer);
    *suggestion = suggest(points, *count, chosen.steps);
    return status;
}
