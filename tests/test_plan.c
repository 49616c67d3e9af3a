/* The memory of a step: nothing that lives together overlaps, little is wasted, and the results are the same bits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/nn.h>
#include <clgrad/train.h>

#include "alloc.h"
#include "devices.h"
#include "plan.h"
#include "small_training.h"
#include "tape.h"
#include "tensors.h"

static uint64_t next_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static bool overlap(const cg_plan_piece *a, const cg_plan_piece *b) {
    bool in_time = a->first <= b->last && b->first <= a->last;
    return in_time && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

Test(plan, what_lives_at_the_same_time_lies_apart) {
    uint64_t state = 1;
    for (int round = 0; round < 100; round++) {
        cg_plan_piece pieces[60];
        cg_plan plan = {.pieces = pieces, .count = 1 + next_number(&state) % 60, .capacity = 60};
        for (size_t i = 0; i < plan.count; i++) {
            size_t first = next_number(&state) % 100;
            pieces[i] =
                (cg_plan_piece){.bytes = next_number(&state) % 5000 * (next_number(&state) % 50 == 0 ? 1000 : 1),
                                .first = first,
                                .last = first + next_number(&state) % 20};
        }
        cr_assert_eq(cg_plan_place(&plan), CG_OK);
        cr_expect_geq(plan.total, cg_plan_bound(&plan));
        for (size_t i = 0; i < plan.count; i++) {
            cr_expect_leq(pieces[i].offset + pieces[i].bytes, plan.total);
            for (size_t j = 0; j < i; j++) {
                cr_expect(!overlap(&pieces[i], &pieces[j]), "round %d: %zu and %zu", round, i, j);
            }
        }
        cg_free(plan.ranks);
    }
}

/* v <- v after `length` times x + sin(x): what shares a place with its neighbour comes out wrong. */
static void record_sums(cg_tape *tape, cg_tensor *v, int length) {
    cg_tensor *chain = v;
    for (int i = 0; i < length; i++) {
        chain = cg_add(tape, chain, cg_sin(tape, chain));
    }
    cr_assert_eq(cg_copy(tape, v, chain), CG_OK, "%s", cg_error_message());
}

/* A step whose planning runs out of memory at its `call`th allocation (0: none), and one more like it. False: the step
 * itself failed. */
static bool sums_with_a_failure(cg_device *device, long call, float sums[2000]) {
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *v = test_normal(device, CG_SHAPE(2000), 9);
    record_sums(tape, v, 1);
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    record_sums(tape, v, 20);
    cg_alloc_fail_at(call);
    cg_status failing = cg_tape_run(tape);
    cg_alloc_fail_at(0);
    cg_tape_reset(tape);
    record_sums(tape, v, 20);
    cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tensor_read_f32(v, sums, 2000), CG_OK);
    cg_tape_destroy(tape);
    cg_tensor_destroy(v);
    return failing == CG_OK;
}

/* Memory that runs out while a step is planned: the pool serves that step, and the next one is planned anew. */
Test(plan, a_plan_that_fails_leaves_nothing_half_planned) {
    cg_device *device = test_device_open();
    float expected[2000], actual[2000];
    cr_assert(sums_with_a_failure(device, 0, expected));
    for (long call = 1; call < 8; call++) {
        if (sums_with_a_failure(device, call, actual)) {
            cr_expect_eq(memcmp(expected, actual, sizeof expected), 0, "call %ld", call);
        }
    }
    cg_device_close(device);
}

/* One after the other, one place does; the bound counts what lives while the most does. */
Test(plan, the_bound_is_what_lives_at_one_time) {
    cg_plan_piece pieces[] = {{.bytes = 1024, .first = 0, .last = 1},
                              {.bytes = 512, .first = 1, .last = 2},
                              {.bytes = 1024, .first = 2, .last = 3},
                              {.bytes = 256, .first = 3, .last = 3}};
    cg_plan plan = {.pieces = pieces, .count = 4, .capacity = 4};
    cr_assert_eq(cg_plan_place(&plan), CG_OK);
    cr_expect_eq(cg_plan_bound(&plan), 1536);
    cr_expect_eq(plan.total, 1536);
    cr_expect_eq(pieces[0].offset, 0);
    cr_expect_eq(pieces[2].offset, 0);
    cr_expect_eq(pieces[1].offset, 1024);
    cr_expect_eq(pieces[3].offset, 1024);
    cg_free(plan.ranks);
}

#define SEVERAL 8

typedef struct network {
    const char *model;
    cg_shape input;
} network;

static const network networks[] = {
    {"Linear(64, 128), ReLU(), Linear(128, 128), Tanh(), Linear(128, 10)", {.rank = 2, .dim = {SEVERAL, 64}}},
    {"Conv2d(1, 16, 3, padding=1), BatchNorm2d(16), ReLU(), MaxPool2d(2), Residual(Sequential(Conv2d(16, 16, "
     "3, padding=1), BatchNorm2d(16), ReLU())), AvgPool2d(2), Flatten(), Linear(256, 10)",
     {.rank = 4, .dim = {SEVERAL, 1, 16, 16}}},
    {"TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), LayerNorm(32), Flatten(), Linear(512, 10)",
     {.rank = 3, .dim = {SEVERAL, 16, 32}}},
};

/* Forward, backward and update, recorded and planned as a run would. */
static void record_step(cg_tape *tape, cg_module *model, cg_optimizer *optimizer, cg_tensor *x, cg_tensor *classes) {
    cg_tensor *loss = cg_cross_entropy(tape, cg_module_forward(model, tape, x), classes, CG_REDUCE_MEAN);
    cr_assert_eq(cg_backward(tape, loss), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_optimizer_step(optimizer, tape), CG_OK, "%s", cg_error_message());
}

static void expect_little_waste(cg_tape *tape, const network *of) {
    cg_device *device = cg_tape_device(tape);
    cg_module *model;
    cg_optimizer *optimizer;
    const int64_t numbers[SEVERAL] = {0, 1, 2, 3, 4, 5, 6, 9};
    cr_assert_eq(cg_module_parse(device, of->model, &model), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_init(model, 1), CG_OK);
    cr_assert_eq(cg_optimizer_parse("Adam()", model, &optimizer), CG_OK);
    cg_tensor *x = test_normal(device, of->input, 1);
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(SEVERAL), numbers);
    for (int step = 0; step < 2; step++) { /* the first makes the optimizer's state */
        record_step(tape, model, optimizer, x, classes);
        cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
    }
    double bound = (double)cg_plan_bound(&tape->plan), total = (double)tape->plan.total;
    cr_expect_gt(bound, 0);
    fprintf(stderr, "%.0f bytes, %.3f times the bound: %s\n", total, total / bound, of->model);
    cr_expect_leq(total, 1.15 * bound, "%s: %.0f bytes where %.0f are needed at least", of->model, total, bound);
    cg_optimizer_destroy(optimizer);
    cg_module_destroy(model);
    cg_tensor_destroy(x);
    cg_tensor_destroy(classes);
}

Test(plan, a_step_takes_little_more_than_the_bound) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    for (size_t i = 0; tape->plan.on && i < sizeof networks / sizeof *networks; i++) {
        expect_little_waste(tape, &networks[i]);
    }
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(plan, training_gives_the_same_bits_without) {
    small_training parts[2];
    for (int i = 0; i < 2; i++) {
        setenv("CLGRAD_PLAN", i == 0 ? "none" : "memory", 1);
        parts[i] = small_training_begin(SMALL_MODEL, "Adam(lr=0.03)");
        small_training_make(&parts[i], &(cg_train_options){.epochs = 2});
        cr_assert_eq(cg_trainer_run(parts[i].trainer), CG_OK, "%s", cg_error_message());
    }
    unsetenv("CLGRAD_PLAN");
    small_training_expect_equal(&parts[0], &parts[1]);
    small_training_end(&parts[0]);
    small_training_end(&parts[1]);
}

/* v <- chain of `length` sines of v. */
static void record_sines(cg_tape *tape, cg_tensor *v, int length) {
    cg_tensor *chain = v;
    for (int i = 0; i < length; i++) {
        chain = cg_sin(tape, chain);
    }
    cr_assert_eq(cg_copy(tape, v, chain), CG_OK, "%s", cg_error_message());
}

typedef struct nested {
    cg_tape *tape;
    cg_tensor *v;
    int runs;
} nested;

static cg_status run_another(void *context, const cg_ran_op *op) {
    nested *n = context;
    if (op->index == 1) {
        record_sines(n->tape, n->v, 3);
        n->runs++;
        return cg_tape_run(n->tape);
    }
    return CG_OK;
}

/* The buffer is one step's at a time: a step within another one gets its memory elsewhere. */
Test(plan, a_step_runs_within_another) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    float expected[2][50], actual[2][50];
    for (int round = 0; round < 2; round++) {
        nested n = {.tape = cg_tape_create(device), .v = test_normal(device, CG_SHAPE(50), 5)};
        cg_tensor *v = test_normal(device, CG_SHAPE(50), 6);
        if (round == 1) {
            cg_tape_watch(tape, run_another, &n);
        } else {
            record_sines(n.tape, n.v, 3);
            cr_assert_eq(cg_tape_run(n.tape), CG_OK);
        }
        record_sines(tape, v, 4);
        cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
        cr_expect_eq(n.runs, round);
        cr_assert_eq(cg_tensor_read_f32(v, round == 0 ? expected[0] : actual[0], 50), CG_OK);
        cr_assert_eq(cg_tensor_read_f32(n.v, round == 0 ? expected[1] : actual[1], 50), CG_OK);
        cg_tensor_destroy(v);
        cg_tensor_destroy(n.v);
        cg_tape_destroy(n.tape);
    }
    cr_expect_eq(memcmp(expected, actual, sizeof expected), 0);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

/* Its memory is in use while it runs, waits afterwards, and is given back with what else waits. */
Test(plan, a_smaller_step_takes_the_memory_of_a_larger_one) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_device_stats before, first, last;
    cg_tensor *large = test_normal(device, CG_SHAPE(3000), 7), *small = test_normal(device, CG_SHAPE(1000), 8);
    cg_device_stats_get(device, &before);
    record_sines(tape, large, 5);
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    cg_device_stats_get(device, &first);
    record_sines(tape, small, 5);
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    cg_device_stats_get(device, &last);
    cr_expect_eq(first.bytes_in_use, before.bytes_in_use);
    if (tape->plan.on) {
        cr_expect_eq(first.buffer_allocations, before.buffer_allocations + 1);
        cr_expect_eq(last.buffer_allocations, first.buffer_allocations);
    }
    cg_tensor_destroy(large);
    cg_tensor_destroy(small);
    cg_tape_destroy(tape);
    cg_device_close(device);
}
