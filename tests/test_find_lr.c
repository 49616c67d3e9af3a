/* The learning-rate finder: a rate that grows, a suggestion where the loss falls, and nothing changed. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include <clgrad/find_lr.h>

#include "small_training.h"

#include "devices.h"

#define STEPS 60

typedef struct found {
    cg_lr_point points[STEPS];
    size_t count;
    double suggestion;
} found;

static cg_status find(const small_training *s, cg_find_lr_options options, found *f) {
    const cg_train_options training = {.batch = SMALL_BATCH};
    return cg_find_lr(s->model, s->loss, s->optimizer, s->data, &training, &options, f->points, &f->count,
                      &f->suggestion);
}

Test(find_lr, rates_grow_by_a_factor_and_the_suggestion_is_one_that_learns) {
    small_training s = small_training_begin(SMALL_MODEL, "Adam(lr=0.5)");
    found f;
    cr_assert_eq(find(&s, (cg_find_lr_options){.start_lr = 1e-6, .end_lr = 1, .steps = STEPS}, &f), CG_OK, "%s",
                 cg_error_message());
    cr_assert_gt(f.count, STEPS / 2);
    double factor = pow(1e6, 1.0 / (STEPS - 1));
    for (size_t i = 0; i < f.count; i++) {
        cr_expect_lt(fabs(f.points[i].lr / (1e-6 * pow(factor, (double)i)) - 1), 1e-9);
    }
    cr_expect_eq(f.points[0].smooth, f.points[0].loss, "nothing to smooth yet: %.17g, %.17g", f.points[0].smooth,
                 f.points[0].loss);
    cr_expect_gt(f.suggestion, 1e-4);
    cr_expect_lt(f.suggestion, 0.5);
    small_training_end(&s);
}

Test(find_lr, weights_statistics_state_and_rates_are_as_before) {
    const char *model = "Flatten(), Linear(64, 6), BatchNorm1d(6), ReLU(), Linear(6, 10)";
    small_training s = small_training_begin(model, "Adam(lr=0.5)");
    float before[64 * 6], after[64 * 6], mean[6], state[64 * 6];
    int64_t batches = -1;
    found f;
    cr_assert_eq(cg_tensor_read_f32(cg_module_find(s.model, "1.weight"), before, 64 * 6), CG_OK);
    cr_assert_eq(find(&s, (cg_find_lr_options){.start_lr = 1e-3, .end_lr = 1, .steps = 20}, &f), CG_OK, "%s",
                 cg_error_message());
    cr_assert_eq(cg_tensor_read_f32(cg_module_find(s.model, "1.weight"), after, 64 * 6), CG_OK);
    cr_expect_eq(memcmp(before, after, sizeof before), 0);
    cr_assert_eq(cg_tensor_read_f32(cg_module_find(s.model, "2.running_mean"), mean, 6), CG_OK);
    cr_assert_eq(cg_tensor_read(cg_module_find(s.model, "2.num_batches_tracked"), &batches, sizeof batches), CG_OK);
    cr_expect_eq(batches, 0);
    cr_assert_eq(cg_tensor_read_f32(cg_optimizer_state(s.optimizer, 0, NULL), state, 64 * 6), CG_OK);
    for (int i = 0; i < 64 * 6; i++) {
        cr_assert_eq(state[i], 0);
        cr_assert_eq(mean[i % 6], 0);
    }
    cr_expect_eq(cg_optimizer_steps(s.optimizer), 0);
    cr_expect_eq(cg_optimizer_lr(s.optimizer), 0.5);
    small_training_end(&s);
}

Test(find_lr, it_ends_when_the_loss_bursts) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1)");
    found f;
    cr_assert_eq(find(&s, (cg_find_lr_options){.start_lr = 1e-3, .end_lr = 1e30, .steps = STEPS}, &f), CG_OK, "%s",
                 cg_error_message());
    cr_expect_lt(f.count, STEPS);
    for (size_t i = 0; i < f.count; i++) {
        cr_expect(isfinite(f.points[i].lr) && !isnan(f.points[i].smooth));
    }
    small_training_end(&s);
}

Test(find_lr, where_nothing_learns_there_is_no_suggestion) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1)");
    found f;
    cr_assert_eq(find(&s, (cg_find_lr_options){.start_lr = 1e-30, .end_lr = 1e-29, .steps = 7}, &f), CG_OK);
    cr_expect(isnan(f.suggestion), "too few points, %g", f.suggestion);
    small_training_end(&s);
}

Test(find_lr, ranges_that_are_none_are_refused) {
    small_training s = small_training_begin(SMALL_MODEL, "SGD(lr=0.1)");
    found f;
    const cg_find_lr_options wrong[] = {{.start_lr = 1, .end_lr = 1},
                                        {.start_lr = -1, .end_lr = 1},
                                        {.start_lr = 1, .end_lr = (double)INFINITY},
                                        {.start_lr = (double)NAN, .end_lr = 1},
                                        {.steps = 1},
                                        {.steps = -5}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_eq(find(&s, wrong[i], &f), CG_ERR_ARGUMENT, "case %zu", i);
        cr_expect_eq(f.count, 0);
    }
    small_training_end(&s);
}
